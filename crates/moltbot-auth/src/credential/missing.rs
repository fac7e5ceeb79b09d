//! A credential that is not there: it counts as dead, and says what is missing.

use async_trait::async_trait;
use moltbot_types::{CallError, Credential, Headers, Kind, Retry};

/// A dead credential. Its targets are passed over, so that `fallback` answers.
///
/// ```
/// use moltbot_auth::credential::Missing;
/// use moltbot_types::Credential;
///
/// let credential = Missing::new("models/auth.json has no entry \"primary-model\"");
/// assert!(credential.ready().is_none());
/// assert!(credential.problem().unwrap().contains("primary-model"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    id: String,
    what: String,
}

impl Missing {
    /// `what` says what is missing and where, without any secret; operators alone see it.
    pub fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            id: format!("missing: {what}"),
            what,
        }
    }
}

#[async_trait]
impl Credential for Missing {
    fn id(&self) -> &str {
        &self.id
    }

    fn ready(&self) -> Option<Headers> {
        None
    }

    async fn fetch(&self) -> Result<Headers, CallError> {
        let error = CallError::new(Kind::UpstreamAuth, "the model's credential is missing");
        Err(error.retry(Retry::Elsewhere).because(self.what.clone()))
    }

    fn problem(&self) -> Option<String> {
        Some(self.what.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_credential_sends_the_call_elsewhere_and_tells_the_log_why() {
        let credential = Missing::new("${env:KEY} is not set");
        let error = credential.fetch().await.unwrap_err();
        assert_eq!(error.kind(), Kind::UpstreamAuth);
        assert_eq!(error.decision(), Retry::Elsewhere);
        assert!(error.chain().contains("${env:KEY} is not set"));
        assert!(!error.message().contains("KEY"));
    }
}
