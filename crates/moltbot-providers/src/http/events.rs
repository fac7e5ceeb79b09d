//! A streamed answer: its body cut into frames as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use http_body::Body;
use moltbot_types::{CallError, Frames, Head, Headers, Mark, Splitter};
use tokio::time::{Sleep, sleep};

use super::answer::embedded;
use super::spec::Target;
use crate::connect::Received;

/// How long the connection may stay open after the answer's proper end; usage may still come.
const LINGER: Duration = Duration::from_secs(2);

/// The frames of an answer. It ends after a proper end, else with one error.
///
/// Invariant: once it has ended, and as soon as it has failed, the body is gone and with it the
/// upstream's connection.
pub(super) struct Events {
    target: Arc<Target>,
    call: Head,
    /// As whom the call left.
    shown: Headers,
    splitter: Box<dyn Splitter>,
    body: Option<Received>,
    /// The failure that follows the frames before it.
    failure: Option<CallError>,
    ended: bool,
    linger: Option<Pin<Box<Sleep>>>,
}

type Item = Result<Frames, CallError>;

impl Events {
    pub(super) fn new(target: Arc<Target>, call: &Head, body: Received, shown: Headers) -> Self {
        Self {
            splitter: target.dialect.splitter(call.operation, target.event_limit),
            target,
            call: call.clone(),
            shown,
            body: Some(body),
            failure: None,
            ended: false,
            linger: None,
        }
    }

    /// Lets frames pass; an upstream's own error frame becomes the failure that ends the stream.
    fn pass(&mut self, frames: Frames) -> Item {
        if frames.has(Mark::End) {
            self.ended = true;
        }
        if !frames.has(Mark::Error) {
            return Ok(frames);
        }
        let failure = match self.splitter.failure() {
            Some(failure) => embedded(&self.target, &self.call, failure, &self.shown),
            None => self
                .target
                .scene(&self.call)
                .bad_reply("ends in an error that says nothing"),
        };
        self.body = None;
        match before_the_error(&frames) {
            Some(good) => {
                self.failure = Some(failure);
                Ok(good)
            }
            None => Err(failure),
        }
    }

    /// The body is over, properly or not: gives what is owed.
    fn close(&mut self, cause: Option<hyper::Error>) -> Option<Item> {
        self.body = None;
        match self.splitter.finish() {
            Ok(frames) => frames.map(|frames| self.pass(frames)),
            Err(cut) => {
                let cut = match cause {
                    Some(cause) => cut.because(cause),
                    None => cut,
                };
                Some(Err(self.target.scene(&self.call).embedded(cut)))
            }
        }
    }
}

impl Stream for Events {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        loop {
            let Some(body) = self.body.as_mut() else {
                return Poll::Ready(None);
            };
            let piece = match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => piece,
                    Err(_trailers) => continue,
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.close(Some(error))),
                Poll::Ready(None) => return Poll::Ready(self.close(None)),
                Poll::Pending if self.ended => {
                    let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
                    ready!(linger.as_mut().poll(cx));
                    return Poll::Ready(self.close(None));
                }
                Poll::Pending => return Poll::Pending,
            };
            match self.splitter.push(piece) {
                Ok(None) => {}
                Ok(Some(frames)) => return Poll::Ready(Some(self.pass(frames))),
                Err(error) => {
                    self.body = None;
                    let error = self.target.scene(&self.call).embedded(error);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

/// The frames before the first one of mark `Error`, if there are any.
fn before_the_error(frames: &Frames) -> Option<Frames> {
    let mut end = 0;
    let good: Vec<(u32, Mark)> = frames
        .iter()
        .take_while(|(_, mark)| *mark != Mark::Error)
        .map(|(raw, mark)| {
            end += raw.len();
            (end as u32, mark)
        })
        .collect();
    let mut before = Frames::new(frames.raw().slice(..end), good);
    before.usage = frames.usage;
    (end > 0).then_some(before)
}
