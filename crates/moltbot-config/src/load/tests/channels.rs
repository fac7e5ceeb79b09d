use super::*;
use crate::config::{Channel, ChannelKind, FilterName, MessageFormat, SessionOf};

const MODEL: &str = "models: [{name: m, provider: builtin, model: echo}]\n";

fn channels(toml: &str) -> Bench {
    bench(MODEL).file(CHANNELS_FILE, toml)
}

fn first(bench: &Bench) -> Channel {
    let config = bench.config();
    let channels = config.workspace("default").unwrap().channels.clone();
    channels.expect("the file is valid").remove(0)
}

#[test]
fn the_contracts_example_loads_as_printed() {
    let bench = channels(
        r##"[channel.slack]
enabled = true
rate_limit = "10/min"            # per sender
context_window = 5
message_format = "markdown"
model = "m"
filter = ["pii", "secrets"]
allow = ["*"]
base_url = "https://slack.com/api"
bot_token = "${env:SLACK_BOT_TOKEN}"
"##,
    )
    .env("SLACK_BOT_TOKEN", "xoxb-1");
    assert!(bench.parts().is_empty());
    let slack = first(&bench);
    assert_eq!(slack.kind, ChannelKind::Slack);
    assert_eq!(slack.rate_limit.to_string(), "10/min");
    assert_eq!(slack.filter, [FilterName::Pii, FilterName::Secrets]);
    assert_eq!(slack.secret("bot_token").unwrap().expose_secret(), "xoxb-1");
    assert!(
        slack
            .missing
            .unwrap()
            .starts_with("the signing_secret (or the app_token")
    );
}

#[test]
fn what_is_not_said_has_the_defaults_of_the_contract() {
    let web = first(&channels("[channel.web]\nenabled = true\n"));
    assert_eq!(
        (web.context_window, web.rate_limit.to_string()),
        (10, "20/min".to_owned())
    );
    assert_eq!(web.message_format, MessageFormat::Markdown);
    assert_eq!(web.session, SessionOf::Sender);
    assert_eq!(web.reply_ttl, Duration::from_secs(600));
    assert_eq!(web.allow, ["*"]);
    assert!(web.mention && web.stream && web.model.is_none() && web.missing.is_none());
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let parts = channels(
        "[channel.slack]\nenabld = true\nrate_limit = \"10/m\"\nfilter = [\"pi\"]\nmodel = \"mm\"\n[channel.discord]\n[channel.bot]\n[channel.x]\nkind = \"irc\"\n[channel.y]\nkind = \"slak\"\n",
    )
    .parts();
    let starts = [
        "workspace/channels.toml:2:1: channel.slack.enabld: unknown key; the nearest is \"enabled\"",
        "workspace/channels.toml:3:1: channel.slack.rate_limit: expected a rate such as",
        "workspace/channels.toml:4:11: channel.slack.filter.0: expected one of pii, secrets, words, safety; the nearest is \"pii\"",
        "workspace/channels.toml:5:1: channel.slack.model: there is no model \"mm\"; the nearest is \"m\"",
        "workspace/channels.toml:6:10: channel.discord: not supported by this version",
        "workspace/channels.toml:7:10: channel.bot: has no `kind`, and its name is none",
        "workspace/channels.toml:9:1: channel.x.kind: not supported by this version",
        "workspace/channels.toml:11:1: channel.y.kind: expected one of web, webhook, slack",
    ];
    assert_eq!(parts.len(), starts.len(), "{parts:#?}");
    for (part, start) in parts.iter().zip(starts) {
        assert!(
            part.starts_with(start),
            "{part}
{start}"
        );
    }
}

#[test]
fn a_channel_that_names_a_forbidden_model_is_an_error_of_its_file() {
    let bench = bench(MODEL)
        .file("workspaces/team/policy.yaml", "models: []\n")
        .file(
            "workspaces/team/channels.toml",
            "[channel.web]\nmodel = \"m\"\n",
        );
    assert!(bench.part().starts_with(
        "workspaces/team/channels.toml:2:1: channel.web.model: the policy forbids the model \"m\""
    ));
    let config = bench.config();
    let team = config.workspace("team").unwrap();
    assert!(team.rules.is_some() && team.channels.is_none());
}

#[test]
fn secrets_stand_in_auth_json_under_the_channels_name() {
    let auth = r#"{"channel.telegram": {"bot_token": "t1"}, "team/channel.telegram": {"bot_token": "t2"}}"#;
    let toml = "[channel.telegram]\nenabled = true\n";
    let bench = channels(toml)
        .file("workspaces/team/channels.toml", toml)
        .file("workspaces/other/channels.toml", toml)
        .file("models/auth.json", auth);
    let config = bench.config();
    let channel = |name| {
        let channels = config.workspace(name).unwrap().channels.as_ref();
        channels.unwrap()[0].clone()
    };
    let token = |name| {
        channel(name)
            .secret("bot_token")
            .map(|token| token.expose_secret().to_owned())
    };
    assert_eq!(token("default").as_deref(), Some("t1"));
    assert_eq!(token("team").as_deref(), Some("t2"));
    assert_eq!(token("other"), None);
    let missing = channel("other").missing.unwrap();
    assert!(missing.contains("\"other/channel.telegram\""), "{missing}");
}

#[test]
fn a_missing_secret_is_no_mistake_and_is_told_in_words() {
    let bench = channels(
        "[channel.feishu]\napp_id = \"a\"\napp_secret = \"${env:NONE}\"\n[channel.bot]\nkind = \"webhook\"\n",
    );
    assert!(bench.parts().is_empty());
    let missing = first(&bench).missing.unwrap();
    assert_eq!(
        missing,
        "the app_secret is missing: the variable NONE is not set"
    );
    let socket =
        channels("[channel.feishu]\nmode = \"socket\"\napp_id = \"a\"\napp_secret = \"s\"\n");
    assert_eq!(first(&socket).missing, None);
}

#[test]
fn channels_of_the_default_workspace_stand_in_one_place() {
    let part = bench(MODEL)
        .file("workspaces/default/channels.toml", "# x\n")
        .part();
    assert!(
        part.contains("move it to workspace/channels.toml"),
        "{part}"
    );
}
