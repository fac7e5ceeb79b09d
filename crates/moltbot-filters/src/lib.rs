#![doc = include_str!("../README.md")]

mod detect;
mod engine;
mod error;
mod gate;
mod pii;
mod safety;
mod scan;
mod secrets;
mod settings;
mod window;
mod words;

pub use engine::{Chain, Engine};
pub use error::FilterError;
pub use settings::{Name, OnError, SafetySettings, Settings, Watch, WordSettings};
