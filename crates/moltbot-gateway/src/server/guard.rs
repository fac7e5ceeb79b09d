//! `IoGuard`: the stream under hyper, which owns every timer of a connection.
//!
//! Timers sit here and not around bodies, for a body is not polled while its client does not read. One
//! sleep serves all of them: a deadline that moves later is noticed when the sleep fires, so that a
//! request on a busy connection touches no timer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::exchange::{Conn, REFUSED_HEAD};
use super::last::Wire;
use super::refusal::Refusal;
use super::strict::{Cleared, HeadLimits, Scan};
use super::timer::Timer;

/// How long a connection may take over what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) first_byte: Duration,
    pub(super) header: Duration,
    pub(super) read_progress: Duration,
    pub(super) write_progress: Duration,
    pub(super) keep_alive: Duration,
    pub(super) max_age: Duration,
}

/// A body that brings less than this per second makes no progress.
const SLOWEST_BODY: u64 = 1024;

/// What is read and thrown away after the last answer, and for how long: closing a socket with unread
/// bytes resets it, and the client would lose the answer.
const LINGER: (usize, Duration) = (256 * 1024, Duration::from_secs(1));

/// A stream with timers and, for HTTP/1, a strict look at every head.
#[derive(Debug)]
pub(super) struct IoGuard<S> {
    io: S,
    conn: Arc<Conn>,
    times: Times,
    /// `None` for HTTP/2.
    scan: Option<Scan>,
    /// Bytes not yet handed to hyper: `ready` that may be, and behind them an unfinished head.
    held: BytesMut,
    ready: usize,
    /// Nothing more is read: the refusal is on its way through hyper.
    refused: bool,
    heard: bool,
    timer: Timer,
    retire_at: Instant,
    reading: Option<Reading>,
    body: BodyPace,
    /// When the client must have taken some of the bytes that wait for it.
    write_due: Option<Instant>,
    linger: Option<(usize, Instant)>,
    /// What is written waits for the end.
    holding: bool,
}

/// What a read waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    FirstByte,
    Head,
    Body,
    /// The next request.
    Request,
    /// Nothing but the client's leaving: it is the answer's turn.
    End,
}

#[derive(Debug)]
struct Reading {
    awaited: Awaited,
    /// Requests begun when the wait began: two waits with a request between them are two.
    begun: u32,
    since: Instant,
    due: Option<Instant>,
}

/// How fast a body comes, over the time that was spent waiting for it.
#[derive(Debug, Default)]
struct BodyPace {
    begun: u32,
    waited: Duration,
    bytes: u64,
}

impl<S: Wire> IoGuard<S> {
    /// Guards an HTTP/1 connection. `first` was read from it already.
    pub(super) fn http1(
        io: S,
        first: BytesMut,
        conn: Arc<Conn>,
        times: Times,
        limits: HeadLimits,
    ) -> Self {
        let mut guard = Self::new(io, conn, times);
        guard.scan = Some(Scan::new(limits));
        guard.heard = !first.is_empty();
        guard.hold(&first);
        guard
    }

    /// Guards an HTTP/2 connection. `first` was read from it already.
    pub(super) fn http2(io: S, first: BytesMut, conn: Arc<Conn>, times: Times) -> Self {
        let mut guard = Self::new(io, conn, times);
        guard.ready = first.len();
        guard.held = first;
        guard.heard = true;
        guard
    }

    fn new(io: S, conn: Arc<Conn>, times: Times) -> Self {
        let retire_at = Instant::now() + times.max_age;
        Self {
            io,
            conn,
            times,
            scan: None,
            held: BytesMut::new(),
            ready: 0,
            refused: false,
            heard: false,
            timer: Timer::default(),
            retire_at,
            reading: None,
            body: BodyPace::default(),
            write_due: None,
            linger: None,
            holding: false,
        }
    }

    /// Takes bytes that came after `held`, which is empty or an unfinished head.
    fn hold(&mut self, fresh: &[u8]) {
        self.held.extend_from_slice(fresh);
        let Some(scan) = &mut self.scan else { return };
        let Cleared { bytes, refusal } = scan.advance(&self.held);
        self.ready = bytes;
        if let Some(refusal) = refusal {
            self.refuse(refusal);
        }
    }

    /// Looks at what was just read into `buf`, and leaves there what hyper may see.
    fn admit(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let Some(scan) = &mut self.scan else { return };
        let fresh = &buf.filled()[start..];
        if !self.held.is_empty() {
            let fresh = BytesMut::from(fresh);
            buf.set_filled(start);
            self.hold(&fresh);
            return;
        }
        let Cleared { bytes, refusal } = scan.advance(fresh);
        if bytes < fresh.len() {
            self.held.extend_from_slice(&fresh[bytes..]);
            buf.set_filled(start + bytes);
        }
        if let Some(refusal) = refusal {
            self.refuse(refusal);
        }
    }

    /// Ends the reading: after what is ready comes a request that stands in for the refused one.
    fn refuse(&mut self, refusal: Refusal) {
        self.conn.refuse(refusal);
        self.refused = true;
        self.held.truncate(self.ready);
        self.held.extend_from_slice(REFUSED_HEAD);
        self.ready = self.held.len();
    }

    fn awaited(&self) -> Awaited {
        match &self.scan {
            Some(scan) if scan.in_body() => Awaited::Body,
            _ if !self.heard => Awaited::FirstByte,
            Some(_) if !self.held.is_empty() => Awaited::Head,
            _ if self.conn.idle() => Awaited::Request,
            _ => Awaited::End,
        }
    }

    /// Notes what is waited for and until when. True once that is over.
    fn read_overdue(&mut self, now: Instant) -> Option<Awaited> {
        let (awaited, begun) = (self.awaited(), self.conn.begun());
        let same = |reading: &&Reading| reading.awaited == awaited && reading.begun == begun;
        if self.reading.as_ref().filter(same).is_none() {
            if awaited == Awaited::Body && self.body.begun != begun {
                self.body = BodyPace {
                    begun,
                    ..BodyPace::default()
                };
            }
            let patience = match awaited {
                Awaited::FirstByte => Some(self.times.first_byte),
                Awaited::Head => Some(self.times.header),
                Awaited::Body => Some(self.body.patience(self.times.read_progress)),
                Awaited::Request => Some(self.times.keep_alive),
                Awaited::End => None,
            };
            let due = patience.map(|patience| now + patience);
            self.reading = Some(Reading {
                awaited,
                begun,
                since: now,
                due,
            });
        }
        let due = self.reading.as_ref().and_then(|reading| reading.due);
        due.is_some_and(|due| now >= due).then_some(awaited)
    }

    fn read_came(&mut self, bytes: usize) {
        self.heard = true;
        if let Some(reading) = self
            .reading
            .take_if(|reading| reading.awaited == Awaited::Body)
        {
            self.body.waited += reading.since.elapsed();
            self.body.bytes += bytes as u64;
        }
    }

    /// Sees to it that the task wakes by the next deadline.
    fn arm(&mut self, now: Instant, cx: &mut Context<'_>) {
        if now >= self.retire_at {
            self.conn.retire();
        }
        let read_due = self.reading.as_ref().and_then(|reading| reading.due);
        let dues = [read_due, self.write_due, Some(self.retire_at)];
        // What is over already was acted upon, or hyper does not read at present: waking it is no use.
        if let Some(due) = dues.into_iter().flatten().filter(|due| *due > now).min() {
            self.timer.wake_by(due, now, cx);
        }
    }

    fn before_writing(&mut self) {
        if self.conn.says_the_last() && !self.holding {
            self.holding = true;
            self.io.hold_for_the_end();
        }
    }

    /// What a write that made progress or has to wait means for its deadline.
    fn wrote<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_due = None;
            return polled;
        }
        let now = Instant::now();
        let due = *self
            .write_due
            .get_or_insert(now + self.times.write_progress);
        if now >= due {
            return Poll::Ready(Err(late("the client does not read its answer")));
        }
        self.arm(now, cx);
        Poll::Pending
    }

    /// Whether bytes may be under way that hyper will never read.
    fn leaves_unread(&self) -> bool {
        self.refused || self.scan.as_ref().is_some_and(Scan::in_body)
    }
}

impl<S: Wire> AsyncRead for IoGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buf.filled().len();
        loop {
            if this.ready > 0 {
                let length = this.ready.min(buf.remaining());
                buf.put_slice(&this.held.split_to(length));
                this.ready -= length;
            }
            if buf.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
            if this.refused {
                return Poll::Pending;
            }
            if Pin::new(&mut this.io).poll_read(cx, buf)?.is_ready() {
                let fresh = buf.filled().len() - start;
                if fresh == 0 {
                    return Poll::Ready(Ok(()));
                }
                this.read_came(fresh);
                this.admit(buf, start);
                continue;
            }
            let now = Instant::now();
            match this.read_overdue(now) {
                None => {
                    this.arm(now, cx);
                    return Poll::Pending;
                }
                Some(Awaited::Head) => this.refuse(Refusal::head_too_slow()),
                Some(Awaited::Body) => {
                    return Poll::Ready(Err(late("the request's body comes too slowly")));
                }
                // Read as the client's end, which closes an idle connection.
                Some(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: Wire> AsyncWrite for IoGuard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.before_writing();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.wrote(polled, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.before_writing();
        let polled = Pin::new(&mut this.io).poll_write_vectored(cx, slices);
        this.wrote(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            if !this.leaves_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let (bytes, time) = LINGER;
        let (left, until) = this
            .linger
            .get_or_insert_with(|| (bytes, Instant::now() + time));
        let mut scrap = [0; 4096];
        while *left > 0 {
            let mut scrap = ReadBuf::new(&mut scrap);
            match Pin::new(&mut this.io).poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(())) if !scrap.filled().is_empty() => {
                    *left = left.saturating_sub(scrap.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let now = Instant::now();
                    if now >= *until {
                        break;
                    }
                    this.timer.wake_by(*until, now, cx);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl BodyPace {
    /// How much longer the next byte may take: `least` in all, or as long as the bytes that came have earned.
    fn patience(&self, least: Duration) -> Duration {
        let earned = Duration::from_secs(self.bytes / SLOWEST_BODY);
        least.max(earned).saturating_sub(self.waited)
    }
}

fn late(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}
