//! Whether a model server takes a credential, tried without a paid call.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use moltbot_types::Credential;

use super::client::AuthClient;
use super::fault::Fault;

/// Longest time of a trial.
const WITHIN: Duration = Duration::from_secs(10);

/// Shows the credential at `url`, a list of models. What is no refusal is a success: not every server has
/// such a list.
///
/// # Errors
/// The server refuses it, can't be reached, or fails.
pub async fn try_at(
    url: &str,
    credential: &dyn Credential,
    client: &AuthClient,
) -> Result<(), Fault> {
    let headers = match credential.ready() {
        Some(headers) => headers,
        None => {
            let fetched = credential.fetch().await;
            fetched.map_err(|error| Fault::secret(error.chain()))?
        }
    };
    let headers: HeaderMap = headers.into_iter().collect();
    let status = client.get(url, headers, WITHIN).await;
    let status = status.map_err(|fault| Fault {
        words: format!("the model server does not answer: {}", fault.words),
        ..fault
    })?;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Fault::secret(format!(
            "the model server refuses the key ({status}); give a good one with `moltctl auth set`"
        ))),
        _ if status.is_server_error() => Err(Fault::server(format!(
            "the model server answers {status}; look at its log"
        ))),
        _ => Ok(()),
    }
}
