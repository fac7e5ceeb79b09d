//! From the form of `channels.toml` to checked channels: kinds, models, secrets.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::{Channel, ChannelForm, ChannelKind, ChannelMode, ChannelsForm, SECRETS};
use crate::check;
use crate::credential;
use crate::expand::{Failed, References};
use crate::home::AUTH;
use crate::names;
use crate::problem::{Problems, nearest};
use crate::report::Report;
use crate::tree::Node;

/// What channels stand in.
pub(crate) struct Scene<'a> {
    /// Where references lead.
    pub(crate) references: &'a References<'a>,
    /// What stands before `channel.NAME` in `auth.json`: nothing, or `NAME/`.
    pub(crate) entry: &'a str,
    /// Models that the workspace may use, and those it may not; `None` where nobody knows.
    pub(crate) models: Option<(&'a [&'a str], &'a [&'a str])>,
}

/// The checked channels; mistakes go to `problems`.
pub(crate) fn build(
    form: ChannelsForm,
    tree: &Node,
    scene: &Scene<'_>,
    problems: &mut Problems,
) -> Vec<Channel> {
    let channels = form.channel.into_iter();
    channels
        .filter_map(|(name, form)| {
            let (secrets, unset) = secrets(&name, tree, scene, problems);
            let wrong = format!("channel.{name}.kind");
            let is_told = problems.0.iter().any(|known| known.key == wrong);
            let mut report = Report::new(tree, problems);
            check_names(&name, &form, scene, &mut report);
            if is_told {
                return None;
            }
            let kind = kind(&name, &form, &mut report)?;
            let mut channel = channel(name, kind, form, secrets);
            channel.missing = unset.or_else(|| missing(&channel, scene.entry));
            Some(channel)
        })
        .collect()
}

fn channel(
    name: String,
    kind: ChannelKind,
    form: ChannelForm,
    secrets: BTreeMap<&'static str, SecretString>,
) -> Channel {
    Channel {
        name,
        kind,
        enabled: form.enabled,
        rate_limit: form.rate_limit,
        context_window: form.context_window,
        message_format: form.message_format,
        model: form.model,
        filter: form.filter,
        allow: form.allow,
        base_url: form.base_url,
        mode: form.mode,
        reply_url: form.reply_url,
        allow_origins: form.allow_origins,
        mention: form.mention,
        greeting: form.greeting,
        reply_ttl: form.reply_ttl,
        session: form.session,
        stream: form.stream,
        account: form.account,
        system: form.system,
        app_id: form.app_id,
        secrets,
        missing: None,
    }
}

fn check_names(name: &str, form: &ChannelForm, scene: &Scene<'_>, report: &mut Report<'_>) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        report.say(
            &["channel", name],
            "is no name of a channel",
            "write up to 64 letters, digits, `.`, `_` and `-`",
        );
    }
    let (Some(model), Some((may, may_not))) = (form.model.as_deref(), scene.models) else {
        return;
    };
    let path = ["channel", name, "model"];
    if may_not.contains(&model) {
        report.say(
            &path,
            format!("the policy forbids the model \"{model}\""),
            "choose another, or add it to policy.yaml",
        );
    } else if !may.contains(&model) {
        let hint = names::choose(model, may, "model");
        report.say(&path, format!("there is no model \"{model}\""), hint);
    }
}

/// What a channel is: `kind`, else its name.
fn kind(name: &str, form: &ChannelForm, report: &mut Report<'_>) -> Option<ChannelKind> {
    let kind = form.kind.or_else(|| ChannelKind::of(name));
    let Some(kind) = kind else {
        let near = nearest(name, ChannelKind::ALL.map(ChannelKind::word));
        let hint = match near {
            Some(near) => format!("name it {near}, or give it `kind = \"{near}\"`"),
            None => "give it one, as `kind = \"webhook\"`".to_owned(),
        };
        report.say(
            &["channel", name],
            "has no `kind`, and its name is none",
            hint,
        );
        return None;
    };
    if form.kind.is_none() && check::is_later_kind(kind.word()) {
        report.say(&["channel", name], check::NOT_SUPPORTED, "remove it");
    }
    Some(kind)
}

/// The secrets that are given, and in words the first that is asked for where there is nothing.
fn secrets(
    name: &str,
    tree: &Node,
    scene: &Scene<'_>,
    problems: &mut Problems,
) -> (BTreeMap<&'static str, SecretString>, Option<String>) {
    let mut given = BTreeMap::new();
    let mut missing = None;
    for key in SECRETS {
        let Some(written) = tree.find(&["channel", name, key]) else {
            continue;
        };
        match credential::secret(written, scene.references, |byte| byte.is_ascii_graphic()) {
            Ok(secret) => {
                given.insert(key, secret);
            }
            Err(Failed::Missing(why)) => {
                missing.get_or_insert(format!("the {key} is missing: {why}"));
            }
            Err(Failed::Broken(message)) => {
                Report::new(tree, problems).say(&["channel", name, key], message, "");
            }
        }
    }
    (given, missing)
}

/// What the channel needs and does not have, in one sentence.
fn missing(channel: &Channel, entry: &str) -> Option<String> {
    let has = |key: &str| channel.secrets.contains_key(key);
    let absent = match channel.kind {
        ChannelKind::Webhook if !has("secret") => "secret",
        ChannelKind::Slack | ChannelKind::Telegram if !has("bot_token") => "bot_token",
        ChannelKind::Slack if !has("signing_secret") && !has("app_token") => {
            "signing_secret (or the app_token, for Socket Mode)"
        }
        ChannelKind::Feishu if channel.app_id.is_none() => "app_id",
        ChannelKind::Feishu if !has("app_secret") => "app_secret",
        ChannelKind::Feishu if channel.mode == ChannelMode::Events && !has("encrypt_key") => {
            "encrypt_key"
        }
        _ => return None,
    };
    let name = &channel.name;
    Some(format!(
        "the {absent} is missing: write it into the channel, or under \"{entry}channel.{name}\" into {AUTH}"
    ))
}
