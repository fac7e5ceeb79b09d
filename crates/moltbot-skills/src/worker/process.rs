//! One worker, as its starter sees it: started, greeted, given work, and ended when it does not end itself.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{Stream, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::protocol::{Bounds, Failure, Order, Program, Returned, Said, Trouble, VERSION};
use super::sandbox::{CPU_SECONDS, Sandbox};
use super::{WORKER, entered, frame};
use crate::manifest::Limits;

/// A worker that has not greeted by then does not come.
const GREETS_WITHIN: Duration = Duration::from_secs(5);
/// A worker has its own watch; where that fails it is killed so long after.
const GRACE: Duration = Duration::from_millis(300);
const CHECKED_WITHIN: Duration = Duration::from_secs(5);
/// A worker is replaced after so many calls.
const MOST_CALLS: u32 = 1000;
/// Answers to a script that wait to be written; more than it can ask for.
const SETTLED: usize = 1024;

/// A call of a handler.
pub(crate) struct Job {
    /// The files.
    pub(crate) program: Arc<Program>,
    /// The plain part of `ctx`.
    pub(crate) input: Value,
    /// How much it may use.
    pub(crate) limits: Limits,
}

/// Whoever answers what a script asks for.
#[async_trait]
pub(crate) trait Asked: Send + Sync {
    /// Does what is asked for.
    async fn ask(&self, what: &str, with: Value) -> Result<Value, Failure>;

    /// Hears a line that the script logs.
    fn log(&self, level: String, text: String);
}

/// How a worker's call ended.
pub(super) struct Done {
    pub(super) result: Result<Returned, Trouble>,
    pub(super) cpu: Duration,
}

/// Why a worker is of no use any more.
pub(super) enum Gone {
    /// It was killed: it took too long.
    Late,
    /// It ended by itself.
    Ended(String),
}

/// A worker that waits for work.
pub(super) struct Worker {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
    pub(super) sandbox: Sandbox,
    calls: u32,
    cpu: Duration,
}

impl Worker {
    /// Starts a worker: `program`, or this program again.
    ///
    /// # Errors
    /// In words: it can't be started, or does not greet.
    pub(super) async fn start(program: Option<&Path>) -> Result<Self, String> {
        if program.is_none() && !entered() {
            return Err("this program does not begin with worker::enter()".to_owned());
        }
        // The path of a running program may name another file after an upgrade; this one does not.
        let program = program.unwrap_or(Path::new("/proc/self/exe"));
        let mut child = Command::new(program)
            .arg(WORKER)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", program.display()))?;
        let lines = child.stdin.take().zip(child.stdout.take());
        let (orders, says) = lines.ok_or("it has no lines")?;
        let mut says = BufReader::new(says);
        match timeout(GREETS_WITHIN, frame::receive(&mut says)).await {
            Ok(Ok(Said::Ready { version, sandbox })) if version == VERSION => Ok(Self {
                child,
                orders,
                says,
                sandbox,
                calls: 0,
                cpu: Duration::ZERO,
            }),
            Ok(Ok(_)) => Err("the worker speaks another protocol".to_owned()),
            Ok(Err(_)) => Err(format!("the worker {}", ended(&mut child).await)),
            Err(_) => Err("the worker did not greet".to_owned()),
        }
    }

    /// Whether it should get another call.
    pub(super) fn is_fit(&mut self) -> bool {
        let old = self.cpu.as_secs() > CPU_SECONDS / 2;
        self.calls < MOST_CALLS && !old && matches!(self.child.try_wait(), Ok(None))
    }

    /// Has files looked at.
    pub(super) async fn check(
        &mut self,
        program: Program,
    ) -> Result<Result<Program, Trouble>, Gone> {
        let work = async {
            self.orders
                .write_all(&order(&Order::Check(program))?)
                .await?;
            frame::receive(&mut self.says).await
        };
        match timeout(CHECKED_WITHIN, work).await {
            Ok(Ok(Said::Checked(checked))) => Ok(checked),
            Ok(_) => Err(Gone::Ended(ended(&mut self.child).await)),
            Err(_) => Err(Gone::Late),
        }
    }

    /// Calls a handler.
    pub(super) async fn run(&mut self, job: Job, asked: &dyn Asked) -> Result<Done, Gone> {
        self.calls += 1;
        let limits = job.limits;
        let first = order(&Order::Run {
            program: job.program,
            input: job.input,
            bounds: Bounds {
                cpu_ms: limits.cpu.as_millis() as u64,
                wall_ms: limits.wall.as_millis() as u64,
                memory: limits.memory,
            },
        });
        let work = converse(first, &mut self.orders, &mut self.says, asked);
        match timeout(limits.wall + GRACE, work).await {
            Ok(Ok(done)) => {
                self.cpu += done.cpu;
                Ok(done)
            }
            Ok(Err(_)) => Err(Gone::Ended(ended(&mut self.child).await)),
            Err(_) => Err(Gone::Late),
        }
    }
}

/// Gives the first order, and answers what the script asks for until it is done. Writing never keeps it from
/// reading: a worker that says much while much is said to it would wait for ever.
async fn converse(
    first: io::Result<Vec<u8>>,
    orders: &mut ChildStdin,
    says: &mut BufReader<ChildStdout>,
    asked: &dyn Asked,
) -> io::Result<Done> {
    let (send, mut frames) = mpsc::channel::<Vec<u8>>(SETTLED);
    let write = async {
        orders.write_all(&first?).await?;
        while let Some(frame) = frames.recv().await {
            orders.write_all(&frame).await?;
        }
        Ok::<_, io::Error>(())
    };
    let (mut write, mut said) = (pin!(write), pin!(said(says)));
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            next = said.next() => match next.transpose()? {
                Some(Said::Ask { number, what, with }) => {
                    open.push(async move {
                        let result = asked.ask(&what, with).await;
                        settle(number, result)
                    });
                }
                Some(Said::Log { level, text }) => asked.log(level, text),
                Some(Said::Done { result, cpu_us }) => {
                    return Ok(Done { result, cpu: Duration::from_micros(cpu_us) });
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            },
            Some(frame) = open.next() => {
                send.try_send(frame?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            }
            written = &mut write => return Err(written.err().unwrap_or(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

/// What the worker says, as a stream: a frame that is half read is not lost when something else happens.
fn said(says: &mut BufReader<ChildStdout>) -> impl Stream<Item = io::Result<Said>> {
    stream::unfold(says, |says| async {
        let said = frame::receive(says).await;
        Some((said, says))
    })
}

fn settle(number: u32, result: Result<Value, Failure>) -> io::Result<Vec<u8>> {
    order(&Order::Settle { number, result }).or_else(|_| {
        let failure = Failure {
            denied: false,
            message: "what came is too large".to_owned(),
        };
        order(&Order::Settle {
            number,
            result: Err(failure),
        })
    })
}

fn order(order: &Order) -> io::Result<Vec<u8>> {
    frame::encode(order, frame::LARGEST_ORDER)
}

/// How a process ended, in words.
async fn ended(child: &mut Child) -> String {
    match timeout(Duration::from_millis(100), child.wait()).await {
        Ok(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        },
        _ => "spoke what can't be understood".to_owned(),
    }
}
