//! An upstream that asks for nothing.

use async_trait::async_trait;
use moltbot_types::{CallError, Credential, Headers};

/// No credential: nothing is added to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoCredential;

#[async_trait]
impl Credential for NoCredential {
    fn id(&self) -> &str {
        "none"
    }

    fn ready(&self) -> Option<Headers> {
        Some(Headers::new())
    }

    async fn fetch(&self) -> Result<Headers, CallError> {
        Ok(Headers::new())
    }
}
