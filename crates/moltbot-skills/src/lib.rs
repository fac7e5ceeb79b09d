#![doc = include_str!("../README.md")]

mod desk;
pub mod folder;
pub mod library;
pub mod manifest;
mod problem;
mod rank;
pub mod role;
mod script;
pub mod skill;
pub mod trigger;
pub mod worker;

pub use library::{Approve, Library, LibrarySettings, Listed, OwnSkills, Ready, SkillState};
pub use manifest::{Limits, Manifest, Permissions, Place};
pub use problem::{Problem, Problems};
pub use rank::{Wakeable, Woken, woken};
pub use script::Script;
pub use skill::{Ended, Fault, FaultKind, LogLine, Outcome, Said, Skill};
pub use trigger::{Hit, Kind, SendTo, Trigger};
