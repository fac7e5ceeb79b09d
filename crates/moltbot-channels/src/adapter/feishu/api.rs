//! Calls of Feishu's API: the tenant's token, and what failures say of a sending.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::answer::{Answer, ask, text};
use crate::send::SendError;

/// How long before its end a token is renewed, at most; of a short life a tenth.
const EARLY: Duration = Duration::from_secs(300);

/// The API as one app.
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
    app_id: String,
    app_secret: SecretString,
    /// Held while a token is fetched, so that it is fetched once.
    token: Mutex<Option<Token>>,
}

struct Token {
    value: SecretString,
    /// When it is renewed.
    until: Instant,
}

impl Api {
    pub(super) fn new(
        http: reqwest::Client,
        base: &str,
        app_id: &str,
        app_secret: SecretString,
    ) -> Self {
        Self {
            http,
            base: format!("{}/open-apis", base.trim_end_matches('/')),
            app_id: app_id.to_owned(),
            app_secret,
            token: Mutex::default(),
        }
    }

    /// Calls the API at a path; a token that is refused is renewed, once.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, SendError> {
        let token = self.token(None).await?;
        match self.call_as(&token, &method, path, body).await {
            Err(Failure::Token) => {}
            Err(Failure::Send(error)) => return Err(error),
            Ok(answer) => return Ok(answer),
        }
        let token = self.token(Some(&token)).await?;
        match self.call_as(&token, &method, path, body).await {
            Err(Failure::Token) => Err(SendError::Refused(
                "Feishu refuses the token that it gave".to_owned(),
            )),
            Err(Failure::Send(error)) => Err(error),
            Ok(answer) => Ok(answer),
        }
    }

    /// Where the long connection is, and how it wants to be kept.
    pub(super) async fn endpoint(&self) -> Result<Value, SendError> {
        let root = self.base.trim_end_matches("/open-apis");
        let url = format!("{root}/callback/ws/endpoint");
        let body = json!({ "AppID": self.app_id, "AppSecret": self.app_secret.expose_secret() });
        let answer = ask(self.http.post(url).json(&body), None).await?;
        match read(answer) {
            Ok(mut body) => Ok(body["data"].take()),
            Err(Failure::Send(error)) => Err(error),
            Err(Failure::Token) => Err(SendError::Refused("Feishu refuses the app".to_owned())),
        }
    }

    /// Whether a token was given.
    pub(super) async fn logged_in(&self) -> bool {
        self.token.lock().await.is_some()
    }

    async fn call_as(
        &self,
        token: &SecretString,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let url = format!("{}/{path}", self.base);
        let request = self.http.request(method.clone(), url);
        let mut request = request.bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let reset = HeaderName::from_static("x-ogw-ratelimit-reset");
        let answer = ask(request, Some(reset)).await;
        read(answer.map_err(Failure::Send)?)
    }

    /// The token, fetched anew where there is none, where it ends soon, or where it is the `refused` one.
    async fn token(&self, refused: Option<&SecretString>) -> Result<SecretString, SendError> {
        let mut held = self.token.lock().await;
        if let Some(token) = &*held {
            let known_bad =
                refused.is_some_and(|bad| bad.expose_secret() == token.value.expose_secret());
            if !known_bad && Instant::now() < token.until {
                return Ok(token.value.clone());
            }
        }
        let url = format!("{}/auth/v3/tenant_access_token/internal", self.base);
        let body = json!({ "app_id": self.app_id, "app_secret": self.app_secret.expose_secret() });
        let answer = ask(self.http.post(url).json(&body), None).await;
        // Whatever happened here, no text was shown.
        let answer = match answer {
            Ok(answer) => answer,
            Err(SendError::Unknown(reason)) => return Err(later(format!("no token: {reason}"))),
            Err(error) => return Err(error),
        };
        let body = answer.body.unwrap_or_default();
        let value = text(&body, "tenant_access_token");
        if body["code"] == 0 && !value.is_empty() {
            let life = Duration::from_secs(body["expire"].as_u64().unwrap_or(7200));
            let value = SecretString::from(value);
            let until = Instant::now() + life - EARLY.min(life / 10);
            *held = Some(Token {
                value: value.clone(),
                until,
            });
            return Ok(value);
        }
        let status = answer.status;
        let reason = format!(
            "no token: Feishu answered {status} {} {}",
            body["code"],
            text(&body, "msg")
        );
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let after = answer.after;
            return Err(SendError::Later { reason, after });
        }
        Err(SendError::Refused(reason))
    }
}

/// Why a call failed.
pub(super) enum Failure {
    /// The token is not, or no longer, good.
    Token,
    /// What it says of a sending.
    Send(SendError),
}

pub(super) fn read(answer: Answer) -> Result<Value, Failure> {
    let Answer {
        status,
        after,
        body,
    } = answer;
    let body = body.unwrap_or_default();
    let code = body["code"].as_i64();
    let reason = match code {
        Some(code) => format!("Feishu says {code} {}", text(&body, "msg")),
        None => format!("Feishu answered {status}"),
    };
    Err(match code {
        Some(0) if status.is_success() => return Ok(body),
        Some(99_991_661 | 99_991_663 | 99_991_664 | 99_991_665 | 99_991_668) => Failure::Token,
        // The limits of the API, of an app and of a group; the last two are those of a sender, by what others report.
        Some(99_991_400 | 230_020 | 11_232 | 11_233) => {
            Failure::Send(SendError::Later { reason, after })
        }
        // A card whose content is refused.
        Some(230_099) => Failure::Send(SendError::Marks(reason)),
        _ => Failure::Send(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                SendError::Later { reason, after }
            }
            status if status.is_server_error() => SendError::Unknown(reason),
            _ if code.is_some() || status.is_client_error() => SendError::Refused(reason),
            _ => SendError::Unknown(reason),
        }),
    })
}

fn later(reason: String) -> SendError {
    SendError::Later {
        reason,
        after: None,
    }
}
