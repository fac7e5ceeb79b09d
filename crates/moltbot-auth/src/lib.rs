#![doc = include_str!("../README.md")]

pub mod credential;
pub mod edge;

mod authenticate;
mod error;
mod key;
mod keys;
mod open;
pub mod quota;
mod throttle;

pub use authenticate::Authenticate;
pub use edge::{Edge, EdgeSettings};
pub use error::AuthError;
pub use key::{CallerKey, Pepper};
pub use keys::Keys;
pub use open::Open;
