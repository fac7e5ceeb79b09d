//! One module for each group of commands; each asks the admin service and shows the answer.

mod audit;
mod auth;
mod cache;
mod channel;
mod chat;
mod config;
mod doctor;
mod drill;
mod init;
mod key;
mod logs;
mod model;
mod monitor;
mod outbox;
mod pull;
mod shell;
mod skill;
mod status;
mod test;
mod top;
mod usage;
mod workspace;

use crate::cli::{Cli, Command, Global, Output};
use crate::client::Client;
use crate::failure::Failure;

/// What a command works with.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) global: Global,
}

impl Context {
    /// Whether a program reads the output.
    pub(crate) fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// Says what was done, unless told to be quiet.
    pub(crate) fn done(&self, text: &str) -> Result<(), Failure> {
        if self.json() {
            return crate::output::json(&serde_json::json!({ "ok": true, "detail": text }));
        }
        if self.global.quiet {
            return Ok(());
        }
        crate::output::line(text)
    }
}

pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Completions { shell } => return shell::completions(shell),
        Command::Man => return shell::man(),
        _ => {}
    }
    let context = Context {
        client: Client::new(cli.global.home.clone(), cli.global.workspace.clone())?,
        global: cli.global,
    };
    match cli.command {
        Command::Init { yes } => init::run(&context, yes),
        Command::Status => status::run(&context).await,
        Command::Top(top) => top::run(&context, &top).await,
        Command::Drill(drill) => drill::run(&context, drill).await,
        Command::Chat { model, text } => chat::run(&context, model, text.join(" ")).await,
        Command::Channel(command) => channel::run(&context, command).await,
        Command::Outbox(command) => outbox::run(&context, command).await,
        Command::Config(command) => config::run(&context, command).await,
        Command::Key(command) => key::run(&context, command).await,
        Command::Audit { command } => audit::run(&context, command).await,
        Command::Doctor { security, fix } => doctor::run(&context, security, fix).await,
        Command::Auth(command) => auth::run(&context, command).await,
        Command::Cache(command) => cache::run(&context, &command).await,
        Command::Model(command) => model::run(&context, command).await,
        Command::Workspace(command) => workspace::run(&context, command).await,
        Command::Monitor(command) => monitor::run(&context, &command).await,
        Command::Logs(logs) => logs::run(&context, &logs).await,
        Command::Test(command) => test::run(&context, command).await,
        Command::Skill(command) => skill::run(&context, command).await,
        Command::Usage(usage) => usage::run(&context, &usage).await,
        Command::Completions { .. } | Command::Man => Ok(()),
    }
}
