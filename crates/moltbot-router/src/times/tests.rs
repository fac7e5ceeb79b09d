use super::*;
use crate::testing::{
    self, answer, call, content, end, error_frame, path, ping, refusal, role, target, through, wait,
};

fn on(pieces: impl IntoIterator<Item = testing::Piece>) -> testing::House {
    path([target("a").streams(pieces)])
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_content_and_then_all_of_it() {
    let target = target("a").streams([ping(), role(), ping(), wait(20), content("hi"), end()]);
    let begun = Instant::now();
    let reply = through(times(Timeouts::default()), &target, call(true))
        .await
        .unwrap();
    assert_eq!(begun.elapsed().as_secs(), 20);
    let (_, _, Body::Stream(mut frames), _) = reply.into_parts() else {
        panic!("a stream was asked for");
    };
    let first = frames.next().await.unwrap().unwrap();
    assert_eq!(&first.raw()[..], b":\n\n:\n\nhi");
    assert!(first.has(Mark::Content));
    assert_eq!(&frames.next().await.unwrap().unwrap().raw()[..], b".");
    assert!(frames.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn fm_11_pings_do_not_prolong_the_wait_for_content() {
    let pings = (0..100).flat_map(|_| [wait(1), ping()]);
    let begun = Instant::now();
    let reply = through(
        times(Timeouts::default()),
        &target("a").streams(pings),
        call(true),
    )
    .await;
    assert_eq!(reply.unwrap_err().kind(), Kind::Timeout);
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_does_not_prolong_the_wait_either() {
    let flood =
        futures_util::stream::repeat_with(|| Ok(Frames::one(Bytes::from_static(b":"), Mark::Ping)))
            .then(|frames| async {
                tokio::time::advance(Duration::from_secs(1)).await;
                frames
            });
    let end = Instant::now() + Duration::from_secs(10);
    let mut pieces = Pieces::new(Box::pin(flood), Duration::from_secs(5), end);
    while let Piece::Frames(_) = pieces.next().await {}
    assert!(Instant::now() - end < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn fm_12_silence_before_content_is_a_failed_attempt() {
    let timeouts = Timeouts {
        idle: Duration::from_secs(5),
        ..Timeouts::default()
    };
    let begun = Instant::now();
    let silent = target("a").streams([ping(), wait(4), ping(), wait(6), content("hi")]);
    let error = through(times(timeouts), &silent, call(true))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the stream was silent for 5s");
    assert_eq!(error.decision(), Retry::Anywhere);
    assert_eq!(begun.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn fm_13_a_stall_after_content_is_an_error_and_no_end() {
    let told = on([content("half"), wait(31), content("more"), end()])
        .stream()
        .await;
    let stalled = answer("half").from("a").then_cut(502, "upstream_stalled");
    assert_eq!(told, stalled);
}

#[tokio::test(start_paused = true)]
async fn slow_but_steady_streams_may_take_their_time() {
    let steady = (0..10).flat_map(|_| [wait(29), content("x")]);
    let told = on(steady.chain([end()])).stream().await;
    assert_eq!(told, answer("xxxxxxxxxx.").from("a"));
}

#[tokio::test(start_paused = true)]
async fn fm_14_an_end_before_content_goes_elsewhere_unseen() {
    let house = path([
        target("a").streams([role(), ping()]),
        target("b").streams([role(), content("hi"), end()]),
    ]);
    for _ in 0..8 {
        let told = house.stream().await;
        let attempts = if told == answer("hi.").from("b") {
            1
        } else {
            2
        };
        assert_eq!(told, answer("hi.").from("b").after(attempts));
    }
    assert!(house.asked("a") > 0);
}

#[tokio::test(start_paused = true)]
async fn fm_15_a_stream_that_breaks_off_never_looks_complete() {
    let ended = on([content("half")]).stream().await;
    assert_eq!(ended, answer("half").from("a").then_cut(502, "stream_cut"));
    let broken = on([content("half"), testing::Piece::Fails(500)])
        .stream()
        .await;
    let cut = answer("half")
        .from("a")
        .then_cut(503, "upstream_unavailable");
    assert_eq!(broken, cut);
}

#[tokio::test(start_paused = true)]
async fn fm_32_an_error_frame_before_content_is_that_failure() {
    let pieces = [role()].into_iter().chain(error_frame(429));
    let error = through(
        times(Timeouts::default()),
        &target("a").streams(pieces),
        call(true),
    )
    .await;
    assert_eq!(error.unwrap_err().kind(), Kind::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn fm_33_an_error_frame_after_content_passes_and_ends_the_stream() {
    let pieces = [content("half")].into_iter().chain(error_frame(500));
    let cut = answer("half!")
        .from("a")
        .then_cut(503, "upstream_unavailable");
    assert_eq!(on(pieces).stream().await, cut);
}

#[tokio::test(start_paused = true)]
async fn an_end_without_content_is_an_answer() {
    assert_eq!(on([role(), end()]).stream().await, answer(".").from("a"));
}

#[tokio::test(start_paused = true)]
async fn silence_after_the_end_does_not_spoil_the_answer() {
    let told = on([content("hi"), end(), wait(100)]).stream().await;
    assert_eq!(told, answer("hi.").from("a"));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_back_has_a_bound() {
    let chatter = "x".repeat(64 * 1024);
    let frame = Frames::one(Bytes::from(chatter), Mark::Role);
    let pieces = (0..100).map(|_| testing::Piece::Frame(frame.clone()));
    let error = through(
        times(Timeouts::default()),
        &target("a").streams(pieces),
        call(true),
    )
    .await;
    assert_eq!(error.unwrap_err().kind(), Kind::BadReply);
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_has_its_own_limit_or_none() {
    let slow = target("a").says("hi").takes(121_000);
    let bounded = through(times(Timeouts::default()), &slow, call(false)).await;
    assert_eq!(bounded.unwrap_err().to_string(), "no answer within 120s");
    let unbounded = Timeouts {
        answer: None,
        ..Timeouts::default()
    };
    assert!(through(times(unbounded), &slow, call(false)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_an_attempt_that_would_have_had_more_time() {
    let house = path([target("a").hangs()]).with(|route| route.total = Duration::from_secs(7));
    let begun = Instant::now();
    assert_eq!(house.stream().await, refusal(504, "timeout"));
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_upstream_keeps_is_not_made_twice() {
    for target in [target("a").hangs(), target("a").streams([role()])] {
        let mut kept = call(true);
        kept.head.store = true;
        let error = through(times(Timeouts::default()), &target, kept).await;
        assert_eq!(error.unwrap_err().decision(), Retry::Never);
    }
}
