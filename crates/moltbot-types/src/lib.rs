#![doc = include_str!("../README.md")]

pub mod admin;
pub mod call;
pub mod caller;
pub mod chat;
pub mod credential;
pub mod dialect;
pub mod error;
pub mod filter;
pub mod id;
pub mod pieces;
pub mod policy;
pub mod record;
pub mod reply;
pub mod service;
pub mod skill;
pub mod text;
pub mod usage;

pub use call::{Call, Edit, Head, Operation, Remembered};
pub use caller::{Caller, Role};
pub use chat::{Answer, Finish, Prompt, Turn};
pub use credential::{Credential, Headers};
pub use dialect::{Canonical, Dialect, Splitter};
pub use error::{CallError, Kind, Retry, UpstreamFault};
pub use filter::{Direction, Filter, Screen};
pub use id::{ModelName, RequestId, TargetId, Workspace};
pub use pieces::Pieces;
pub use policy::Policy;
pub use record::{Attempt, CacheResult, CallRecord, Outcome, Served, Trail, Tried};
pub use reply::{Body, Ending, FrameStream, Frames, Hold, Mark, Reply};
pub use service::{CallService, Door, Layered, Next, Plain, Step, boxed, tower};
pub use skill::{Occasion, Skills};
pub use text::{Additions, Slot, Text};
pub use usage::Usage;
