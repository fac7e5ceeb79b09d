//! Signed posts in the form of Standard Webhooks: messages in, answers in the response or to an address.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::channel::{Account, Ack, Channel, ChannelError, Received, Refused};
use crate::client::{client, unanswered};
use crate::message::{Content, Message};
use crate::render::{Platform, render};
use crate::send::{Capabilities, Chunk, Format, Outgoing, SendError, Sent};

mod signature;

pub use signature::{Secret, SecretError};

/// Most bytes of a `webhook-id`.
const ID_LIMIT: usize = 256;

/// How a webhook channel works.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Signs what comes and what goes.
    pub secret: Secret,
    /// Where answers are posted; `None`: they are the responses to the messages' own posts.
    pub reply_url: Option<String>,
}

/// A channel of signed posts.
pub struct Webhook {
    settings: WebhookSettings,
    http: reqwest::Client,
}

/// A message as it is posted.
#[derive(Deserialize)]
struct Posted {
    sender: String,
    room: Option<String>,
    text: String,
    #[serde(default)]
    images: Vec<String>,
}

impl Webhook {
    /// The channel. Nothing is connected yet.
    ///
    /// # Errors
    /// TLS can't be set up, or `reply_url` is no http or https address.
    pub fn new(settings: WebhookSettings) -> Result<Self, ChannelError> {
        if let Some(url) = &settings.reply_url {
            let parsed = reqwest::Url::parse(url);
            let is_web = parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !is_web {
                return Err(ChannelError(
                    "reply_url is no http or https address".to_owned(),
                ));
            }
        }
        Ok(Self {
            settings,
            http: client()?,
        })
    }

    fn read(id: &str, body: &[u8]) -> Result<Message, Refused> {
        let posted: Posted = serde_json::from_slice(body)
            .map_err(|error| Refused::malformed(format!("the body is no message: {error}")))?;
        if posted.sender.is_empty() {
            return Err(Refused::malformed("`sender` is empty"));
        }
        if posted.text.trim().is_empty() && posted.images.is_empty() {
            return Err(Refused::malformed("`text` is empty"));
        }
        Ok(Message {
            id: id.to_owned(),
            sender: posted.sender,
            room: posted.room.filter(|room| !room.is_empty()),
            content: Content::Text,
            text: posted.text,
            images: posted.images,
            ..Message::default()
        })
    }
}

#[async_trait]
impl Channel for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotent: true,
            ..Capabilities::default()
        }
    }

    /// One text of any length, for the receiver shows it in its own way.
    fn render(&self, answer: &str, format: Format) -> Vec<Chunk> {
        render(answer, Platform::Text, format)
    }

    fn takes_posts(&self) -> bool {
        true
    }

    fn answers_in_response(&self) -> bool {
        self.settings.reply_url.is_none()
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Received, Refused> {
        let header = |name| {
            let value = request.headers().get(name);
            value.and_then(|value| value.to_str().ok())
        };
        let signed = (
            header("webhook-id"),
            header("webhook-timestamp"),
            header("webhook-signature"),
        );
        let (Some(id), Some(timestamp), Some(signature)) = signed else {
            return Err(Refused::untrusted(
                "the post is not signed: webhook-id, webhook-timestamp and webhook-signature are needed",
            ));
        };
        let body = request.body();
        let secret = &self.settings.secret;
        secret.verify(id, timestamp, signature, body, seconds(now))?;
        if id.is_empty() || id.len() > ID_LIMIT {
            return Err(Refused::malformed("webhook-id must have 1 to 256 bytes"));
        }
        let message = Self::read(id, body)?;
        let ack = match self.settings.reply_url {
            None => Ack::Answer,
            Some(_) => Ack::Now(respond(StatusCode::ACCEPTED, &json!({ "id": id }))),
        };
        let messages = vec![message];
        Ok(Received::Messages { messages, ack })
    }

    fn response(&self, message: &Message, answer: Option<&str>) -> Response<Bytes> {
        respond(StatusCode::OK, &json!({ "id": message.id, "text": answer }))
    }

    async fn login(&self) -> Result<Account, ChannelError> {
        Ok(Account::default())
    }

    /// Posts an answer. The receiver knows a repeat by its `webhook-id`, so whatever is no 2xx is repeated.
    async fn send(&self, outgoing: &Outgoing) -> Result<Sent, SendError> {
        let Some(url) = &self.settings.reply_url else {
            let reason = "the channel has no reply_url, it answers in responses alone";
            return Err(SendError::Refused(reason.to_owned()));
        };
        let body = json!({
            "in_reply_to": outgoing.in_reply_to,
            "sender": outgoing.sender,
            "room": outgoing.place.room,
            "text": outgoing.text,
        });
        let body = body.to_string();
        let timestamp = seconds(SystemTime::now()).to_string();
        let secret = &self.settings.secret;
        let signature = secret.sign(&outgoing.key, &timestamp, body.as_bytes());
        let request = self.http.post(url).body(body);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &outgoing.key)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(repeated(unanswered(error))),
        };
        if response.status().is_success() {
            return Ok(Sent::default());
        }
        let after = response.headers().get(http::header::RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        Err(SendError::Later {
            reason: format!("the receiver answered {}", response.status()),
            after: after.map(std::time::Duration::from_secs),
        })
    }
}

/// Repeats harm nobody here: what is unknown is sent again.
fn repeated(error: SendError) -> SendError {
    match error {
        SendError::Unknown(reason) => SendError::Later {
            reason,
            after: None,
        },
        known => known,
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
}

fn respond(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests;
