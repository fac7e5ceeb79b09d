//! The channels of a workspace: their state, switching them, trying them out.

use std::time::Duration;

use moltbot_channels::{Driver, Message};
use moltbot_config::config::Channel;
use moltbot_types::Workspace;
use moltbot_types::admin::{ChannelOrder, Done};

use super::{Admin, Answer, Refusal, json, seen};
use crate::channels::{at_rest, platform};

/// A platform that has not let us in within this time will not.
const LOGGED_IN_WITHIN: Duration = Duration::from_secs(30);

impl Admin {
    pub(super) fn channels(&self, scope: &Workspace) -> Answer {
        if let Some(daemon) = &self.daemon {
            seen::workspace(&daemon.live.snapshot().config, scope)?;
            return json(&daemon.channels.statuses(Some(scope)));
        }
        let loaded = self.load()?;
        let workspace = seen::workspace(&loaded.config, scope)?;
        let channels = workspace.channels.iter().flatten();
        let states: Vec<_> = channels.map(|channel| at_rest(scope, channel)).collect();
        json(&states)
    }

    /// Does something with one channel.
    pub(super) async fn channel(
        &self,
        scope: &Workspace,
        name: &str,
        what: &str,
        order: ChannelOrder,
    ) -> Answer {
        match what {
            "enable" => self.switch(scope, name, true).await,
            "disable" => self.switch(scope, name, false).await,
            "test" => self.log_in(scope, name).await,
            "send" => self.send(scope, name, order).await,
            "simulate" => self.simulate(scope, name, order).await,
            _ => Err(Refusal::missing(format!("a channel has no `{what}`"))),
        }
    }

    async fn switch(&self, scope: &Workspace, name: &str, on: bool) -> Answer {
        let edit = self.edit_models(Some(scope), |editor| editor.enable_channel(name, on));
        edit?;
        if let Some(daemon) = &self.daemon {
            daemon.live.reload().await?;
        }
        let word = if on { "enabled" } else { "disabled" };
        done(format!("the channel `{name}` is {word}"))
    }

    async fn log_in(&self, scope: &Workspace, name: &str) -> Answer {
        let channel = self.configured(scope, name)?;
        if let Some(missing) = &channel.missing {
            return Err(Refusal::failed(missing));
        }
        let platform = platform(&channel).map_err(|error| Refusal::failed(error.to_string()))?;
        let login = tokio::time::timeout(LOGGED_IN_WITHIN, platform.login()).await;
        match login {
            Ok(Ok(account)) if account.id.is_empty() => {
                done(format!("`{name}` needs no login; it is ready"))
            }
            Ok(Ok(account)) => done(format!(
                "`{name}` is logged in as {} ({})",
                account.name, account.id
            )),
            Ok(Err(error)) => Err(Refusal::failed(format!("`{name}`: {error}"))),
            Err(_) => Err(Refusal::failed(format!(
                "`{name}`: the platform did not answer within {} s",
                LOGGED_IN_WITHIN.as_secs()
            ))),
        }
    }

    async fn send(&self, scope: &Workspace, name: &str, order: ChannelOrder) -> Answer {
        let driver = self.at_work(scope, name)?;
        let room = order.room.unwrap_or_default();
        if room.is_empty() || order.text.is_empty() {
            return Err(Refusal::usage("a sending needs a room and a text"));
        }
        match driver.send(&room, &order.text).await {
            Ok(()) => done(format!("sent to {room}")),
            Err(error) => Err(Refusal::failed(format!("`{name}`: {error}"))),
        }
    }

    async fn simulate(&self, scope: &Workspace, name: &str, order: ChannelOrder) -> Answer {
        let driver = self.at_work(scope, name)?;
        let message = Message {
            id: "simulated".to_owned(),
            group: order.room.is_some(),
            mentioned: true,
            sender: order.sender,
            room: order.room,
            text: order.text,
            ..Message::default()
        };
        json(&driver.simulate(message, order.deliver).await)
    }

    /// A channel as its file says.
    fn configured(&self, scope: &Workspace, name: &str) -> Result<Channel, Refusal> {
        let loaded = self.load()?;
        let workspace = seen::workspace(&loaded.config, scope)?;
        let mut channels = workspace.channels.iter().flatten();
        let channel = channels.find(|channel| channel.name == name);
        channel.cloned().ok_or_else(|| unknown(name))
    }

    /// A channel that works.
    fn at_work(&self, scope: &Workspace, name: &str) -> Result<Driver, Refusal> {
        let daemon = self.daemon()?;
        if let Some(driver) = daemon.channels.driver(scope.as_str(), name) {
            return Ok(driver);
        }
        let states = daemon.channels.statuses(Some(scope));
        let state = states.into_iter().find(|channel| channel.name == name);
        let state = state.ok_or_else(|| unknown(name))?;
        let reason = state.reason.unwrap_or_default();
        Err(Refusal::failed(format!(
            "the channel `{name}` does not run, it is {}: {reason}",
            state.state
        )))
    }
}

fn done(detail: String) -> Answer {
    json(&Done { ok: true, detail })
}

fn unknown(name: &str) -> Refusal {
    Refusal::missing(format!(
        "there is no channel `{name}`; `moltctl channel list` names those there are"
    ))
}
