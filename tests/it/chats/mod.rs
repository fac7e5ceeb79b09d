//! Bots on chat platforms that fail: the whole daemon between the mocks of platforms and a model.

mod feishu;
mod kills;
mod slack;
mod telegram;

use std::collections::HashMap;
use std::time::Duration;

use moltbot_platforms::{Feishu, Slack, Telegram};
use moltbot_tests::{Daemon, Home};
use serde_json::Value;

/// A home with an echo, a slow talker, and these channels.
fn home(channels: &str) -> Home {
    let home = Home::with(
        "models:
  - { name: echo, provider: builtin }
  - { name: slow, provider: builtin, model: script, params: { text: \"one two three four five six\", pace: 600ms } }
  - { name: down, provider: builtin, model: script, params: { fail: 500 } }
",
    );
    home.write("workspace/channels.toml", channels);
    home
}

/// A channel of the home; `more` are lines of its own.
fn slack(slack: &Slack, more: &str) -> String {
    format!(
        "[channel.slack]\nenabled = true\nrate_limit = \"100000/min\"\nbase_url = \"{}\"\nbot_token = \"{}\"\n{more}\n",
        slack.url(),
        Slack::BOT_TOKEN
    )
}

fn socket_mode() -> String {
    format!("app_token = \"{}\"", Slack::APP_TOKEN)
}

fn events_api() -> String {
    format!("signing_secret = \"{}\"", Slack::SIGNING_SECRET)
}

fn telegram(telegram: &Telegram, more: &str) -> String {
    format!(
        "[channel.telegram]\nenabled = true\nrate_limit = \"100000/min\"\nbase_url = \"{}\"\nbot_token = \"{}\"\n{more}\n",
        telegram.url(),
        Telegram::TOKEN
    )
}

fn feishu(feishu: &Feishu, more: &str) -> String {
    format!(
        "[channel.feishu]\nenabled = true\nrate_limit = \"100000/min\"\nbase_url = \"{}\"\napp_id = \"{}\"\napp_secret = \"{}\"\n{more}\n",
        feishu.url(),
        Feishu::APP_ID,
        Feishu::APP_SECRET
    )
}

fn encrypted() -> String {
    format!("encrypt_key = \"{}\"", Feishu::ENCRYPT_KEY)
}

/// The daemon, once its channel runs.
fn running(home: &Home, channel: &str) -> Daemon {
    let mut daemon = home.start();
    daemon.wait_for(|_| (state(home, channel) == "running").then_some(()));
    daemon
}

fn listed(home: &Home, channel: &str) -> Value {
    let list = home.ctl(&["channel", "list", "--output", "json"]).json();
    let mut list = list.as_array().expect("a list").clone();
    let at = list.iter().position(|entry| entry["name"] == channel);
    list.swap_remove(at.expect("the channel is listed"))
}

fn state(home: &Home, channel: &str) -> String {
    let listed = listed(home, channel);
    listed["state"].as_str().expect("a state").to_owned()
}

async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not happen: {what}");
}

/// How often each text stands there.
fn times<'a>(texts: impl IntoIterator<Item = &'a str>) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for text in texts {
        *times.entry(text.to_owned()).or_default() += 1;
    }
    times
}

/// The sendings of the home by their state.
fn outbox(home: &Home) -> HashMap<String, usize> {
    let list = home.ctl(&["outbox", "list", "--output", "json"]).json();
    let list = list.as_array().expect("a list");
    times(list.iter().filter_map(|row| row["state"].as_str()))
}
