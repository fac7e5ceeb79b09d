#![doc = include_str!("../README.md")]

mod control;
mod counts;
mod fault;
mod gate;
mod mix;
mod play;
mod request;
mod script;
mod server;
mod text;

pub use control::Control;
pub use counts::{Counts, Received};
pub use fault::{Fault, Hint, UnknownFault};
pub use mix::{Mix, Rhythm};
pub use request::Request;
pub use server::{Server, Settings};
pub use text::{Asked, Verdict, check};
