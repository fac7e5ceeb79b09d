//! Measures what a gateway costs: `moltbotd` and nginx against a bare proxy, side by side on one core. See README.md of this package.

mod campaign;
mod client;
mod drive;
mod host;
mod report;
mod servers;
mod shape;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::campaign::{Campaign, Plan};
use crate::host::{Cores, pin};
use crate::servers::{Kind, Launcher, nginx_is_installed};

/// Measures moltbotd and nginx against a bare proxy, each on one core, in turns.
///
/// Example: load --rounds 5 --only moltbotd --markdown docs/evidence/load.md
#[derive(Parser)]
struct Args {
    /// Rounds; in each, every server has its turn with every shape
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Length of a turn, in seconds
    #[arg(long, default_value = "1.5", value_parser = seconds)]
    seconds: Duration,
    /// Two short rounds: to see that it works, not to believe
    #[arg(long)]
    quick: bool,
    /// Arrivals a second in the open loop
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Servers to measure beside the floor, with commas between
    #[arg(long, value_delimiter = ',', default_values = ["nginx", "moltbotd"])]
    only: Vec<Kind>,
    /// Afterwards so many requests on each server, with its RSS at ten points
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    soak: u64,
    /// The daemon to measure; by default the one beside this program
    #[arg(long)]
    moltbotd: Option<PathBuf>,
    /// Also write the report to this file
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Take the programs as they are, do not have cargo bring them up to date
    #[arg(long)]
    no_build: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0.1..=60.0) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number from 0.1 to 60".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every answer was as expected.
fn run(args: Args) -> Result<bool, Box<dyn Error>> {
    let bins = std::env::current_exe()?
        .parent()
        .ok_or("this program is in no folder")?
        .to_owned();
    let mut kinds = vec![Kind::Floor];
    kinds.extend(args.only.iter().filter(|kind| **kind != Kind::Floor));
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.contains(&Kind::Nginx) && !nginx_is_installed() {
        eprintln!("nginx not installed: skipped");
        kinds.retain(|kind| *kind != Kind::Nginx);
    }
    if !args.no_build {
        build(&bins, "moltbot-benches")?;
        if kinds.contains(&Kind::Moltbotd) && args.moltbotd.is_none() {
            build(&bins, "moltbotd")?;
        }
    }
    let plan = Plan {
        rounds: if args.quick { 2 } else { args.rounds },
        turn: if args.quick {
            Duration::from_millis(400)
        } else {
            args.seconds
        },
        rate: args.rate,
        soak: args.soak,
    };
    let cores = Cores::pick()?;
    let machine = host::machine();
    pin(cores.load)?;
    let moltbotd = args.moltbotd.unwrap_or_else(|| bins.join("moltbotd"));
    let launcher = Launcher {
        cores,
        bins,
        moltbotd,
    };

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (text, sound) = runtime.block_on(async {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        // Whichever ends first: servers are dropped with the campaign, and killed by that.
        tokio::select! {
            done = Campaign::run(&launcher, &kinds, &plan) => {
                let campaign = done?;
                Ok((campaign.text(&machine, &kinds, &plan, cores), campaign.failures == 0))
            }
            _ = interrupt.recv() => Err(Box::<dyn Error>::from("interrupted")),
            _ = terminate.recv() => Err("terminated".into()),
        }
    })?;
    println!("{text}");
    if let Some(path) = args.markdown {
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(sound)
}

/// Has cargo build the release programs of `package` into the target folder that this program lies in.
fn build(bins: &Path, package: &str) -> Result<(), Box<dyn Error>> {
    let target = bins.parent().ok_or("this program is in no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--release",
            "--bins",
            "--package",
            package,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{package} does not build").into())
    }
}
