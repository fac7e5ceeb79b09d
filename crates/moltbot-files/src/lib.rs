#![doc = include_str!("../README.md")]

mod error;
mod gguf;
mod objects;
mod pull;
mod sum;

pub use error::FilesError;
pub use objects::{ObjectSettings, open};
pub use pull::{Progress, PullSettings, Pulled, pull};
pub use sum::{Checked, State, sha256, verify};
