//! `moltbotd`: picks the parts, starts the gateway, and ends it on a signal.

mod demo;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use moltbot_config::{Home, Overrides};
use moltbot_gateway::{Gateway, StartError};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One endpoint in front of many models.
#[derive(Parser)]
#[command(name = "moltbotd", version)]
#[command(
    after_help = "Examples:\n  moltbotd --demo\n  moltbotd --home ./home --check\n  moltbotd --home ./home"
)]
struct Cli {
    /// The home to serve [default: $MOLTBOT_HOME, else ~/.moltbot]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Serve builtin models from a throw-away home, and print what to try
    #[arg(long)]
    demo: bool,
    /// Name every problem of the configuration and leave: 78 where there is one
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    // A guard of a model server and a worker that runs a skill are this program too; they go no further.
    moltbot_gateway::instance_guard();
    moltbot_gateway::skill_worker();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("moltbotd: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, StartError> {
    if cli.demo {
        // The folder is removed when `demo` goes, unless --home named it.
        let demo = demo::Demo::make(cli.home)?;
        return serve(&demo.home, Some(&demo));
    }
    let home = Home::resolve(cli.home).map_err(StartError::other)?;
    if cli.check {
        let notices = moltbot_gateway::check(&home, &Overrides::from_process(Vec::new()))?;
        for notice in notices {
            eprintln!("{notice}");
        }
        println!("the configuration is valid");
        return Ok(ExitCode::SUCCESS);
    }
    serve(&home, None)
}

/// Every connection is a file: takes as many as the system lets this process have.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it the server says how many connections it can afford.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn serve(home: &Home, demo: Option<&demo::Demo>) -> Result<ExitCode, StartError> {
    raise_file_limit();
    let overrides = Overrides::from_process(Vec::new());
    let prepared = Gateway::prepare(home.clone(), overrides)?;
    let mut builder = match prepared.workers() {
        1 => tokio::runtime::Builder::new_current_thread(),
        workers => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    let runtime = builder.enable_all().build().map_err(StartError::other)?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let gateway = prepared.start_installed().await?;
        match demo {
            Some(demo) => demo.greet(gateway.listen()),
            None => eprintln!(
                "moltbotd serves {} on http://{}, admin on http://{}",
                home.root().display(),
                gateway.listen(),
                gateway.admin()
            ),
        }
        Ok(signals.serve(gateway).await)
    });
    // A name server that does not answer keeps a thread for longer than anybody waits.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// The signals that a daemon obeys.
struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Unheard, it would end the process where a file may not grow: that is a full disk, no more.
    _file_limit: Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(StartError::other);
        Ok(Self {
            reload: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            _file_limit: listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Serves until told to end, then drains. A second signal ends at once, with 130.
    async fn serve(&mut self, gateway: Gateway) -> ExitCode {
        loop {
            tokio::select! {
                _ = self.reload.recv() => { gateway.reload().await; }
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
            }
        }
        tokio::select! {
            () = gateway.drain() => ExitCode::SUCCESS,
            _ = self.terminate.recv() => ExitCode::from(130),
            _ = self.interrupt.recv() => ExitCode::from(130),
        }
    }
}
