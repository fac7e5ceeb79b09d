//! The end of a call's time: `total` of the model that is asked, its stream included.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use moltbot_types::{Body, Call, CallError, FrameStream, Frames, Kind, Next, Reply, Step};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::table::Table;

/// The step that ends a call in time.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Table>);

/// Gives each call the time that its model has in `routes`. A model that is not there sets no end.
pub fn deadline(routes: Arc<Table>) -> Deadline {
    Deadline(routes)
}

impl Step for Deadline {
    async fn run<N: Next>(&self, mut call: Call, next: &N) -> Result<Reply, CallError> {
        let Some(route) = self.0.get(call.head.model.as_str()) else {
            return next.call(call).await;
        };
        let total = route.settings().total;
        let end = after(call.begun, total);
        let end = call.deadline.map_or(end, |earlier| earlier.min(end));
        call.deadline = Some(end);
        let model = call.head.model.clone();
        match timeout_at(end, next.call(call)).await {
            Ok(Ok(reply)) => Ok(match reply.body {
                Body::Stream(_) => reply.map_frames(|frames| {
                    Box::pin(Limited {
                        frames: Some(frames),
                        end: Box::pin(sleep_until(end)),
                    })
                }),
                Body::Whole(_) => reply,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(CallError::new(
                Kind::Timeout,
                format!("model `{model}` did not answer within {total:?}; try again, or ask for less at once"),
            )
            .retry_after(Duration::from_secs(1))),
        }
    }
}

/// The instant `wait` after `start`; far away where there is no such instant.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}

/// Frames until the end of time, then an error.
struct Limited {
    frames: Option<FrameStream>,
    end: Pin<Box<Sleep>>,
}

impl Stream for Limited {
    type Item = Result<Frames, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(frames) = &mut this.frames else {
            return Poll::Ready(None);
        };
        // The clock comes first: a stream that always has a frame ready must end too.
        if this.end.as_mut().poll(cx).is_ready() {
            this.frames = None;
            return Poll::Ready(Some(Err(CallError::new(
                Kind::Cut,
                "the call's time is over; what came so far is not the whole answer",
            )
            .code("timeout"))));
        }
        let item = frames.as_mut().poll_next(cx);
        if let Poll::Ready(None | Some(Err(_))) = item {
            this.frames = None;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, call, content, end, path, target, through, wait};

    const TOTAL: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_outlasts_its_time_is_cut() {
        let endless = (0..100).flat_map(|_| [content("x"), wait(1)]);
        let house = path([target("a").streams(endless)]).with(|route| route.total = TOTAL);
        let begun = Instant::now();
        let cut = answer("xxxxx").from("a").then_cut(502, "timeout");
        assert_eq!(house.stream().await, cut);
        assert_eq!(begun.elapsed(), TOTAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_never_pauses_is_cut_too() {
        let pieces = futures_util::stream::repeat_with(|| Ok(Frames::default()));
        let mut limited = Limited {
            frames: Some(Box::pin(pieces)),
            end: Box::pin(sleep_until(Instant::now() + TOTAL)),
        };
        tokio::time::advance(TOTAL).await;
        let next = futures_util::StreamExt::next(&mut limited).await;
        assert_eq!(next.unwrap().unwrap_err().kind(), Kind::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_ends_in_time_is_left_alone() {
        let house = path([target("a").streams([content("hi"), wait(4), end()])])
            .with(|route| route.total = TOTAL);
        assert_eq!(house.stream().await, answer("hi.").from("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_end_stays_and_time_counts_from_the_arrival() {
        let route = crate::Route::new(
            "m",
            Vec::new(),
            crate::RouteSettings {
                total: TOTAL,
                ..Default::default()
            },
        );
        let step = deadline(Arc::new([route].into_iter().collect()));
        let hangs = target("a").hangs();
        let begun = Instant::now();
        let mut early = call(false);
        early.deadline = Some(begun + Duration::from_secs(2));
        let error = through(step.clone(), &hangs, early).await.unwrap_err();
        assert_eq!(
            (error.kind(), begun.elapsed().as_secs()),
            (Kind::Timeout, 2)
        );
        let mut late = call(false);
        late.begun = begun;
        assert!(through(step, &hangs, late).await.is_err());
        assert_eq!(begun.elapsed(), TOTAL);
    }
}
