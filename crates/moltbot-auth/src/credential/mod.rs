//! As whom a call leaves: what is added to a request to an upstream.

mod api_key;
mod missing;
mod none;

pub use api_key::{ApiKey, Placement};
pub use missing::Missing;
pub use none::NoCredential;
