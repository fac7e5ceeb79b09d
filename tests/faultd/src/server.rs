//! A fake upstream on its port.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::counts::Books;
use crate::gate::Port;
use crate::play::{Ends, serve};
use crate::{Counts, Fault, Mix, Received, Request, Rhythm, mix};

/// What a server is and does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, a part of every answer.
    pub name: String,
    /// Its port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Decides which request meets which fault.
    pub seed: u64,
    /// The faults.
    pub mix: Mix,
    /// How the port closes by itself.
    pub rhythm: Option<Rhythm>,
}

impl Settings {
    /// A server of this name on a free port, without faults.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            port: 0,
            seed: 1,
            mix: Mix::none(),
            rhythm: None,
        }
    }
}

/// A running fake upstream; it ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    wanted: watch::Sender<bool>,
    is_open: watch::Receiver<bool>,
    _end: DropGuard,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) books: Arc<Books>,
    port: Port,
    plan: Mutex<Plan>,
}

#[derive(Debug)]
struct Plan {
    mix: Mix,
    rhythm: Option<Rhythm>,
    /// When `rhythm` began.
    since: Instant,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault(&self, number: u64) -> Option<Fault> {
        self.plan().mix.pick(self.seed, number)
    }

    /// When the port closes by itself next, and for how long.
    fn next_closing(&self) -> Option<(Instant, Duration)> {
        let plan = self.plan();
        let rhythm = plan.rhythm?;
        let first = plan.since + rhythm.phase;
        let period = rhythm.period.as_nanos().max(1);
        let past = Instant::now().saturating_duration_since(first).as_nanos();
        let periods = u32::try_from(past.div_ceil(period)).unwrap_or(u32::MAX);
        Some((first + rhythm.period * periods, rhythm.closed))
    }
}

impl Server {
    /// Starts it on the current runtime, with its port open.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let port = Port::reserve(settings.port)?;
        let listener = port.listen()?;
        let shared = Arc::new(Shared {
            seed: settings.seed ^ name_hash(&settings.name),
            name: settings.name,
            books: Arc::default(),
            port,
            plan: Mutex::new(Plan {
                mix: settings.mix,
                rhythm: settings.rhythm,
                since: Instant::now(),
            }),
        });
        let (wanted, wishes) = watch::channel(true);
        let (open, is_open) = watch::channel(true);
        let end = CancellationToken::new();
        let gatekeeper = Gatekeeper {
            shared: Arc::clone(&shared),
            wishes,
            open,
            tasks: TaskTracker::new(),
            ends: Ends {
                idle: end.child_token(),
                all: end.child_token(),
            },
            end: end.clone(),
        };
        let tasks = gatekeeper.tasks.clone();
        tasks.spawn(gatekeeper.run(listener));
        Ok(Self {
            shared,
            wanted,
            is_open,
            _end: end.drop_guard(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.port.address()
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address())
    }

    /// Changes its faults, from the next request on.
    pub fn set_mix(&self, mix: Mix) {
        self.shared.plan().mix = mix;
    }

    /// Its faults.
    pub fn mix(&self) -> Mix {
        self.shared.plan().mix.clone()
    }

    /// Closes its port and resets its connections, as the death of its process would. Done when it returns.
    pub async fn close(&self) {
        self.want(false).await;
    }

    /// Opens its port again. Done when it returns.
    pub async fn open(&self) {
        self.want(true).await;
    }

    async fn want(&self, open: bool) {
        self.wanted.send_replace(open);
        // An error means that the gatekeeper has ended, and the port with it.
        self.is_open
            .clone()
            .wait_for(|is_open| *is_open == open)
            .await
            .ok();
    }

    /// Whether it was not closed.
    pub fn is_open(&self) -> bool {
        *self.wanted.borrow()
    }

    /// What it received and did so far.
    pub fn counts(&self) -> Counts {
        self.shared.books.counts()
    }

    /// What it received of one nonce.
    pub fn received(&self, nonce: &str) -> Received {
        self.shared.books.received(nonce)
    }

    /// What it received, by nonce.
    pub fn nonces(&self) -> Vec<(String, Received)> {
        self.shared.books.nonces()
    }

    /// The last requests since this was asked, at most 256, as they came over the wire.
    pub fn take_requests(&self) -> Vec<Request> {
        self.shared.books.take_kept()
    }
}

/// Servers of one seed do not fail in step.
fn name_hash(name: &str) -> u64 {
    name.bytes()
        .fold(0, |hash, byte| mix::hash(hash, byte.into()))
}

/// Opens and closes the port, and accepts connections.
struct Gatekeeper {
    shared: Arc<Shared>,
    wishes: watch::Receiver<bool>,
    open: watch::Sender<bool>,
    tasks: TaskTracker,
    ends: Ends,
    end: CancellationToken,
}

impl Gatekeeper {
    async fn run(mut self, listener: TcpListener) {
        let end = self.end.clone();
        let mut listener = Some(listener);
        tokio::select! {
            () = end.cancelled() => {}
            () = async { while self.period(listener.take()).await.is_ok() {} } => {}
        }
    }

    /// Listens until the port is to be closed, and waits until it is to be opened again.
    ///
    /// # Errors
    /// When nobody wishes anything any more, or the port cannot be opened.
    async fn period(&mut self, listener: Option<TcpListener>) -> io::Result<()> {
        let listener = match listener {
            Some(listener) => listener,
            None => self.shared.port.listen()?,
        };
        self.open.send_replace(true);
        let closing = self.shared.next_closing();
        let shortly = loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        stream.set_nodelay(true).ok();
                        self.shared.books.connection();
                        let connection = serve(stream, Arc::clone(&self.shared), self.ends.clone());
                        self.tasks.spawn(connection);
                    }
                    // Out of descriptors, most likely: others may free some.
                    Err(_) => sleep(Duration::from_millis(10)).await,
                },
                wish = self.wishes.changed() => {
                    wish.map_err(io::Error::other)?;
                    if !*self.wishes.borrow_and_update() {
                        break None;
                    }
                }
                closed = closes(closing) => break Some(closed),
            }
        };
        drop(listener);
        self.ends.idle.cancel();
        self.ends.idle = self.end.child_token();
        match shortly {
            Some(closed) => sleep(closed).await,
            None => {
                self.ends.all.cancel();
                self.ends.all = self.end.child_token();
                self.open.send_replace(false);
                self.wishes
                    .wait_for(|open| *open)
                    .await
                    .map_err(io::Error::other)?;
            }
        }
        Ok(())
    }
}

/// Waits until the port closes by itself, and tells for how long.
async fn closes(closing: Option<(Instant, Duration)>) -> Duration {
    match closing {
        Some((at, closed)) => {
            sleep_until(at).await;
            closed
        }
        None => std::future::pending().await,
    }
}
