#![doc = include_str!("../README.md")]

mod build;
mod channels;
mod check;
pub mod config;
mod expand;
mod file;
mod form;
pub mod home;
pub mod key;
mod layers;
pub mod load;
mod preset;
pub mod problem;
mod schema;
mod secret;
mod tree;
mod unit;

pub use config::Config;
pub use home::{Home, HomeError};
pub use key::KeyError;
pub use layers::Overrides;
pub use load::{Loaded, load};
pub use problem::{Problem, Problems};
pub use schema::schema;
pub use tree::{Layer, Origin};
