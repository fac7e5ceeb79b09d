//! `moltctl`: asks the admin service of a home and shows its answers; no logic of its own.

mod cli;
mod client;
mod commands;
mod failure;
mod output;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A worker that runs a skill is this program too; it goes no further.
    moltbot_gateway::skill_worker();
    // clap exits with 2 on wrong use and with 0 after help.
    let cli = cli::Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(cli)),
        Err(error) => Err(failure::Failure::failed(format!(
            "the runtime does not start: {error}"
        ))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit)
        }
    }
}
