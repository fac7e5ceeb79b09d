//! Fake upstreams that fail as they are told, for trials by hand; see README.md of this package.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use moltbot_faultd::{Control, Fault, Mix, Server, Settings};

/// Fake upstreams that fail as they are told.
///
/// Example: faultd --servers 3 --fault 503=0.05 --fault reset=0.02
#[derive(Parser)]
struct Args {
    /// Servers, named a, b, c, …
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=26))]
    servers: u8,
    /// The port of the first server; the others follow. 0 takes free ones
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The control port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    control: u16,
    /// Decides which request meets which fault
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A fault and the share of requests that it hits, from 0 to 1; repeatable
    #[arg(long = "fault", value_name = "NAME=SHARE", value_parser = share)]
    faults: Vec<(Fault, f64)>,
}

fn share(text: &str) -> Result<(Fault, f64), String> {
    let (name, share) = text.split_once('=').ok_or("NAME=SHARE")?;
    let fault = name.parse().map_err(|error| format!("{error}"))?;
    match share.parse() {
        Ok(share @ 0.0..=1.0) => Ok((fault, share)),
        _ => Err("the share is a number from 0 to 1".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faultd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until it is interrupted.
async fn run(args: Args) -> io::Result<()> {
    let mut mix = Mix::none();
    for (fault, share) in args.faults {
        mix = mix.with(fault, share);
    }
    let mut servers = Vec::new();
    for at in 0..args.servers {
        let port = match args.port {
            0 => 0,
            first => first
                .checked_add(at.into())
                .ok_or(io::ErrorKind::InvalidInput)?,
        };
        let server = Server::start(Settings {
            port,
            seed: args.seed,
            mix: mix.clone(),
            ..Settings::named(char::from(b'a' + at))
        });
        servers.push(server.await?);
    }
    let servers: Arc<[Server]> = servers.into();
    let control = Control::start(args.control, Arc::clone(&servers)).await?;

    let mut out = io::stdout();
    for server in servers.iter() {
        writeln!(out, "{} {}", server.name(), server.url())?;
    }
    writeln!(out, "control http://{}", control.address())?;
    out.flush()?;
    tokio::signal::ctrl_c().await
}
