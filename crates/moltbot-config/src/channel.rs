//! `channels.toml`: where people talk to the bots of a workspace.

mod build;

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::policy::FilterName;
use crate::rate::Rate;
use crate::unit::{self, PositiveTime};

pub(crate) use build::{Scene, build};

/// A channel of a workspace.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name, unique in its workspace.
    pub name: String,
    /// What it is.
    pub kind: ChannelKind,
    /// Whether it shall run.
    pub enabled: bool,
    /// Most messages of one sender.
    pub rate_limit: Rate,
    /// Turns that are kept; 0 is none.
    pub context_window: usize,
    /// What becomes of the answer's Markdown.
    pub message_format: MessageFormat,
    /// Who answers; `None`: the first chat model that the policy lets the workspace see.
    pub model: Option<String>,
    /// Filters on messages and on answers.
    pub filter: Vec<FilterName>,
    /// Senders, rooms (`#r1`) or `*`.
    pub allow: Vec<String>,
    /// Where the platform is reached instead of its public address.
    pub base_url: Option<String>,
    /// How messages arrive.
    pub mode: ChannelMode,
    /// Where answers are posted; only of a webhook.
    pub reply_url: Option<String>,
    /// Origins that may embed the page; only of a web chat.
    pub allow_origins: Vec<String>,
    /// Whether it answers in a group only when named.
    pub mention: bool,
    /// What it says before the first answer of a conversation.
    pub greeting: Option<String>,
    /// Older answers are not sent any more; counted from the message's arrival.
    pub reply_ttl: Duration,
    /// Whose context a conversation has.
    pub session: SessionOf,
    /// Whether an answer grows by edits, where the platform can.
    pub stream: bool,
    /// Tells several accounts of one platform apart.
    pub account: Option<String>,
    /// The system prompt.
    pub system: Option<String>,
    /// The application, as the platform knows it.
    pub app_id: Option<String>,
    /// Its secrets, by key; those of [`ChannelKind`] that it needs are all there where `missing` is `None`.
    pub secrets: BTreeMap<&'static str, SecretString>,
    /// Which secret is missing, and how to give it, in one sentence: such a channel does not start.
    pub missing: Option<String>,
}

impl Channel {
    /// The secret under that key of the file.
    pub fn secret(&self, key: &str) -> Option<&SecretString> {
        self.secrets.get(key)
    }
}

/// Keys that hold secrets.
pub(crate) const SECRETS: [&str; 7] = [
    "bot_token",
    "app_token",
    "signing_secret",
    "webhook_secret",
    "secret",
    "app_secret",
    "encrypt_key",
];

/// Where people talk to the bots of a workspace.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "channels.toml")]
pub(crate) struct ChannelsForm {
    /// The channels, by name.
    #[schemars(with = "BTreeMap<String, ChannelForm>")]
    pub(crate) channel: IndexMap<String, ChannelForm>,
}

/// A channel, of the kind it is named after or of `kind`. One whose secrets are missing does not start; `status` says which.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ChannelForm {
    /// Whether it shall run.
    pub(crate) enabled: bool,
    /// What it is; its name where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<ChannelKind>,
    /// Most messages of one sender.
    pub(crate) rate_limit: Rate,
    /// Turns that are kept: a message and its answer. With 0 the model sees the new message alone.
    #[schemars(range(max = 1000))]
    pub(crate) context_window: usize,
    /// What becomes of the answer's Markdown: the platform's own formatting, text without marks, or as the model wrote it.
    pub(crate) message_format: MessageFormat,
    /// Who answers; the first chat model that the policy lets the workspace see where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) model: Option<String>,
    /// Filters on messages and on answers.
    pub(crate) filter: Vec<FilterName>,
    /// Who is answered: senders (`u1`), rooms (`#r1`) or everybody (`*`). An empty list is nobody.
    pub(crate) allow: Vec<String>,
    /// Where the platform is reached instead of its public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "base-url"))]
    pub(crate) base_url: Option<String>,
    /// For `slack` and `telegram`: the bot's token. Secrets stand here, better as `${env:NAME}`, or in `models/auth.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bot_token: Option<String>,
    /// For `slack`: the app's token, with which messages arrive by Socket Mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_token: Option<String>,
    /// For `slack`: proves that events come from the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_secret: Option<String>,
    /// For `telegram`: proves that messages come from the platform, in the place of polling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_secret: Option<String>,
    /// For `webhook`: `whsec_` and a key in base64, with which both sides sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
    /// For `feishu`: the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_id: Option<String>,
    /// For `feishu`: the application's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_secret: Option<String>,
    /// For `feishu`: the key of encrypted events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encrypt_key: Option<String>,
    /// For `feishu`: how messages arrive, by events or over a long connection.
    pub(crate) mode: ChannelMode,
    /// For `webhook`: where answers are posted; in the response where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "token-url"))]
    pub(crate) reply_url: Option<String>,
    /// For `web`: origins of pages that may embed the chat.
    pub(crate) allow_origins: Vec<String>,
    /// Whether it answers in a group only when named.
    pub(crate) mention: bool,
    /// What it says before the first answer of a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) greeting: Option<String>,
    /// Older answers are not sent late; counted from the message's arrival.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub(crate) reply_ttl: Duration,
    /// Whose context a conversation has: each sender's own, or that of all in the room.
    pub(crate) session: SessionOf,
    /// Whether an answer grows by edits, where the platform can.
    pub(crate) stream: bool,
    /// Tells several accounts of one platform apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
}

impl Default for ChannelForm {
    fn default() -> Self {
        Self {
            enabled: false,
            kind: None,
            rate_limit: Rate {
                count: 20,
                per: Duration::from_secs(60),
            },
            context_window: 10,
            message_format: MessageFormat::default(),
            model: None,
            filter: Vec::new(),
            allow: vec!["*".to_owned()],
            base_url: None,
            bot_token: None,
            app_token: None,
            signing_secret: None,
            webhook_secret: None,
            secret: None,
            app_id: None,
            app_secret: None,
            encrypt_key: None,
            mode: ChannelMode::default(),
            reply_url: None,
            allow_origins: Vec::new(),
            mention: true,
            greeting: None,
            reply_ttl: Duration::from_secs(600),
            session: SessionOf::default(),
            stream: true,
            account: None,
            system: None,
        }
    }
}

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// A page of our own.
    Web,
    /// Signed posts of other programs.
    Webhook,
    /// Slack.
    Slack,
    /// Telegram.
    Telegram,
    /// Feishu.
    Feishu,
    /// DingTalk.
    Dingtalk,
    /// WeCom.
    Wecom,
    /// WeChat.
    Wechat,
    /// Discord.
    Discord,
    /// Matrix.
    Matrix,
    /// Mattermost.
    Mattermost,
    /// IRC.
    Irc,
    /// E-mail.
    Email,
}

impl ChannelKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Web,
        Self::Webhook,
        Self::Slack,
        Self::Telegram,
        Self::Feishu,
        Self::Dingtalk,
        Self::Wecom,
        Self::Wechat,
        Self::Discord,
        Self::Matrix,
        Self::Mattermost,
        Self::Irc,
        Self::Email,
    ];

    /// Its word: `slack`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Telegram => "telegram",
            Self::Feishu => "feishu",
            Self::Dingtalk => "dingtalk",
            Self::Wecom => "wecom",
            Self::Wechat => "wechat",
            Self::Discord => "discord",
            Self::Matrix => "matrix",
            Self::Mattermost => "mattermost",
            Self::Irc => "irc",
            Self::Email => "email",
        }
    }

    /// The kind of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What becomes of the Markdown of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageFormat {
    /// The platform's own formatting.
    #[default]
    Markdown,
    /// Text without marks.
    Plain,
    /// As the model wrote it.
    Native,
}

/// How messages arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelMode {
    /// As the platform's other keys say.
    #[default]
    Events,
    /// Over a long connection.
    Socket,
}

/// Whose context a conversation has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionOf {
    /// Each sender's own.
    #[default]
    Sender,
    /// That of all in the room.
    Room,
}
