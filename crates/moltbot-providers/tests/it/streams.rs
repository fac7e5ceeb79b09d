//! Streamed answers: frames as they come, a proper end, or a failure.

use std::time::Duration;

use futures_util::StreamExt;
use moltbot_types::{Body, Kind, Mark, Next, Retry};

use crate::support::{Act, HELLO, Upstream, frames, joined, json, spec, sse, stream_call, target};

fn content(text: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

fn stop() -> String {
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned()
}

const DONE: &str = "data: [DONE]\n\n";

async fn ask(act: Act) -> (String, Option<moltbot_types::CallError>) {
    let upstream = Upstream::start([act]).await;
    let reply = target(spec(upstream.url()))
        .call(stream_call())
        .await
        .unwrap();
    let (frames, error) = frames(reply).await;
    (joined(&frames), error)
}

#[tokio::test]
async fn a_stream_comes_through_byte_for_byte() {
    let body = format!("{}{}{}{DONE}", content("hel"), content("lo"), stop());
    let (text, error) = ask(Act::SayAndClose(sse(&body))).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text, body);
}

#[tokio::test]
async fn a_stream_that_drips_byte_by_byte_comes_through() {
    let body = format!("{}{}{DONE}", content("hello"), stop());
    let pieces = sse(&body).chars().map(String::from).collect();
    let upstream = Upstream::start([Act::Drip(Duration::from_micros(10), pieces)]).await;
    let reply = target(spec(upstream.url()))
        .call(stream_call())
        .await
        .unwrap();
    let (_, _, stream, _holds) = reply.into_parts();
    let Body::Stream(mut stream) = stream else {
        panic!("whole")
    };
    let mut text = Vec::new();
    while text.len() < body.len() {
        text.extend_from_slice(stream.next().await.unwrap().unwrap().raw());
    }
    assert_eq!(String::from_utf8(text).unwrap(), body);
}

#[tokio::test]
async fn a_stream_that_breaks_off_never_looks_complete() {
    for act in [
        Act::SayAndClose(sse(&content("hel"))),
        Act::SayAndClose(sse(&content("hel")).replace("connection: close", "content-length: 9999")),
    ] {
        let (text, error) = ask(act).await;
        assert_eq!(text, content("hel"));
        let error = error.unwrap();
        assert_eq!(error.kind(), Kind::Cut, "{error}");
        assert_eq!(error.decision(), Retry::Anywhere);
    }
}

#[tokio::test]
async fn an_end_without_its_marker_gets_it_whatever_the_connection_does() {
    let body = format!("{}{}", content("hello"), stop());
    for act in [
        Act::SayAndClose(sse(&body)),
        Act::SayAndClose(sse(&body).replace("connection: close", "content-length: 9999")),
    ] {
        let (text, error) = ask(act).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(text, format!("{body}{DONE}"));
    }
}

#[tokio::test]
async fn an_upstream_that_keeps_the_connection_after_the_end_is_left() {
    let body = format!("{}{}", content("hello"), stop());
    let mut upstream = Upstream::start([Act::SayAndHang(sse(&body))]).await;
    let reply = target(spec(upstream.url()))
        .call(stream_call())
        .await
        .unwrap();
    let (got, error) = tokio::time::timeout(Duration::from_secs(9), frames(reply))
        .await
        .unwrap();
    assert!(error.is_none(), "{error:?}");
    assert_eq!(joined(&got), format!("{body}{DONE}"));
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_failure_told_within_a_stream_is_judged_and_its_own_words_go_no_further() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\",\"code\":503}}\n\n";
    for before in [String::new(), content("hel")] {
        let body = format!("{before}{error}");
        let (text, error) = ask(Act::SayAndClose(sse(&body))).await;
        assert_eq!(text, before);
        let error = error.unwrap();
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
        assert_eq!(error.fault().unwrap().status, 503);
    }
}

#[tokio::test]
async fn what_is_no_stream_is_none() {
    let failure = r#"{"error": {"message": "no", "type": "server_error"}}"#;
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    for (answer, kind) in [
        (json(200, "", HELLO), Kind::BadReply),
        (json(200, "", failure), Kind::Unavailable),
        (json(200, "", "{"), Kind::BadReply),
        (html.to_owned(), Kind::BadReply),
    ] {
        let upstream = Upstream::start([Act::Say(answer.clone())]).await;
        let error = target(spec(upstream.url()))
            .call(stream_call())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{answer}");
        assert_eq!(error.decision(), Retry::Anywhere, "{answer}");
    }
}

#[tokio::test]
async fn a_stream_without_a_content_type_is_read_as_one() {
    let body = format!("{}{}{DONE}", content("hello"), stop());
    let act = sse(&body).replace("content-type: text/event-stream\r\n", "");
    let (text, error) = ask(Act::SayAndClose(act)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text, body);
}

#[tokio::test]
async fn frames_arrive_while_the_upstream_still_speaks_and_leaving_closes_its_connection() {
    let mut upstream = Upstream::start([Act::SayAndHang(sse(&content("hel")))]).await;
    let reply = target(spec(upstream.url()))
        .call(stream_call())
        .await
        .unwrap();
    let (_, _, body, holds) = reply.into_parts();
    let Body::Stream(mut stream) = body else {
        panic!("whole")
    };
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.has(Mark::Content));
    drop((stream, holds));
    let closed = upstream.connection_closed();
    tokio::time::timeout(Duration::from_secs(1), closed)
        .await
        .unwrap();
}
