//! Telegram: messages by long polling or by posts with a secret, answers by `sendMessage`.
//!
//! The bot's token is a part of every address, so no address ever stands in an error. Telegram knows no idempotency
//! key and shows bots no history: a sending without an answer stays unknown.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use http::Request;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::answer::text;
use crate::channel::{Account, Channel, ChannelError, Host, Received, Refused};
use crate::client::client;
use crate::render::{Platform, render};
use crate::send::{Capabilities, Chunk, Format, Outgoing, Place, SendError, Sent};
use api::Api;
use update::Bot;

mod api;
mod entities;
mod poll;
#[cfg(test)]
mod tests;
mod update;

/// The base URL of Telegram itself.
pub const BASE_URL: &str = "https://api.telegram.org";

/// Most groups whose move to another id is remembered; a forgotten one is learnt again with one refused sending.
const MOVED: usize = 1000;

/// How a Telegram channel works.
#[derive(Clone, Debug)]
pub struct TelegramSettings {
    /// The host's root; `/botTOKEN/METHOD` is added.
    pub base_url: String,
    /// The bot's token.
    pub bot_token: SecretString,
    /// With it messages arrive as posts that carry it; without it they are polled.
    pub webhook_secret: Option<SecretString>,
}

/// A bot of Telegram.
pub struct Telegram {
    settings: TelegramSettings,
    api: Api,
    /// As whom the bot is logged in, once known.
    bot: OnceLock<Bot>,
    /// Groups that became supergroups, and under which id they go on.
    moved: Mutex<HashMap<String, String>>,
}

impl Telegram {
    /// The channel. Nothing is connected yet.
    ///
    /// # Errors
    /// `webhook_secret` is blank, or TLS can't be set up.
    pub fn new(settings: TelegramSettings) -> Result<Self, ChannelError> {
        let secret = settings.webhook_secret.as_ref();
        if secret.is_some_and(|secret| secret.expose_secret().trim().is_empty()) {
            return Err(ChannelError("webhook_secret is blank".to_owned()));
        }
        Ok(Self {
            api: Api::new(client()?, &settings.base_url, settings.bot_token.clone()),
            settings,
            bot: OnceLock::new(),
            moved: Mutex::default(),
        })
    }

    async fn identify(&self) -> Result<Account, ChannelError> {
        let me = self.api.call("getMe", &json!({})).await;
        let me = me.map_err(|error| ChannelError(format!("getMe: {error}")))?;
        let bot = Bot {
            id: me["id"].as_i64().unwrap_or_default(),
            name: text(&me, "username").to_owned(),
        };
        let account = Account {
            id: bot.id.to_string(),
            name: bot.name.clone(),
        };
        // A token belongs to one bot for good.
        let _ = self.bot.set(bot);
        Ok(account)
    }

    /// Calls a method that writes into a chat; where the chat has moved, once more under its new id.
    async fn write(&self, method: &str, chat: &str, mut body: Value) -> Result<Value, SendError> {
        let moved = |chat: &str| self.moved.lock().ok()?.get(chat).cloned();
        let chat = moved(chat).unwrap_or_else(|| chat.to_owned());
        body["chat_id"] = chat_id(&chat);
        match self.api.write(method, &body).await {
            Err(api::Failure::Moved(to)) => {
                body["chat_id"] = json!(to);
                if let Ok(mut moved) = self.moved.lock()
                    && moved.len() < MOVED
                {
                    moved.insert(chat, to.to_string());
                }
                self.api.call(method, &body).await
            }
            Err(api::Failure::Send(error)) => Err(error),
            Ok(result) => Ok(result),
        }
    }

    fn body(outgoing: &Outgoing) -> Value {
        let mut body = json!({
            "text": outgoing.text,
            // A link that a model wrote is not fetched by anybody.
            "link_preview_options": { "is_disabled": true },
        });
        if outgoing.marked {
            body["parse_mode"] = json!("HTML");
        }
        body
    }
}

#[async_trait]
impl Channel for Telegram {
    fn kind(&self) -> &'static str {
        "telegram"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            edit: true,
            typing: true,
            idempotent: false,
        }
    }

    fn render(&self, answer: &str, format: Format) -> Vec<Chunk> {
        render(answer, Platform::Telegram, format)
    }

    fn takes_posts(&self) -> bool {
        self.settings.webhook_secret.is_some()
    }

    fn receive(&self, request: &Request<Bytes>, _: SystemTime) -> Result<Received, Refused> {
        let secret = self.settings.webhook_secret.as_ref();
        let secret = secret.ok_or_else(Refused::nothing_here)?.expose_secret();
        let told = request.headers().get("x-telegram-bot-api-secret-token");
        let told = told.map(|told| told.as_bytes()).unwrap_or_default();
        if verify_slices_are_equal(told, secret.as_bytes()).is_err() {
            let reason = "X-Telegram-Bot-Api-Secret-Token is missing or wrong";
            return Err(Refused::untrusted(reason));
        }
        let update: Value = serde_json::from_slice(request.body())
            .map_err(|error| Refused::malformed(format!("the body is no update: {error}")))?;
        let message = update::read(&update, self.bot.get()).map_err(Refused::malformed)?;
        Ok(Received::messages(message.into_iter().collect()))
    }

    async fn listen(&self, host: &dyn Host, stop: CancellationToken) -> Result<(), ChannelError> {
        self.identify().await?;
        if self.takes_posts() {
            host.up();
            stop.cancelled().await;
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            failed = poll::poll(&self.api, &self.bot, host) => failed,
        }
    }

    async fn login(&self) -> Result<Account, ChannelError> {
        self.identify().await
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Sent, SendError> {
        let mut body = Self::body(outgoing);
        let room = &outgoing.place.room;
        if let Some(thread) = &outgoing.place.thread {
            body["message_thread_id"] = chat_id(thread);
        }
        // In a group it shows whom the answer is for.
        let asked = outgoing.in_reply_to.as_deref();
        let asked = asked.and_then(|id| id.rsplit_once(':')?.1.parse::<i64>().ok());
        if let Some(asked) = asked.filter(|_| room.starts_with('-')) {
            body["reply_parameters"] = json!({
                "message_id": asked,
                "allow_sending_without_reply": true,
            });
        }
        let sent = self.write("sendMessage", room, body).await?;
        let chat = sent["chat"]["id"].as_i64().map(|id| id.to_string());
        let chat = chat.as_ref().unwrap_or(room);
        let id = sent["message_id"].as_i64();
        Ok(Sent {
            id: id.map(|id| format!("{chat}:{id}")),
        })
    }

    async fn edit(&self, id: &str, outgoing: &Outgoing) -> Result<(), SendError> {
        let Some((chat, message)) = id.rsplit_once(':') else {
            return Err(SendError::Refused(format!(
                "{id} is no sending of this channel"
            )));
        };
        let mut body = Self::body(outgoing);
        body["message_id"] = chat_id(message);
        match self.write("editMessageText", chat, body).await {
            // It says already what it shall say.
            Err(SendError::Refused(reason)) if reason.contains("message is not modified") => Ok(()),
            edited => edited.map(drop),
        }
    }

    async fn typing(&self, place: &Place) -> Result<(), SendError> {
        let mut body = json!({ "action": "typing" });
        if let Some(thread) = &place.thread {
            body["message_thread_id"] = chat_id(thread);
        }
        self.write("sendChatAction", &place.room, body)
            .await
            .map(drop)
    }
}

/// Ids are numbers; `@name` is a public room.
fn chat_id(text: &str) -> Value {
    text.parse::<i64>()
        .map_or_else(|_| json!(text), |id| json!(id))
}
