#![doc = include_str!("../README.md")]

pub mod builtin;
pub mod classify;
pub mod connect;
pub mod error;
pub mod http;
pub mod instance;

pub use crate::http::{Http, TargetSpec};
pub use builtin::{Builtin, Script};
pub use connect::{Client, ClientSettings};
pub use error::SetupError;
pub use instance::{InstanceSettings, Instances};
