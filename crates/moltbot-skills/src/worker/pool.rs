//! Workers that wait warm, and how many of them there are.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::process::{Asked, Done, Gone, Job, Worker};
use super::protocol::{Program, Trouble, TroubleKind};
use super::sandbox::Sandbox;
use crate::skill::{Ended, Fault, FaultKind, Outcome};

/// How workers are started and how many.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// What is started as a worker; `None` is this program itself, whose `main` begins with
    /// [`enter`](super::enter).
    pub program: Option<PathBuf>,
    /// Workers at once, and with them calls at once.
    pub workers: usize,
    /// Whether a worker without its walls is of no use.
    pub require_sandbox: bool,
    /// How long a call waits for a worker that is free.
    pub wait: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            program: None,
            workers: (2 * cores).clamp(2, 32),
            require_sandbox: true,
            wait: Duration::from_secs(5),
        }
    }
}

/// Workers for all skills. No worker runs until the first is asked for.
pub struct Pool {
    program: Option<PathBuf>,
    wait: Duration,
    require_sandbox: AtomicBool,
    idle: Mutex<Vec<Worker>>,
    permits: Semaphore,
    tasks: TaskTracker,
}

impl Pool {
    /// A pool whose tasks are owned by `tasks`.
    pub fn new(settings: PoolSettings, tasks: TaskTracker) -> Self {
        Self {
            program: settings.program,
            wait: settings.wait,
            require_sandbox: AtomicBool::new(settings.require_sandbox),
            idle: Mutex::default(),
            permits: Semaphore::new(settings.workers),
            tasks,
        }
    }

    /// Sets whether a worker without its walls is of no use.
    pub fn set_require_sandbox(&self, required: bool) {
        self.require_sandbox.store(required, Ordering::Relaxed);
    }

    /// Which walls stand around workers; starts one to see.
    ///
    /// # Errors
    /// Why no worker can run, in words.
    pub async fn sandbox(&self) -> Result<Sandbox, String> {
        let worker = self.worker().await?;
        let sandbox = worker.sandbox.clone();
        self.put_back(worker);
        Ok(sandbox)
    }

    /// Ends the workers that wait.
    pub fn cool_down(&self) {
        self.idle().clear();
    }

    /// Looks whether the files of a skill can be read, and takes types away.
    pub(crate) async fn check(&self, program: Program) -> Result<Program, Fault> {
        let _permit = self.permit().await?;
        let unavailable = |why| Fault::new(FaultKind::Unavailable, why);
        let mut worker = self.worker().await.map_err(unavailable)?;
        match worker.check(program).await {
            Ok(checked) => {
                self.put_back(worker);
                checked.map_err(Fault::from)
            }
            Err(gone) => Err(fault(gone, "reading its files")),
        }
    }

    /// Calls a handler; what it logs is told to `asked`, not kept.
    pub(crate) async fn run(self: &Arc<Self>, job: Job, asked: &dyn Asked) -> Ended {
        let begun = Instant::now();
        let (outcome, cpu) = match self.done(job, asked).await {
            Ok(Done { result, cpu }) => (outcome(result), cpu),
            Err(fault) => (Outcome::Fault(fault), Duration::ZERO),
        };
        Ended {
            cpu,
            wall: begun.elapsed(),
            ..Ended::with(outcome)
        }
    }

    async fn done(self: &Arc<Self>, job: Job, asked: &dyn Asked) -> Result<Done, Fault> {
        let permit = self.permit().await?;
        let unavailable = |why| Fault::new(FaultKind::Unavailable, why);
        let mut worker = self.worker().await.map_err(unavailable)?;
        let ran = worker.run(job, asked).await;
        match ran {
            Ok(done) => {
                self.put_back(worker);
                Ok(done)
            }
            Err(gone) => {
                drop((worker, permit));
                self.warm();
                Err(fault(gone, "the call"))
            }
        }
    }

    async fn permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Fault> {
        let words = "all workers are busy";
        match timeout(self.wait, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Fault::new(FaultKind::Unavailable, words)),
        }
    }

    /// Starts a worker that waits, so that the next call does not.
    fn warm(self: &Arc<Self>) {
        if self.tasks.is_closed() {
            return;
        }
        let pool = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Ok(worker) = pool.worker().await {
                pool.put_back(worker);
            }
        });
    }

    /// A worker that waits, or a new one.
    async fn worker(&self) -> Result<Worker, String> {
        let idle = std::iter::from_fn(|| self.idle().pop());
        if let Some(worker) = idle
            .into_iter()
            .find_map(|mut worker| worker.is_fit().then_some(worker))
        {
            return Ok(worker);
        }
        let worker = Worker::start(self.program.as_deref()).await?;
        if self.require_sandbox.load(Ordering::Relaxed) && !worker.sandbox.holds() {
            return Err(format!(
                "{}, and skills.require_sandbox is true",
                worker.sandbox
            ));
        }
        Ok(worker)
    }

    fn put_back(&self, mut worker: Worker) {
        if worker.is_fit() && !self.tasks.is_closed() {
            self.idle().push(worker);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("program", &self.program)
            .field("idle", &self.idle().len())
            .finish_non_exhaustive()
    }
}

fn outcome(result: Result<super::protocol::Returned, Trouble>) -> Outcome {
    match result {
        Ok(returned) => match (returned.text, returned.pass) {
            (Some(text), false) => Outcome::Answer(text),
            (Some(text), true) => Outcome::Pass(text),
            (None, _) => Outcome::Nothing,
        },
        Err(trouble) => Outcome::Fault(trouble.into()),
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self {
            kind: match trouble.kind {
                TroubleKind::Threw => FaultKind::Threw,
                TroubleKind::Denied => FaultKind::Denied,
                TroubleKind::Limit => FaultKind::Limit,
            },
            message: trouble.message,
            file: trouble.file,
            line: trouble.line,
        }
    }
}

fn fault(gone: Gone, doing: &str) -> Fault {
    match gone {
        Gone::Late => Fault::new(
            FaultKind::Limit,
            format!("{doing} took too long, and its worker was killed"),
        ),
        Gone::Ended(how) => Fault::new(FaultKind::Crash, format!("its worker {how}")),
    }
}
