//! What the end-to-end tests stand on: homes, daemons, upstreams, and the real parts beside them.

mod client;
mod daemon;
mod home;
mod parts;
mod token_server;
mod upstream;

pub use client::client;
pub use daemon::Daemon;
pub use home::{Home, Ran};
pub use parts::{ModelServer, S3, command, descendants, free_port, tools};
pub use token_server::{CLIENT_SECRET, TokenServer};
pub use upstream::{Counts, Do, Recorded, Upstream};
