//! One upstream call for many equal ones: what it gave so far, and who listens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use moltbot_types::{
    Body, Call, CallError, Dialect, Ending, FrameStream, Frames, Kind, Next, Operation, Reply,
    Served, Usage, Workspace,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// In which form an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Whole,
    Stream {
        /// With a frame that tells the tokens.
        usage: bool,
    },
}

/// A flight.
pub(super) struct Flight {
    workspace: Workspace,
    state: Mutex<State>,
    /// Rises with every change of the state.
    changed: watch::Sender<u64>,
    /// Nobody listens any more.
    left: CancellationToken,
    /// Its answer shall not be remembered.
    forgotten: AtomicBool,
}

#[derive(Default)]
struct State {
    listeners: usize,
    /// What stands before the body, once the answer began.
    head: Option<Head>,
    /// The body so far: frames, or all of it.
    frames: Vec<Frames>,
    whole: Option<Bytes>,
    usage: Option<Usage>,
    end: Option<End>,
}

#[derive(Clone)]
struct Head {
    status: StatusCode,
    dialect: &'static dyn Dialect,
    headers: HeaderMap,
    served: Option<Served>,
}

/// How a flight ended.
enum End {
    Complete,
    /// Before its answer began. The error is for the leader, who takes it.
    Failed(Option<CallError>),
    /// After its answer began.
    Cut(Kind, String),
}

/// Ends a flight whose task ends before it.
struct Landing<'a>(&'a Flight);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            let began = state.head.is_some();
            state.end.get_or_insert_with(|| match began {
                true => End::Cut(Kind::Cut, "the answer broke off".to_owned()),
                false => End::Failed(None),
            });
        });
    }
}

/// An answer that a flight brought home whole.
pub(super) struct Landed {
    pub(super) served: Option<Served>,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) usage: Option<Usage>,
}

/// One who listens to a flight; the flight ends when the last of them is dropped.
pub(super) struct Listener {
    flight: Arc<Flight>,
    /// The flight is its own call.
    leads: bool,
}

/// What a listener hears first.
pub(super) enum Heard {
    /// The answer begins; and who gives it.
    Reply(Reply, Option<Served>),
    /// The flight failed; the leader hears why.
    Failed(Option<CallError>),
}

impl Flight {
    /// A flight and its leader.
    pub(super) fn begin(workspace: Workspace) -> (Arc<Self>, Listener) {
        let flight = Arc::new(Self {
            workspace,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            left: CancellationToken::new(),
            forgotten: AtomicBool::new(false),
        });
        flight.state().listeners = 1;
        let leader = Listener {
            flight: Arc::clone(&flight),
            leads: true,
        };
        (flight, leader)
    }

    pub(super) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Its answer shall not be remembered.
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
    }

    /// Joins; `None` where everyone has left before it was complete, or it failed.
    pub(super) fn join(self: &Arc<Self>) -> Option<Listener> {
        let mut state = self.state();
        match state.end {
            None if self.left.is_cancelled() => return None,
            Some(End::Failed(_) | End::Cut(..)) => return None,
            None | Some(End::Complete) => {}
        }
        state.listeners += 1;
        Some(Listener {
            flight: Arc::clone(self),
            leads: false,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_modify(|version| *version += 1);
        changed
    }

    /// Flies: asks, and tells all listeners what comes. Gives the answer where it came whole.
    pub(super) async fn fly<N: Next>(self: &Arc<Self>, call: Call, next: &N) -> Option<Landed> {
        // whoever still waits when this task ends without an answer hears that it failed
        let _landing = Landing(self);
        // the last listener may leave at any time; what is asked then ends
        let flown = self.left.run_until_cancelled(self.ask(call, next)).await;
        flown
            .flatten()
            .filter(|_| !self.forgotten.load(Ordering::Relaxed))
    }

    async fn ask<N: Next>(&self, call: Call, next: &N) -> Option<Landed> {
        let (trail, operation) = (Arc::clone(&call.trail), call.head.operation);
        let mut reply = match next.call(call).await {
            Ok(reply) => reply,
            Err(error) => {
                self.change(|state| state.end = Some(End::Failed(Some(error))));
                return None;
            }
        };
        let head = Head {
            status: reply.status,
            dialect: reply.dialect,
            headers: std::mem::take(&mut reply.headers),
            served: trail.with(|tried| tried.served.clone()),
        };
        let usage = reply.usage;
        let (_, _, body, mut holds) = reply.into_parts();
        self.change(|state| {
            state.head = Some(head.clone());
            state.usage = usage;
        });
        let ended = match body {
            Body::Whole(bytes) => {
                self.change(|state| {
                    state.whole = Some(bytes);
                    state.end = Some(End::Complete);
                });
                Ok(())
            }
            Body::Stream(frames) => self.follow(frames).await,
        };
        holds.note(self.state().usage);
        match ended {
            Ok(()) => holds.end(&Ending::Complete),
            Err((kind, message)) => {
                holds.end(&Ending::Cut { kind, message });
                return None;
            }
        }
        self.landed(operation, head)
    }

    async fn follow(&self, mut frames: FrameStream) -> Result<(), (Kind, String)> {
        while let Some(next) = frames.next().await {
            match next {
                Ok(next) => self.change(|state| {
                    state.usage = next.usage.or(state.usage);
                    state.frames.push(next);
                }),
                Err(error) => {
                    let cut = (error.kind(), error.message().to_owned());
                    self.change(|state| state.end = Some(End::Cut(cut.0, cut.1.clone())));
                    return Err(cut);
                }
            }
        }
        self.change(|state| state.end = Some(End::Complete));
        Ok(())
    }

    /// The answer as one piece, where it may be given again.
    fn landed(&self, operation: Operation, head: Head) -> Option<Landed> {
        let (whole, raw, usage) = {
            let state = self.state();
            let mut raw = BytesMut::new();
            state
                .frames
                .iter()
                .for_each(|frames| raw.extend_from_slice(frames.raw()));
            (state.whole.clone(), raw, state.usage)
        };
        let body = match whole {
            Some(whole) => whole,
            None => head.dialect.whole_of(operation, &raw, usage)?,
        };
        let repeats = head.status == StatusCode::OK && head.dialect.repeats(operation, &body);
        repeats.then_some(Landed {
            served: head.served,
            dialect: head.dialect,
            headers: head.headers,
            body,
            usage,
        })
    }
}

impl Listener {
    /// Whether the flight is its own call.
    pub(super) fn leads(&self) -> bool {
        self.leads
    }

    /// Waits until the answer begins.
    pub(super) async fn hear(self) -> Heard {
        let mut changes = self.flight.changed.subscribe();
        loop {
            // marked as seen before looking, so that no change is missed
            changes.mark_unchanged();
            match self.look() {
                Look::Failed(error) => return Heard::Failed(error),
                Look::Whole(head, bytes, usage) => {
                    let mut reply = Reply::new(head.status, head.dialect, Body::Whole(bytes));
                    reply.headers = head.headers;
                    reply.usage = usage;
                    return Heard::Reply(reply, head.served);
                }
                Look::Stream(head) => {
                    let body = Body::Stream(self.frames(changes));
                    let mut reply = Reply::new(head.status, head.dialect, body);
                    reply.headers = head.headers;
                    return Heard::Reply(reply, head.served);
                }
                Look::Wait => {}
            }
            if changes.changed().await.is_err() {
                return Heard::Failed(None);
            }
        }
    }

    fn look(&self) -> Look {
        let mut state = self.flight.state();
        if let Some(End::Failed(error)) = &mut state.end {
            return Look::Failed(error.take_if(|_| self.leads));
        }
        match (&state.head, &state.whole) {
            (None, _) => Look::Wait,
            (Some(head), Some(whole)) => Look::Whole(head.clone(), whole.clone(), state.usage),
            (Some(head), None) if !state.frames.is_empty() || state.end.is_some() => {
                Look::Stream(head.clone())
            }
            (Some(_), None) => Look::Wait,
        }
    }

    /// All frames: those that were, then those that come.
    fn frames(self, changes: watch::Receiver<u64>) -> FrameStream {
        let state = Some((self, changes, 0));
        Box::pin(stream::unfold(state, |state| async {
            let (listener, mut changes, at) = state?;
            loop {
                changes.mark_unchanged();
                match listener.frame(at) {
                    At::Frames(frames) => {
                        return Some((Ok(frames), Some((listener, changes, at + 1))));
                    }
                    At::Cut(error) => return Some((Err(error), None)),
                    At::End => return None,
                    At::Wait => changes.changed().await.ok()?,
                }
            }
        }))
    }

    fn frame(&self, at: usize) -> At {
        let state = self.flight.state();
        if let Some(frames) = state.frames.get(at) {
            return At::Frames(frames.clone());
        }
        match &state.end {
            None => At::Wait,
            Some(End::Cut(kind, message)) => At::Cut(CallError::new(*kind, message.clone())),
            Some(_) => At::End,
        }
    }
}

enum Look {
    Wait,
    Whole(Head, Bytes, Option<Usage>),
    Stream(Head),
    Failed(Option<CallError>),
}

/// What stands at a place of a stream.
enum At {
    Wait,
    Frames(Frames),
    Cut(CallError),
    End,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.flight.state();
        state.listeners -= 1;
        if state.listeners == 0 {
            self.flight.left.cancel();
        }
    }
}
