#![doc = include_str!("../README.md")]

mod build;
mod channels;
mod check;
pub mod config;
pub mod edit;
mod expand;
mod file;
mod form;
pub mod home;
pub mod init;
pub mod key;
mod layers;
pub mod load;
mod preset;
pub mod problem;
mod schema;
mod secret;
pub mod show;
mod tree;
mod unit;
pub mod watch;
mod write;

pub use config::Config;
pub use edit::{EditError, Editor};
pub use home::{Home, HomeError};
pub use init::{InitError, InitOptions, InitReport, demo, init, new_key};
pub use key::KeyError;
pub use layers::Overrides;
pub use load::{Loaded, load};
pub use problem::{Problem, Problems};
pub use schema::schema;
pub use show::Entry;
pub use tree::{Layer, Origin};
pub use unit::time_of;
pub use watch::{Watch, load_settled};
