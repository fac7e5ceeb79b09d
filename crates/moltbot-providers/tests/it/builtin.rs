//! Models of this process: an echo, and scripts with delays and faults.

use std::time::Duration;

use futures_util::StreamExt;
use http::StatusCode;
use moltbot_providers::{Builtin, Script};
use moltbot_types::{Body, CallError, Kind, Mark, Next, Operation, Retry};
use tokio::time::{Instant, timeout};

use crate::support::{call, call_of, frames, joined, stream_call, text};

fn script(text: &str) -> Script {
    Script {
        text: text.to_owned(),
        ..Script::default()
    }
}

#[tokio::test]
async fn an_echo_answers_with_the_last_user_text() {
    let reply = Builtin::echo().call(call()).await.unwrap();
    let usage = reply.usage.unwrap();
    assert_eq!((usage.input, usage.output), (2, 2));
    let answer: serde_json::Value = serde_json::from_str(&text(reply)).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi there");
    assert_eq!(answer["model"], "primary");
}

#[tokio::test]
async fn an_echo_continues_a_plain_prompt() {
    let body = r#"{"model": "primary", "prompt": "once upon"}"#.to_owned();
    let call = call_of(Operation::Complete, body);
    let reply = Builtin::echo().call(call).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text(reply)).unwrap();
    assert_eq!(answer["choices"][0]["text"], "once upon");
}

#[tokio::test]
async fn a_stream_comes_word_by_word_and_ends_properly() {
    let reply = Builtin::script(script("one two three"))
        .call(stream_call())
        .await
        .unwrap();
    let (frames, error) = frames(reply).await;
    assert!(error.is_none(), "{error:?}");
    let words = frames.iter().filter(|f| f.has(Mark::Content)).count();
    assert_eq!(words, 3);
    let all = joined(&frames);
    assert!(all.contains("\"two \""), "{all}");
    assert!(all.ends_with("data: [DONE]\n\n"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_script_keeps_its_times() {
    let slow = Script {
        delay: Duration::from_millis(300),
        pace: Duration::from_millis(50),
        ..script("one two three")
    };
    let begun = Instant::now();
    let reply = Builtin::script(slow).call(stream_call()).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
    frames(reply).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(400));
}

async fn fails(script: Script) -> CallError {
    Builtin::script(script).call(call()).await.unwrap_err()
}

#[tokio::test]
async fn a_scripted_failure_means_what_an_upstreams_would() {
    for (status, kind, retry) in [
        (503, Kind::Unavailable, Retry::Anywhere),
        (429, Kind::RateLimited, Retry::After(Duration::from_secs(1))),
        (400, Kind::Upstream, Retry::Never),
    ] {
        let error = fails(Script {
            fail: Some(StatusCode::from_u16(status).unwrap()),
            ..script("")
        });
        let error = error.await;
        assert_eq!((error.kind(), error.decision()), (kind, retry));
    }
}

#[tokio::test]
async fn a_scripted_cut_comes_after_so_many_words() {
    let cut = Script {
        cut_after: Some(2),
        ..script("one two three")
    };
    assert_eq!(fails(cut.clone()).await.decision(), Retry::Anywhere);
    let reply = Builtin::script(cut).call(stream_call()).await.unwrap();
    let (frames, error) = frames(reply).await;
    assert!(joined(&frames).contains("two") && !joined(&frames).contains("three"));
    assert_eq!(error.unwrap().kind(), Kind::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_script_that_hangs_never_answers() {
    let hang = Script {
        hang: true,
        ..script("one two")
    };
    let hour = Duration::from_secs(3600);
    let never = Builtin::script(hang.clone());
    assert!(timeout(hour, never.call(call())).await.is_err());
    let stall = Builtin::script(Script {
        cut_after: Some(1),
        ..hang
    });
    let (_, _, body, _holds) = stall.call(stream_call()).await.unwrap().into_parts();
    let Body::Stream(mut stream) = body else {
        panic!("whole")
    };
    assert!(stream.next().await.unwrap().unwrap().has(Mark::Content));
    assert!(timeout(hour, stream.next()).await.is_err());
}

#[tokio::test]
async fn a_builtin_model_says_that_it_does_not_embed() {
    let body = r#"{"model": "primary", "input": "x"}"#.to_owned();
    let error = Builtin::echo()
        .call(call_of(Operation::Embed, body))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::BadRequest);
    assert!(error.message().contains("primary"), "{error}");
}
