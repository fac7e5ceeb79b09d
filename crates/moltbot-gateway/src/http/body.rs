//! The body of an answer: whole bytes, or frames as they come. Its reader ends what the reply holds.

use std::convert::Infallible;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use moltbot_types::reply::Holds;
use moltbot_types::{CallError, Dialect, Ending, FrameStream, Frames, Kind, Mark, Usage};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::server::HangUp;

/// Between frames a sign of life goes out after this long.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// The body of an answer.
pub(crate) struct ReplyBody(State);

enum State {
    Done,
    Whole { bytes: Bytes, holds: Holds },
    Stream(Box<Streaming>),
}

struct Streaming {
    frames: FrameStream,
    holds: Holds,
    dialect: &'static dyn Dialect,
    /// When the last piece went out; the timer below is moved only when it fires.
    last: Instant,
    alive: Pin<Box<Sleep>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    usage: UsageCount,
    /// What ends the connection after an error event.
    hang_up: HangUp,
}

/// Usage as it was told, else estimated from what passed.
struct UsageCount {
    told: bool,
    prompt_bytes: usize,
    content_frames: u64,
}

impl ReplyBody {
    pub(crate) fn empty() -> Self {
        Self(State::Done)
    }

    pub(crate) fn whole(bytes: Bytes, holds: Holds) -> Self {
        Self(State::Whole { bytes, holds })
    }

    pub(crate) fn stream(
        frames: FrameStream,
        holds: Holds,
        dialect: &'static dyn Dialect,
        prompt_bytes: usize,
        stopping: &CancellationToken,
        hang_up: HangUp,
    ) -> Self {
        Self(State::Stream(Box::new(Streaming {
            frames,
            holds,
            dialect,
            last: Instant::now(),
            alive: Box::pin(sleep(SIGN_OF_LIFE)),
            stopping: Box::pin(stopping.clone().cancelled_owned()),
            usage: UsageCount {
                told: false,
                prompt_bytes,
                content_frames: 0,
            },
            hang_up,
        })))
    }
}

impl Streaming {
    /// The next bytes, or `None` and how it ended.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, CallError>> {
        match self.frames.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(frames))) => {
                self.last = Instant::now();
                self.count(&frames);
                Poll::Ready(Ok(Some(frames.into_raw())))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Pending => {
                if self.stopping.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(CallError::new(
                        Kind::ShuttingDown,
                        "the server is shutting down; ask again",
                    )));
                }
                self.poll_sign_of_life(cx).map(|bytes| Ok(Some(bytes)))
            }
        }
    }

    fn poll_sign_of_life(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            ready!(self.alive.as_mut().poll(cx));
            let now = Instant::now();
            let due = self.last + SIGN_OF_LIFE;
            if due > now {
                self.alive.as_mut().reset(due);
                continue;
            }
            self.last = now;
            self.alive.as_mut().reset(now + SIGN_OF_LIFE);
            return Poll::Ready(self.dialect.ping());
        }
    }

    fn count(&mut self, frames: &Frames) {
        if frames.usage.is_some() {
            self.usage.told = true;
            self.holds.note(frames.usage);
        } else if !self.usage.told {
            let content = frames.marks().filter(|mark| *mark == Mark::Content).count();
            self.usage.content_frames += content as u64;
        }
    }

    /// Tells those who hold on how it ended. Unknown tokens are estimated: one for each content frame.
    fn end(&mut self, ending: &Ending) {
        if !self.usage.told {
            let mut usage = Usage::estimate(self.usage.prompt_bytes, 0);
            usage.output = self.usage.content_frames;
            self.holds.note(Some(usage));
        }
        self.holds.end(ending);
    }
}

/// A caller that leaves is told of with the tokens that went out until then.
impl Drop for Streaming {
    fn drop(&mut self) {
        self.end(&Ending::Cancelled);
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let state = &mut self.0;
        let bytes = match state {
            State::Done => None,
            State::Whole { bytes, holds } => {
                let bytes = std::mem::take(bytes);
                holds.end(&Ending::Complete);
                *state = State::Done;
                Some(bytes)
            }
            State::Stream(stream) => match ready!(stream.poll_bytes(cx)) {
                Ok(Some(bytes)) => Some(bytes),
                Ok(None) => {
                    stream.end(&Ending::Complete);
                    *state = State::Done;
                    None
                }
                Err(error) => {
                    // An error event and no terminal marker: a cut stream never looks complete.
                    stream.end(&Ending::Cut {
                        kind: error.kind(),
                        message: error.chain(),
                    });
                    let event = stream.dialect.error_event(&error);
                    stream.hang_up.tell();
                    *state = State::Done;
                    Some(event)
                }
            },
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, State::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Done => SizeHint::with_exact(0),
            State::Whole { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            State::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{Stream, StreamExt, stream};
    use http_body_util::BodyExt;
    use moltbot_wire::openai::OPENAI;

    use super::*;

    fn body(frames: impl Stream<Item = Result<Frames, CallError>> + Send + 'static) -> ReplyBody {
        let stopping = CancellationToken::new();
        let hang_up = HangUp::default();
        ReplyBody::stream(
            Box::pin(frames),
            Holds::default(),
            &OPENAI,
            0,
            &stopping,
            hang_up,
        )
    }

    fn piece(text: &'static str) -> Result<Frames, CallError> {
        Ok(Frames::one(
            Bytes::from_static(text.as_bytes()),
            Mark::Content,
        ))
    }

    async fn text(body: ReplyBody) -> String {
        let bytes = body.collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_cut_stream_ends_with_an_error_event_and_without_a_terminal_marker() {
        let cut = Err(CallError::new(Kind::Cut, "the model's answer broke off"));
        let text = text(body(stream::iter([piece("data: x\n\n"), cut]))).await;
        assert!(text.starts_with("data: x\n\ndata: {\"error\""), "{text}");
        assert!(!text.contains("[DONE]"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_goes_out_in_a_long_pause() {
        let pause = stream::once(async {
            sleep(Duration::from_secs(40)).await;
            piece("data: y\n\n")
        });
        let text = text(body(stream::iter([piece("data: x\n\n")]).chain(pause))).await;
        assert_eq!(text, "data: x\n\n:\n:\ndata: y\n\n");
    }

    #[tokio::test]
    async fn a_stream_that_is_still_open_when_the_drain_ends_says_so() {
        let stopping = CancellationToken::new();
        let frames = stream::iter([piece("data: x\n\n")]).chain(stream::pending());
        let hang_up = HangUp::default();
        let body = ReplyBody::stream(
            Box::pin(frames),
            Holds::default(),
            &OPENAI,
            0,
            &stopping,
            hang_up,
        );
        stopping.cancel();
        assert!(text(body).await.contains("server_shutting_down"));
    }
}
