#![doc = include_str!("../README.md")]

pub mod credential;

mod authenticate;
mod error;
mod key;
mod keys;
mod open;
mod throttle;

pub use authenticate::Authenticate;
pub use error::AuthError;
pub use key::{CallerKey, Pepper, StoredKey};
pub use keys::Keys;
pub use open::Open;
