//! Feishu and Lark: encrypted events by signed posts or by the long connection, answers as cards by `im/v1/messages`.
//!
//! Every sending carries its key as `uuid`, by which Feishu shows a repeat once for an hour.

use std::sync::OnceLock;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::answer::text;
use crate::channel::{Account, Ack, Channel, ChannelError, Host, Received, Refused};
use crate::client::client;
use crate::render::{Platform, render};
use crate::send::{Capabilities, Chunk, Format, Outgoing, SendError, Sent};
use api::Api;
use envelope::Envelope;

mod api;
mod envelope;
mod event;
mod frame;
mod socket;
#[cfg(test)]
mod tests;

pub use envelope::{encrypt, sign};

/// The base URL of Feishu itself; Lark's is `https://open.larksuite.com`.
pub const BASE_URL: &str = "https://open.feishu.cn";

/// How a Feishu channel works.
#[derive(Clone, Debug)]
pub struct FeishuSettings {
    /// The host's root; `/open-apis/…` is added.
    pub base_url: String,
    /// The app's id, `cli_…`.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: SecretString,
    /// Encrypts and signs events that are posted; without one messages arrive by the long connection.
    pub encrypt_key: Option<SecretString>,
    /// Stands in every event, where the app has one.
    pub verification_token: Option<SecretString>,
}

/// A bot in Feishu.
pub struct Feishu {
    settings: FeishuSettings,
    api: Api,
    envelope: Option<Envelope>,
    /// The bot's own `open_id`, once known.
    bot: OnceLock<String>,
    /// The texts that the bot sent lately, to know a reply to it.
    sent: event::Lately,
}

impl Feishu {
    /// The channel. Nothing is connected yet.
    ///
    /// # Errors
    /// `encrypt_key` is blank, or TLS can't be set up.
    pub fn new(settings: FeishuSettings) -> Result<Self, ChannelError> {
        let key = settings.encrypt_key.as_ref();
        if key.is_some_and(|key| key.expose_secret().trim().is_empty()) {
            return Err(ChannelError("encrypt_key is blank".to_owned()));
        }
        let secret = settings.app_secret.clone();
        Ok(Self {
            api: Api::new(client()?, &settings.base_url, &settings.app_id, secret),
            envelope: settings.encrypt_key.clone().map(Envelope::new),
            settings,
            bot: OnceLock::new(),
            sent: event::Lately::default(),
        })
    }

    async fn identify(&self) -> Result<Account, SendError> {
        let info = self.api.call(Method::GET, "bot/v3/info", None).await?;
        let account = Account {
            id: text(&info["bot"], "open_id").to_owned(),
            name: text(&info["bot"], "app_name").to_owned(),
        };
        if !account.id.is_empty() {
            // An app has one bot for good.
            let _ = self.bot.set(account.id.clone());
        }
        Ok(account)
    }

    /// Refuses an event of another app, or with another token.
    fn check(&self, app: &str, token: &str) -> Result<(), Refused> {
        if let Some(own) = &self.settings.verification_token {
            let own = own.expose_secret().as_bytes();
            let same = aws_lc_rs::constant_time::verify_slices_are_equal(own, token.as_bytes());
            if same.is_err() {
                return Err(Refused::untrusted("the verification token is wrong"));
            }
        }
        if !app.is_empty() && app != self.settings.app_id {
            return Err(Refused::untrusted("the event is for another app"));
        }
        Ok(())
    }
}

#[async_trait]
impl Channel for Feishu {
    fn kind(&self) -> &'static str {
        "feishu"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            edit: true,
            typing: false,
            idempotent: true,
        }
    }

    fn render(&self, answer: &str, format: Format) -> Vec<Chunk> {
        render(answer, Platform::Feishu, format)
    }

    fn takes_posts(&self) -> bool {
        self.envelope.is_some()
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Received, Refused> {
        let envelope = self.envelope.as_ref().ok_or_else(Refused::nothing_here)?;
        let signed = envelope.verify(request, now);
        let opened = envelope.open(request.body());
        // The check of an address is answered by who can decrypt it, signed or not.
        if let Ok(event) = &opened
            && text(event, "type") == "url_verification"
        {
            self.check("", text(event, "token"))?;
            let Some(challenge) = event["challenge"].as_str() else {
                return Err(Refused::malformed("there is no `challenge`"));
            };
            return Ok(Received::Reply(reply(&json!({ "challenge": challenge }))));
        }
        signed?;
        let event = opened?;
        let header = &event["header"];
        self.check(text(header, "app_id"), text(header, "token"))?;
        let message = event::read(&event, self.bot.get().map(String::as_str), &self.sent);
        let messages = message.map_err(Refused::malformed)?.into_iter().collect();
        let ack = Ack::Now(reply(&json!({})));
        Ok(Received::Messages { messages, ack })
    }

    async fn listen(&self, host: &dyn Host, stop: CancellationToken) -> Result<(), ChannelError> {
        match self.identify().await {
            Ok(_) => {}
            // Messages can be answered all the same, only mentions in groups are not told apart.
            Err(error @ SendError::Refused(_)) if self.api.logged_in().await => {
                tracing::warn!(%error, "the bot's own id is not known");
            }
            Err(error) => return Err(ChannelError(error.to_string())),
        }
        if self.envelope.is_none() {
            return socket::listen(self, host, &stop).await;
        }
        host.up();
        stop.cancelled().await;
        Ok(())
    }

    async fn login(&self) -> Result<Account, ChannelError> {
        let account = self.identify().await;
        account.map_err(|error| ChannelError(error.to_string()))
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Sent, SendError> {
        let mut body = json!({
            "msg_type": "interactive",
            "content": card(outgoing).to_string(),
            "uuid": outgoing.key,
        });
        let room = &outgoing.place.room;
        let in_thread = outgoing.place.thread.is_some();
        let path = match &outgoing.in_reply_to {
            // A text joins a thread as a reply to what was said there.
            Some(asked) if in_thread => {
                body["reply_in_thread"] = json!(true);
                format!("im/v1/messages/{asked}/reply")
            }
            _ => {
                body["receive_id"] = json!(room);
                format!("im/v1/messages?receive_id_type={}", id_type(room))
            }
        };
        let answer = self.api.call(Method::POST, &path, Some(&body)).await?;
        let id = answer["data"]["message_id"].as_str();
        self.sent.add(id);
        let id = id.map(str::to_owned);
        Ok(Sent { id })
    }

    async fn edit(&self, id: &str, outgoing: &Outgoing) -> Result<(), SendError> {
        let path = format!("im/v1/messages/{id}");
        let body = json!({ "content": card(outgoing).to_string() });
        let edited = self.api.call(Method::PATCH, &path, Some(&body)).await;
        edited.map(drop)
    }
}

/// A text as a card: unlike a plain message it may be edited more than 20 times, so that an answer can grow.
fn card(outgoing: &Outgoing) -> Value {
    let element = match outgoing.marked {
        true => json!({ "tag": "markdown", "content": outgoing.text }),
        // Nothing in it is read as a mark or a mention.
        false => json!({ "tag": "div", "text": { "tag": "plain_text", "content": outgoing.text } }),
    };
    json!({
        "schema": "2.0",
        "config": { "update_multi": true },
        "body": { "elements": [element] },
    })
}

/// Whose id a receiver is, by how it looks.
fn id_type(id: &str) -> &'static str {
    match id {
        _ if id.starts_with("oc_") => "chat_id",
        _ if id.starts_with("ou_") => "open_id",
        _ if id.starts_with("on_") => "union_id",
        _ if id.contains('@') => "email",
        _ => "user_id",
    }
}

fn reply(body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
