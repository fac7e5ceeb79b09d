//! The fault laboratory: a real `moltbotd` in front of upstreams that fail, and what callers felt of it. See README.md of this package.

mod ask;
mod client;
mod daemon;
mod figures;
mod haproxy;
mod lab;
mod load;
mod raw;
mod scenario;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::figures::Report;
use crate::lab::{Failure, Lab, Size};
use crate::scenario::Scenario;

/// Runs moltbotd against upstreams that fail as they are told, and reports what callers felt.
///
/// Exit: 0 every target was reached, 1 one was missed, 2 the laboratory itself failed.
/// Example: lab r1 r3 --quick --markdown docs/evidence/faults.md
#[derive(Parser)]
struct Args {
    /// The scenarios to run [default: all]
    scenarios: Vec<Scenario>,
    /// Reduced counts: under half a minute each
    #[arg(long, conflicts_with = "long")]
    quick: bool,
    /// Full counts: up to ten minutes each
    #[arg(long)]
    long: bool,
    /// Exit 1 only for damage: what was lost, wrong or cut in silence. What depends on the machine is told
    #[arg(long)]
    damage_only: bool,
    /// Decides which request meets which fault
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write the report to this file
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// The daemon to run [default: the one beside this program]
    #[arg(long)]
    moltbotd: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every target was reached.
async fn run(args: Args) -> Result<bool, Failure> {
    let moltbotd = match args.moltbotd {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("moltbotd"),
    };
    if !moltbotd.is_file() {
        let build = "build it (`cargo build --release -p moltbotd`) or name it with --moltbotd";
        return Err(format!("{} is missing: {build}", moltbotd.display()).into());
    }
    let size = match (args.quick, args.long) {
        (true, _) => Size::Quick,
        (_, true) => Size::Long,
        _ => Size::Usual,
    };
    let lab = Lab::new(moltbotd, args.seed, size);
    let scenarios = match args.scenarios.as_slice() {
        [] => Scenario::ALL,
        chosen => chosen,
    };

    // Whichever ends first: daemons are dropped with the scenario, and killed by that.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = measure(&lab, scenarios) => report,
        _ = interrupt.recv() => return Err("interrupted".into()),
        _ = terminate.recv() => return Err("terminated".into()),
    };
    let text = report.to_string();
    println!("{text}");
    if let Some(path) = args.markdown {
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(match args.damage_only {
        true => report.is_undamaged(),
        false => report.is_met(),
    })
}

async fn measure(lab: &Lab, scenarios: &[Scenario]) -> Report {
    let mut report = Report::new(lab);
    for scenario in scenarios {
        eprintln!("{scenario} …");
        match Box::pin(scenario.run(lab)).await {
            Ok(rows) => report.rows.extend(rows),
            Err(error) => report.broken.push(format!("{scenario}: {error}")),
        }
    }
    report
}
