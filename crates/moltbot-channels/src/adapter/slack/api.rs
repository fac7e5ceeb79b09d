//! Calls of Slack's API, and what their failures say of a sending.

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::super::answer::{Answer, ask, text};
use crate::send::SendError;

/// The API as one bot.
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
    token: SecretString,
}

impl Api {
    pub(super) fn new(http: reqwest::Client, base: &str, token: SecretString) -> Self {
        Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// Calls a method with the bot's token and a body of JSON.
    pub(super) async fn post(&self, method: &str, body: &Value) -> Result<Value, SendError> {
        self.post_as(&self.token, method, body).await
    }

    /// Calls a method with another token.
    pub(super) async fn post_as(
        &self,
        token: &SecretString,
        method: &str,
        body: &Value,
    ) -> Result<Value, SendError> {
        let request = self.http.post(format!("{}/{method}", self.base));
        let request = request.bearer_auth(token.expose_secret()).json(body);
        read(ask(request, None).await?)
    }

    /// Calls a method that reads; those take forms alone.
    pub(super) async fn form(
        &self,
        method: &str,
        form: &[(&str, &str)],
    ) -> Result<Value, SendError> {
        let request = self.http.post(format!("{}/{method}", self.base));
        let request = request.bearer_auth(self.token.expose_secret()).form(form);
        read(ask(request, None).await?)
    }
}

/// Errors are answers of status 200 with `ok: false`, but for 429 and failures of what stands before the API.
pub(super) fn read(answer: Answer) -> Result<Value, SendError> {
    let Answer {
        status,
        after,
        body,
    } = answer;
    let body = body.unwrap_or_default();
    if status.is_success() && body["ok"] == true {
        return Ok(body);
    }
    let said = text(&body, "error");
    let reason = match said.is_empty() {
        true => format!("Slack answered {status}"),
        false => format!("Slack says {said}"),
    };
    Err(match (status, said) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _)
        | (_, "ratelimited" | "rate_limited") => SendError::Later { reason, after },
        // Slack's own words for these: some of it may have succeeded before the error.
        (_, "internal_error" | "fatal_error" | "request_timeout") => SendError::Unknown(reason),
        (status, _) if status.is_server_error() => SendError::Unknown(reason),
        (status, "") if !status.is_client_error() => SendError::Unknown(reason),
        _ => SendError::Refused(reason),
    })
}
