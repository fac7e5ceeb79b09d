//! Calls of the Bot API, and what their failures say of a sending.

use std::time::Duration;

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

/// Why a call failed.
pub(super) enum Failure {
    /// The group is a supergroup now, under this id. Nothing was written.
    Moved(i64),
    /// What it says of a sending.
    Send(SendError),
}

impl Api {
    pub(super) fn new(http: reqwest::Client, base: &str, token: SecretString) -> Self {
        Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// Calls a method; gives its `result`.
    pub(super) async fn call(&self, method: &str, body: &Value) -> Result<Value, SendError> {
        match self.write(method, body).await {
            Ok(result) => Ok(result),
            Err(Failure::Send(error)) => Err(error),
            Err(Failure::Moved(to)) => {
                Err(SendError::Refused(format!("the group has moved to {to}")))
            }
        }
    }

    /// Calls a method that may meet a group that has moved.
    pub(super) async fn write(&self, method: &str, body: &Value) -> Result<Value, Failure> {
        let answer = ask(self.request(method, body), None).await;
        read(answer.map_err(Failure::Send)?)
    }

    /// Calls `getUpdates`, which waits for so long; gives the answer as it is.
    pub(super) async fn poll(&self, body: &Value, wait: Duration) -> Result<Answer, SendError> {
        // The answer of a poll that finds nothing leaves late.
        let request = self.request("getUpdates", body);
        ask(request.timeout(wait + Duration::from_secs(15)), None).await
    }

    fn request(&self, method: &str, body: &Value) -> reqwest::RequestBuilder {
        let (base, token) = (&self.base, self.token.expose_secret());
        self.http
            .post(format!("{base}/bot{token}/{method}"))
            .json(body)
    }
}

pub(super) fn read(answer: Answer) -> Result<Value, Failure> {
    let Answer {
        status,
        after,
        body,
    } = answer;
    let Some(mut body) = body else {
        return Err(Failure::Send(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let reason = format!("Telegram answered {status}");
                SendError::Later { reason, after }
            }
            status if status.is_client_error() => {
                SendError::Refused(format!("Telegram answered {status}"))
            }
            status => SendError::Unknown(format!("Telegram answered {status}")),
        }));
    };
    if status.is_success() && body["ok"] == true {
        return Ok(body["result"].take());
    }
    let said = text(&body, "description");
    let reason = match said.is_empty() {
        true => format!("Telegram answered {status}"),
        false => format!("Telegram says {said}"),
    };
    let parameters = &body["parameters"];
    if let Some(to) = parameters["migrate_to_chat_id"].as_i64() {
        return Err(Failure::Moved(to));
    }
    let told = parameters["retry_after"].as_u64().map(Duration::from_secs);
    // The body repeats the status; proxies in between may have changed that of the answer.
    let code = body["error_code"].as_u64();
    let code = code.unwrap_or_else(|| status.as_u16().into());
    Err(Failure::Send(match code {
        429 | 503 => SendError::Later {
            reason,
            after: told.or(after),
        },
        400 if said.contains("can't parse entities") => SendError::Marks(reason),
        400..=499 => SendError::Refused(reason),
        _ => SendError::Unknown(reason),
    }))
}
