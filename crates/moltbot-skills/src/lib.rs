#![doc = include_str!("../README.md")]

pub mod manifest;
mod problem;
mod rank;
pub mod trigger;

pub use manifest::{Limits, Manifest, Permissions, Place};
pub use problem::{Problem, Problems};
pub use rank::{Wakeable, Woken, woken};
pub use trigger::{Hit, Kind, SendTo, Trigger};
