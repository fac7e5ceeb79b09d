//! Whole answers: passed on as they came, or no answers at all.

use std::time::Duration;

use moltbot_types::{Kind, Next, Retry, Usage};

use crate::support::{Act, HELLO, Upstream, call, json, spec, target, text};

#[tokio::test]
async fn a_whole_answer_comes_back_as_it_was_sent() {
    let upstream = Upstream::start([Act::Say(json(200, "", HELLO))]).await;
    let reply = target(spec(upstream.url())).call(call()).await.unwrap();
    assert_eq!(reply.status, 200);
    let usage = reply.usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 1));
    assert_eq!(
        usage,
        Usage {
            estimated: false,
            ..usage
        }
    );
    assert_eq!(text(reply), HELLO);
}

#[tokio::test]
async fn an_answer_in_many_pieces_is_put_together() {
    let pieces = json(200, "", HELLO).chars().map(String::from).collect();
    let act = Act::Drip(Duration::from_micros(10), pieces);
    let upstream = Upstream::start([act]).await;
    let reply = target(spec(upstream.url())).call(call()).await.unwrap();
    assert_eq!(text(reply), HELLO);
}

#[tokio::test]
async fn connections_are_used_again() {
    let act = Act::Say(json(200, "", HELLO));
    let upstream = Upstream::start([act.clone(), act.clone(), act]).await;
    let target = target(spec(upstream.url()));
    for _ in 0..3 {
        target.call(call()).await.unwrap();
        // the pool takes the connection back on a task of its own
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn what_is_no_answer_is_none() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 6\r\n\r\n<html>";
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 14\r\n\r\ndata: [DONE]\n\n";
    for (answer, word) in [
        (html.to_owned(), "web page"),
        (stream.to_owned(), "stream"),
        (json(200, "content-encoding: gzip\r\n", HELLO), "coding"),
        (json(200, "", "  \n\t "), "is empty"),
        (json(200, "", ""), "is empty"),
        (json(200, "", "{\"choices\": ["), ""),
        (json(200, "", "no json"), ""),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), "no HTTP"),
    ] {
        let upstream = Upstream::start([Act::SayAndClose(answer.clone())]).await;
        let error = target(spec(upstream.url())).call(call()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadReply, "{answer}");
        assert_eq!(error.decision(), Retry::Anywhere, "{answer}");
        assert!(error.message().contains(word), "{error}");
    }
}

#[tokio::test]
async fn blanks_before_the_answer_are_no_harm() {
    let body = format!("\n \n{HELLO}");
    let upstream = Upstream::start([Act::Say(json(200, "", &body))]).await;
    let reply = target(spec(upstream.url())).call(call()).await.unwrap();
    assert_eq!(text(reply).trim_start(), HELLO);
}

#[tokio::test]
async fn a_failure_in_an_answer_of_200_is_judged_as_its_status() {
    let body = r#"{"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}"#;
    let upstream = Upstream::start([Act::Say(json(200, "", body))]).await;
    let error = target(spec(upstream.url())).call(call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
}

#[tokio::test]
async fn fm_38_an_answer_over_the_limit_is_not_read() {
    let told = Act::SayAndHang(json(200, "", HELLO));
    let chunked = Act::SayAndHang(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{HELLO}\r\n",
        HELLO.len()
    ));
    for act in [told, chunked] {
        let mut upstream = Upstream::start([act]).await;
        let mut spec = spec(upstream.url());
        spec.reply_limit = 100;
        let error = target(spec).call(call()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadReply);
        assert!(error.message().contains("server.limits.reply"), "{error}");
        upstream.connection_closed().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failed_attempt() {
    let half = json(200, "", HELLO)[..150].to_owned();
    let upstream = Upstream::start([Act::SayAndClose(half)]).await;
    let error = target(spec(upstream.url())).call(call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.decision(), Retry::Anywhere);
}

#[tokio::test]
async fn an_answer_must_begin_in_time_and_may_not_pause_too_long() {
    let silent = Act::SayAndHang(String::new());
    let answer = json(200, "", HELLO);
    let head = answer.find("\r\n\r\n").unwrap() + 4;
    let head_only = Act::SayAndHang(answer[..head].to_owned());
    let half = Act::SayAndHang(answer[..head + 20].to_owned());
    for (act, words) in [(silent, "begin"), (head_only, "begin"), (half, "go on")] {
        let upstream = Upstream::start([act]).await;
        let mut spec = spec(upstream.url());
        spec.answer = Some(Duration::from_millis(500));
        spec.idle = Some(Duration::from_millis(80));
        let error = target(spec).call(call()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(error.message().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_slow_answer_that_goes_on_is_waited_for() {
    let whole = json(200, "", HELLO);
    let (a, b) = whole.split_at(150);
    let pieces = vec![a.to_owned(), b[..20].to_owned(), b[20..].to_owned()];
    let upstream = Upstream::start([Act::Drip(Duration::from_millis(400), pieces)]).await;
    let mut spec = spec(upstream.url());
    spec.answer = Some(Duration::from_secs(1));
    spec.idle = Some(Duration::from_secs(1));
    assert_eq!(text(target(spec).call(call()).await.unwrap()), HELLO);
}

#[tokio::test]
async fn a_caller_that_leaves_closes_the_upstreams_connection() {
    let mut upstream = Upstream::start([Act::SayAndHang(String::new())]).await;
    let target = target(spec(upstream.url()));
    let left = tokio::time::timeout(Duration::from_millis(300), target.call(call())).await;
    assert!(left.is_err());
    let closed = upstream.connection_closed();
    tokio::time::timeout(Duration::from_secs(1), closed)
        .await
        .unwrap();
}
