//! Upstreams that fail: nobody there, resets, refusals, redirects, stale connections.

use std::time::Duration;

use moltbot_types::{Kind, Next, Retry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::support::{
    Act, HELLO, Key, Upstream, call, call_with, frames, json, spec, sse, stream_call, target, text,
};

#[tokio::test]
async fn fm_01_a_refused_connection_is_tried_elsewhere() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    // even a call that may not be repeated: nothing was sent
    let call = call_with(r#", "store": true"#);
    let url = format!("http://{address}/v1");
    let error = target(spec(url)).call(call).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.decision(), Retry::Anywhere);
    assert_eq!(error.message(), "model `primary` can't be reached");
    assert!(
        error.chain().contains(&address.to_string()),
        "{}",
        error.chain()
    );
    assert!(!error.chain().contains("/v1"), "{}", error.chain());
}

#[tokio::test]
async fn fm_02_a_name_without_an_address_is_tried_elsewhere() {
    let error = target(spec("http://no-such-host.invalid/v1"))
        .call(call())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.decision()),
        (Kind::Unavailable, Retry::Anywhere)
    );
}

#[tokio::test]
async fn fm_06_a_connection_must_be_made_in_time() {
    // TLS against a peer that says nothing
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", silent.local_addr().unwrap());
    let mut spec = spec(url);
    spec.connect = Duration::from_millis(50);
    let error = target(spec).call(call()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.decision()),
        (Kind::Unavailable, Retry::Anywhere)
    );
    assert!(
        error.chain().contains("no connection within 50ms"),
        "{}",
        error.chain()
    );
}

#[tokio::test]
async fn fm_09_a_reset_before_the_answer_is_tried_elsewhere_unless_the_answer_is_stored() {
    for (body, retry) in [("", Retry::Anywhere), (r#", "store": true"#, Retry::Never)] {
        let upstream = Upstream::start([Act::Reset]).await;
        let target = target(spec(upstream.url()));
        let error = target.call(call_with(body)).await.unwrap_err();
        assert_eq!((error.kind(), error.decision()), (Kind::Unavailable, retry));
        assert_eq!(
            upstream.requests().len(),
            1,
            "the first use is not repeated"
        );
    }
}

#[tokio::test]
async fn fm_07_a_pooled_connection_that_was_closed_is_replaced_once() {
    let hello = json(200, "", HELLO);
    let acts = [Act::SayThenGoStale(hello.clone()), Act::Say(hello)];
    let upstream = Upstream::start(acts).await;
    let target = target(spec(upstream.url()));
    target.call(call()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(text(target.call(call()).await.unwrap()), HELLO);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn fm_07_a_stale_connection_is_no_excuse_for_storing_twice() {
    let upstream = Upstream::start([Act::SayThenGoStale(json(200, "", HELLO))]).await;
    let target = target(spec(upstream.url()));
    target.call(call()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stored = call_with(r#", "store": true"#);
    let error = target.call(stored).await.unwrap_err();
    assert_eq!(error.decision(), Retry::Never);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let rogue = Upstream::start([Act::Say(json(200, "", HELLO))]).await;
    let location = format!("location: {}\r\n", rogue.url());
    let upstream = Upstream::start([Act::Say(json(307, &location, ""))]).await;
    let error = target(spec(upstream.url())).call(call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadReply);
    assert_eq!(rogue.connections(), 0);
}

#[tokio::test]
async fn fm_17_a_rate_limit_rests_as_long_as_it_says() {
    let body = r#"{"error": {"message": "slow down"}}"#;
    let answer = json(429, "retry-after-ms: 1500\r\nretry-after: 9\r\n", body);
    let upstream = Upstream::start([Act::Say(answer)]).await;
    let error = target(spec(upstream.url())).call(call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
    assert_eq!(error.decision(), Retry::After(Duration::from_millis(1500)));
}

#[tokio::test]
async fn fm_28_a_refused_credential_is_shown_again_only_when_it_is_new() {
    let no = Act::Say(json(401, "", "{}"));
    let upstream = Upstream::start([no.clone(), no]).await;
    let mut spec = spec(upstream.url());
    spec.credential = Key::renewed_once();
    let target = target(spec);
    for retry in [Retry::Again, Retry::Elsewhere] {
        let error = target.call(call()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.decision()),
            (Kind::UpstreamAuth, retry)
        );
        assert_eq!(error.status(), 502);
    }
}

#[tokio::test]
async fn a_callers_fault_is_passed_on_without_address_and_secret() {
    let upstream = Upstream::start([]).await;
    let address = upstream.address().to_owned();
    let body = format!(
        r#"{{"error": {{"message": "bad top_p, see {address}, not {}", "code": "bad"}}}}"#,
        Key::SECRET
    );
    let upstream = Upstream::start([Act::Say(json(400, "", &body))]).await;
    let url = upstream.url();
    let error = target(spec(url)).call(call()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.decision()),
        (Kind::Upstream, Retry::Never)
    );
    assert!(error.message().contains("bad top_p"), "{error}");
    assert!(!error.message().contains("127.0.0.1"), "{error}");
    assert!(
        !format!("{error:?}{}", error.chain()).contains(Key::SECRET),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_failure_within_an_answer_keeps_address_and_secret_to_itself() {
    let body = format!(
        r#"{{"error": {{"message": "see 127.0.0.1:1, not {}", "code": "server_error"}}}}"#,
        Key::SECRET
    );
    let stream = sse(&format!("data: {body}\n\n"));
    let upstream = Upstream::start([Act::Say(json(200, "", &body)), Act::Say(stream)]).await;
    let target = target(spec(upstream.url()));
    let whole = target.call(call()).await.unwrap_err();
    let (_, streamed) = frames(target.call(stream_call()).await.unwrap()).await;
    for error in [whole, streamed.unwrap()] {
        let told = format!("{error:?}{}", error.chain());
        assert!(!told.contains(Key::SECRET), "{told}");
    }
}

#[tokio::test]
async fn a_failures_body_is_used_as_far_as_it_comes() {
    let mut answer = json(400, "", r#"{"error": {"message": "too hot", "code": "x"}}"#);
    answer = answer.replace("content-length: ", "content-length: 9");
    let upstream = Upstream::start([Act::SayAndClose(answer)]).await;
    let error = target(spec(upstream.url())).call(call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Upstream);
    assert_eq!(error.message(), "too hot");
}

#[tokio::test]
async fn a_stream_that_is_refused_is_judged_by_its_status() {
    let upstream = Upstream::start([Act::Say(json(503, "retry-after: 2\r\n", "busy"))]).await;
    let error = target(spec(upstream.url()))
        .call(stream_call())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.decision(), Retry::After(Duration::from_secs(2)));
}

#[tokio::test]
async fn fm_43_only_listed_headers_of_an_answer_travel_on() {
    let headers = "set-cookie: a=b\r\nstrict-transport-security: max-age=1\r\nalt-svc: h3\r\nserver: x\r\nx-ratelimit-remaining-requests: 9\r\n";
    let upstream = Upstream::start([Act::Say(json(200, headers, HELLO))]).await;
    let reply = target(spec(upstream.url())).call(call()).await.unwrap();
    let mut names: Vec<_> = reply.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-ratelimit-remaining-requests"]);
}

#[tokio::test]
async fn a_refusal_that_comes_before_the_body_was_read_is_still_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answer = json(
        413,
        "connection: close\r\n",
        r#"{"error": {"message": "too large"}}"#,
    );
    TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 512];
        stream.read_exact(&mut head).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // it stops reading, but does not reset what it has sent
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let long = format!(r#", "x": "{}""#, "x".repeat(8 << 20));
    let error = target(spec(url)).call(call_with(&long)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (Kind::Upstream, 413)
    );
}
