//! From a channel of the configuration to its platform and its settings.

use std::sync::Arc;

use moltbot_channels::adapter::{feishu, slack, telegram, web, webhook};
use moltbot_channels::{Channel, ChannelError, Format, Rate, SessionBy, Settings};
use moltbot_config::config::{self, ChannelKind, ChannelMode, MessageFormat, SessionOf};
use moltbot_types::Workspace;
use secrecy::{ExposeSecret, SecretString};

/// Equal for channels whose platform is reached the same way.
pub(super) fn print(channel: &config::Channel) -> String {
    let mut hash = blake3::Hasher::new();
    let facts = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        channel.kind,
        channel.base_url,
        channel.mode,
        channel.reply_url,
        channel.app_id,
        channel.account,
    );
    hash.update(facts.as_bytes());
    for (key, secret) in &channel.secrets {
        hash.update(key.as_bytes());
        hash.update(blake3::hash(secret.expose_secret().as_bytes()).as_bytes());
    }
    hash.finalize().to_hex().to_string()
}

/// How a channel works.
pub(super) fn settings(workspace: &Workspace, channel: &config::Channel) -> Settings {
    let words = channel.filter.iter().map(|filter| filter.word().to_owned());
    Settings {
        workspace: workspace.clone(),
        name: channel.name.clone(),
        rate_limit: Rate {
            count: channel.rate_limit.count.try_into().unwrap_or(u32::MAX),
            per: channel.rate_limit.per,
        },
        context_window: channel.context_window,
        format: match channel.message_format {
            MessageFormat::Markdown => Format::Markdown,
            MessageFormat::Plain => Format::Plain,
            MessageFormat::Native => Format::Native,
        },
        model: channel.model.clone(),
        system: channel.system.clone(),
        filters: words.collect(),
        allow: channel.allow.clone(),
        mention: channel.mention,
        greeting: channel.greeting.clone(),
        reply_ttl: channel.reply_ttl,
        session: match channel.session {
            SessionOf::Sender => SessionBy::Sender,
            SessionOf::Room => SessionBy::Room,
        },
        stream: channel.stream,
        ..Settings::default()
    }
}

/// The platform of a channel.
///
/// # Errors
/// A secret or an address is none; a kind that this version does not have.
pub(super) fn build(channel: &config::Channel) -> Result<Arc<dyn Channel>, ChannelError> {
    let secret = |key: &str| -> Result<SecretString, ChannelError> {
        let missing = || ChannelError(format!("the {key} is missing"));
        channel.secret(key).cloned().ok_or_else(missing)
    };
    let at = |public: &str| {
        channel
            .base_url
            .clone()
            .unwrap_or_else(|| public.to_owned())
    };
    match channel.kind {
        ChannelKind::Web => Ok(Arc::new(web::Web)),
        ChannelKind::Webhook => {
            let secret = webhook::Secret::new(&secret("secret")?);
            let settings = webhook::WebhookSettings {
                secret: secret.map_err(|error| ChannelError(error.to_string()))?,
                reply_url: channel.reply_url.clone(),
            };
            Ok(Arc::new(webhook::Webhook::new(settings)?))
        }
        ChannelKind::Slack => {
            let settings = slack::SlackSettings {
                base_url: at(slack::BASE_URL),
                bot_token: secret("bot_token")?,
                signing_secret: channel.secret("signing_secret").cloned(),
                app_token: channel.secret("app_token").cloned(),
            };
            Ok(Arc::new(slack::Slack::new(settings)?))
        }
        ChannelKind::Telegram => {
            let settings = telegram::TelegramSettings {
                base_url: at(telegram::BASE_URL),
                bot_token: secret("bot_token")?,
                webhook_secret: channel.secret("webhook_secret").cloned(),
            };
            Ok(Arc::new(telegram::Telegram::new(settings)?))
        }
        ChannelKind::Feishu => {
            let settings = feishu::FeishuSettings {
                base_url: at(feishu::BASE_URL),
                app_id: channel.app_id.clone().unwrap_or_default(),
                app_secret: secret("app_secret")?,
                encrypt_key: match channel.mode {
                    ChannelMode::Socket => None,
                    ChannelMode::Events => Some(secret("encrypt_key")?),
                },
                verification_token: None,
            };
            Ok(Arc::new(feishu::Feishu::new(settings)?))
        }
        kind => {
            let word = kind.word();
            Err(ChannelError(format!(
                "{word} is not supported by this version"
            )))
        }
    }
}
