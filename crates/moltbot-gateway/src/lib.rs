#![doc = include_str!("../README.md")]

mod admin;
mod archive;
mod audit;
mod background;
mod caller;
mod channels;
mod credentials;
mod doctor;
mod entrance;
mod experiments;
mod filter;
mod gateway;
mod http;
mod limits;
mod live;
mod lock;
mod names;
mod policy;
mod price;
mod record;
mod routes;
mod runtime;
pub mod server;
mod servers;
mod snapshot;
mod stack;
mod status;
mod store;
mod target;
mod tls;
mod workspace;

pub use admin::{Admin, request as admin_request};
pub use archive::older_logs;
pub use gateway::{Gateway, Prepared, StartError, check};
pub use lock::HomeLock;
pub use moltbot_providers::instance::guard::enter as instance_guard;
