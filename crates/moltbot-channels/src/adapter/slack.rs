//! Slack: events by signed posts or by Socket Mode, answers by `chat.postMessage`.
//!
//! Slack knows no idempotency key for a post. Each carries our own key in its metadata, by which [`Channel::find`]
//! finds it in the room's history when its answer was lost.

use std::sync::OnceLock;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::answer::text;
use crate::channel::{Account, Channel, ChannelError, Host, Received, Refused};
use crate::client::client;
use crate::render::{Platform, render};
use crate::send::{Capabilities, Chunk, Format, Outgoing, SendError, Sent};
use api::Api;
use event::Bot;

mod api;
mod event;
mod signature;
mod socket;
#[cfg(test)]
mod tests;
mod words;

pub use signature::sign;

/// The type of the metadata that carries our key.
const METADATA: &str = "moltbot_answer";

/// How a Slack channel works.
#[derive(Clone, Debug)]
pub struct SlackSettings {
    /// Where the API is; `/METHOD` is added.
    pub base_url: String,
    /// The bot's token, `xoxb-…`.
    pub bot_token: SecretString,
    /// Signs events that are posted; without one no posts are taken.
    pub signing_secret: Option<SecretString>,
    /// The app's token for Socket Mode, `xapp-…`; without one no socket is opened.
    pub app_token: Option<SecretString>,
}

/// The base URL of Slack itself.
pub const BASE_URL: &str = "https://slack.com/api";

/// A bot in a Slack workspace.
pub struct Slack {
    settings: SlackSettings,
    api: Api,
    /// As whom the bot is logged in, once known.
    bot: OnceLock<Bot>,
}

impl Slack {
    /// The channel. Nothing is connected yet.
    ///
    /// # Errors
    /// Neither `signing_secret` nor `app_token` is there, one of them is blank, or TLS can't be set up.
    pub fn new(settings: SlackSettings) -> Result<Self, ChannelError> {
        use secrecy::ExposeSecret;
        let blank = |secret: &Option<SecretString>| {
            let secret = secret.as_ref().map(|secret| secret.expose_secret().trim());
            secret.is_some_and(str::is_empty)
        };
        if blank(&settings.signing_secret) || blank(&settings.app_token) {
            return Err(ChannelError(
                "signing_secret or app_token is blank".to_owned(),
            ));
        }
        if settings.signing_secret.is_none() && settings.app_token.is_none() {
            let reason = "messages arrive with signing_secret (Events API) or app_token (Socket Mode): neither is set";
            return Err(ChannelError(reason.to_owned()));
        }
        Ok(Self {
            api: Api::new(client()?, &settings.base_url, settings.bot_token.clone()),
            settings,
            bot: OnceLock::new(),
        })
    }

    fn message(outgoing: &Outgoing, channel: &str) -> Value {
        let mut message = json!({
            "channel": channel,
            "text": outgoing.text,
            "mrkdwn": outgoing.marked,
            "link_names": false,
            // A link that a model wrote is not fetched by anybody.
            "unfurl_links": false,
            "unfurl_media": false,
            "metadata": {
                "event_type": METADATA,
                "event_payload": { "key": outgoing.key },
            },
        });
        if let Some(thread) = &outgoing.place.thread {
            message["thread_ts"] = json!(thread);
        }
        message
    }

    /// Logs in and remembers as whom.
    async fn identify(&self) -> Result<Account, SendError> {
        let answer = self.api.post("auth.test", &json!({})).await?;
        let account = Account {
            id: text(&answer, "user_id").to_owned(),
            name: text(&answer, "user").to_owned(),
        };
        let bot = Bot {
            user: account.id.clone(),
            bot: text(&answer, "bot_id").to_owned(),
        };
        // A token belongs to one bot for good.
        let _ = self.bot.set(bot);
        Ok(account)
    }
}

#[async_trait]
impl Channel for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            edit: true,
            typing: false,
            idempotent: false,
        }
    }

    fn render(&self, answer: &str, format: Format) -> Vec<Chunk> {
        let mut chunks = render(answer, Platform::Slack, format);
        for chunk in &mut chunks {
            // mrkdwn is what a model that writes for Slack writes.
            chunk.marked = format != Format::Plain;
        }
        chunks
    }

    fn takes_posts(&self) -> bool {
        self.settings.signing_secret.is_some()
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Received, Refused> {
        let secret = self.settings.signing_secret.as_ref();
        let secret = secret.ok_or_else(Refused::nothing_here)?;
        signature::verify(secret, request, now)?;
        let body: Value = serde_json::from_slice(request.body())
            .map_err(|error| Refused::malformed(format!("the body is no event: {error}")))?;
        if text(&body, "type") == "url_verification" {
            let Some(challenge) = body["challenge"].as_str() else {
                return Err(Refused::malformed("there is no `challenge`"));
            };
            let reply = json!({ "challenge": challenge }).to_string();
            let mut response = Response::new(Bytes::from(reply));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            return Ok(Received::Reply(response));
        }
        let message = event::read(&body, self.bot.get()).map_err(Refused::malformed)?;
        Ok(Received::messages(message.into_iter().collect()))
    }

    async fn listen(&self, host: &dyn Host, stop: CancellationToken) -> Result<(), ChannelError> {
        let login = self.identify().await;
        login.map_err(|error| ChannelError(format!("auth.test: {error}")))?;
        match &self.settings.app_token {
            Some(token) => socket::listen(&self.api, token, &self.bot, host, stop).await,
            None => {
                host.up();
                stop.cancelled().await;
                Ok(())
            }
        }
    }

    async fn login(&self) -> Result<Account, ChannelError> {
        let account = self.identify().await;
        account.map_err(|error| ChannelError(format!("auth.test: {error}")))
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Sent, SendError> {
        let message = Self::message(outgoing, &outgoing.place.room);
        let answer = self.api.post("chat.postMessage", &message).await?;
        // The room may be a person; the text then lies in the room of the two.
        let room = answer["channel"].as_str().unwrap_or(&outgoing.place.room);
        let ts = answer["ts"].as_str();
        Ok(Sent {
            id: ts.map(|ts| format!("{room}:{ts}")),
        })
    }

    async fn edit(&self, id: &str, outgoing: &Outgoing) -> Result<(), SendError> {
        let Some((room, ts)) = id.split_once(':') else {
            return Err(SendError::Refused(format!(
                "{id} is no sending of this channel"
            )));
        };
        let mut message = Self::message(outgoing, room);
        message["ts"] = json!(ts);
        self.api.post("chat.update", &message).await.map(drop)
    }

    async fn find(&self, outgoing: &Outgoing) -> Result<Option<Sent>, SendError> {
        let room = &outgoing.place.room;
        let mut query = vec![
            ("channel", room.as_str()),
            ("include_all_metadata", "true"),
            ("limit", "200"),
        ];
        // Nothing that answers a message is older than the message.
        let asked = outgoing.in_reply_to.as_deref();
        if let Some((_, ts)) = asked.and_then(|id| id.rsplit_once(':')) {
            query.push(("oldest", ts));
        }
        let method = match &outgoing.place.thread {
            Some(thread) => {
                query.push(("ts", thread));
                "conversations.replies"
            }
            None => "conversations.history",
        };
        let answer = self.api.form(method, &query).await?;
        let messages = answer["messages"].as_array();
        let ours = messages.into_iter().flatten().find(|message| {
            message["metadata"]["event_payload"]["key"].as_str() == Some(&outgoing.key)
        });
        Ok(ours.map(|message| Sent {
            id: message["ts"].as_str().map(|ts| format!("{room}:{ts}")),
        }))
    }
}
