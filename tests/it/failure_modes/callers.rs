//! Section 2.4: the client side.

use std::time::Duration;

use moltbot_tests::{Do, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{HALF, HELLO, House, ROLE, alone, good, limited, pair, question, refusing};

/// A caller that speaks bytes.
struct Caller(TcpStream);

impl Caller {
    async fn connect(house: &House) -> Self {
        Self(
            TcpStream::connect(house.daemon.listen())
                .await
                .expect("a connection"),
        )
    }

    /// Asks the model `m`.
    async fn ask(house: &House, stream: bool) -> Self {
        let mut caller = Self::connect(house).await;
        let body = question("m", stream);
        let length = body.len();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
        caller
            .send(&format!("{head}content-length: {length}\r\n\r\n{body}"))
            .await;
        caller
    }

    async fn send(&mut self, text: &str) {
        // who is refused may be cut off while it still sends
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    async fn until(&mut self, text: &str) {
        let mut heard = Vec::new();
        let hearing = async {
            while !String::from_utf8_lossy(&heard).contains(text) {
                let more = self.0.read_buf(&mut heard).await.expect("open");
                assert!(more > 0, "closed before {text:?}");
            }
        };
        let came = timeout(Duration::from_secs(10), hearing).await;
        assert!(came.is_ok(), "no {text:?}");
    }

    /// All that comes until the gateway closes the connection.
    async fn rest(&mut self) -> String {
        let mut heard = Vec::new();
        let closed = timeout(Duration::from_secs(10), self.0.read_to_end(&mut heard)).await;
        assert!(closed.is_ok(), "the connection stays open");
        String::from_utf8_lossy(&heard).into_owned()
    }
}

/// Sends a request as it is and gives all that comes.
async fn raw(house: &House, request: &str) -> String {
    let mut caller = Caller::connect(house).await;
    caller.send(request).await;
    caller.rest().await
}

/// The caller leaves; within a second the upstream's connection is closed and nothing is in flight.
async fn leaves(caller: Caller, upstream: &Upstream, house: &House) {
    let begun = Instant::now();
    drop(caller);
    upstream.until_left().await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    house.until_metric("moltbot_inflight_requests", 0.0).await;
}

#[tokio::test]
async fn fm_44_a_caller_that_leaves_takes_the_call_along_in_every_phase_of_it() {
    for (stream, does) in [
        // before the head of the answer
        (false, vec![Do::Hang]),
        // within a whole answer
        (
            false,
            vec![
                Do::send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"),
                Do::Hang,
            ],
        ),
        // before content
        (true, vec![Do::stream(ROLE), Do::Hang]),
    ] {
        let (first, second) = (Upstream::does([does]).await, good(stream).await);
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        let caller = Caller::ask(&house, stream).await;
        first.until_asked(1).await;
        leaves(caller, &first, &house).await;
        assert_eq!(second.asked(), 0, "nobody waits for it any more");
    }
}

#[tokio::test]
async fn fm_44_a_caller_that_said_more_or_closes_one_side_alone_has_left_too() {
    for more in ["", "\r\n"] {
        for stream in [false, true] {
            let does = match stream {
                true => vec![Do::stream(ROLE), Do::Hang],
                false => vec![Do::Hang],
            };
            let first = Upstream::does([does]).await;
            let house = House::of(&alone(&first.url(), ""));
            let mut caller = Caller::ask(&house, stream).await;
            caller.send(more).await;
            first.until_asked(1).await;
            let begun = Instant::now();
            caller.0.shutdown().await.unwrap();
            first.until_left().await;
            assert!(
                begun.elapsed() < Duration::from_secs(1),
                "{more:?} {stream}"
            );
        }
    }
}

#[tokio::test]
async fn fm_44_a_caller_that_leaves_within_a_stream_is_written_down_with_its_usage() {
    let first = Upstream::does([vec![Do::stream(HALF), Do::Hang]]).await;
    let mut house = House::of(&alone(&first.url(), ""));
    let mut caller = Caller::ask(&house, true).await;
    caller.until("Half").await;
    leaves(caller, &first, &house).await;
    house.daemon.wait_for(|daemon| {
        let log = daemon.log();
        let line = log.iter().find(|line| line["code"] == "cancelled")?;
        assert!(line["tokens_out"].as_u64() > Some(0), "{line}");
        Some(())
    });
}

#[tokio::test]
async fn fm_44_a_caller_that_waits_for_its_turn_leaves_without_an_attempt() {
    let hello = Do::answer("200 OK", "connection: close\r\n", HELLO);
    let first = Upstream::does([vec![Do::Pause, hello.clone()], vec![hello]]).await;
    let yaml = alone(&first.url(), "concurrency: 1");
    let house = House::at(limited("queue_wait: 20s", &yaml));
    let working = Caller::ask(&house, false).await;
    first.until_asked(1).await;
    let waiting = Caller::ask(&house, false).await;
    house.until_metric("moltbot_inflight_requests", 2.0).await;
    let begun = Instant::now();
    drop(waiting);
    house.until_metric("moltbot_inflight_requests", 1.0).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    first.go_on();
    // its place in the queue has gone with it
    house.ask(false).await.comes_from("first", 1);
    assert_eq!(first.asked(), 2);
    drop(working);
}

#[tokio::test]
async fn fm_44_a_caller_that_leaves_within_a_backoff_ends_the_repeats() {
    let hint = "retry-after-ms: 1900\r\n";
    let first = refusing("429 Too Many Requests", hint, "{}").await;
    let mut house = House::of(&alone(&first.url(), ""));
    let caller = Caller::ask(&house, false).await;
    first.until_asked(1).await;
    first.until_left().await;
    leaves(caller, &first, &house).await;
    // once its record is closed, nothing of the call is left that could repeat it
    house.daemon.wait_for(|daemon| {
        let log = daemon.log();
        log.iter()
            .any(|line| line["code"] == "cancelled")
            .then_some(())
    });
    assert_eq!(first.asked(), 1);
}

#[tokio::test]
async fn fm_45_a_caller_that_does_not_read_holds_its_upstream_back() {
    let piece = HALF.replace("Half", &"x".repeat(4096)).into_bytes();
    let first = Upstream::does([vec![Do::stream(HALF), Do::Flood(piece)]]).await;
    let house = House::of(&alone(&first.url(), ""));
    let before = house.metric("process_resident_memory_bytes").await;
    let caller = Caller::ask(&house, true).await;
    first.until_asked(1).await;
    let mut sent = 0;
    let held_back = async {
        while sent == 0 || first.sent() != sent {
            sent = first.sent();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let held_back = timeout(Duration::from_secs(15), held_back).await;
    assert!(held_back.is_ok(), "the upstream sends on and on");
    let grown = house.metric("process_resident_memory_bytes").await - before;
    assert!(grown < 16e6, "{grown} bytes");
    leaves(caller, &first, &house).await;
}

#[tokio::test]
async fn fm_46_slow_callers_are_cut_and_honest_ones_do_not_feel_them() {
    let first = good(false).await;
    let house = House::at(limited("header_timeout: 500ms", &alone(&first.url(), "")));
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut caller = Caller::connect(&house).await;
        caller
            .send("POST /v1/chat/completions HTTP/1.1\r\nhost: local")
            .await;
        slow.push(caller);
    }
    house.ask(false).await.comes_from("first", 1);
    for mut caller in slow {
        let told = caller.rest().await;
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        assert!(told.contains("request_timeout"), "{told}");
    }
    assert_eq!(first.asked(), 1);
}

#[tokio::test]
async fn fm_47_a_head_that_is_too_large_is_refused_and_the_connection_closed() {
    let first = good(false).await;
    let house = House::of(&alone(&first.url(), ""));
    let start = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    let fields = "x-many: 1\r\n".repeat(101);
    let long = "a".repeat(33 * 1024);
    for (request, status) in [
        (format!("{start}{fields}\r\n"), 431),
        (format!("{start}x-long: {long}\r\n\r\n"), 431),
        (format!("POST /{} HTTP/1.1\r\n\r\n", &long[..8200]), 414),
    ] {
        let told = raw(&house, &request).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
        assert!(told.contains("\"error\""), "{told}");
    }
    assert_eq!(first.asked(), 0);
}

#[tokio::test]
async fn fm_50_json_that_can_be_read_in_two_ways_or_not_at_all_goes_nowhere() {
    let first = good(false).await;
    let house = House::of(&alone(&first.url(), ""));
    let deep = format!(
        "{{\"model\":\"m\",\"x\":{}{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    for body in [
        &*deep,
        r#"{"model":"m","model":"n"}"#,
        r#"{"model":"m","stream":true,"stream":false}"#,
        r#"{"model":"\ud800"}"#,
        r#"{"model":"m","max_tokens":1e999}"#,
    ] {
        let told = house.post(body).await;
        let shown = &body[..body.len().min(60)];
        assert!(matches!(told.status, 400 | 404), "{shown}: {told:?}");
        assert!(told.json()["error"]["message"].is_string(), "{shown}");
    }
    assert_eq!(first.asked(), 0);
    // where it is only passed on, a lone surrogate is the upstream's matter
    let lone = question("m", false).replace("Hello?", "\\ud800");
    house.post(&lone).await.comes_from("first", 1);
    assert_eq!(String::from_utf8_lossy(&first.seen()[0].body), lone);
}

#[tokio::test]
async fn fm_51_ambiguous_http_is_refused_and_never_forwarded() {
    let first = good(false).await;
    let house = House::of(&alone(&first.url(), ""));
    let body = question("m", false);
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let start = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    for request in [
        format!("{start}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"),
        format!("{start}content-length: {length}\r\ncontent-length: 3\r\n\r\n{body}"),
        format!("{start}content-length: {length}, {length}\r\n\r\n{body}"),
        format!("{start}content-length: +{length}\r\n\r\n{body}"),
        format!("{start}content-length: {length}\r\nx-folded: a\r\n b\r\n\r\n{body}"),
        format!("{start}content-length: {length}\nx-bare: a\r\n\r\n{body}"),
        format!("{start}transfer-encoding: xchunked\r\n\r\n{chunked}"),
        format!("{start}transfer-encoding: chunked, identity\r\n\r\n{chunked}"),
        format!(
            "{start}upgrade: websocket\r\nconnection: upgrade\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
        format!(
            "{}transfer-encoding: chunked\r\n\r\n{chunked}",
            start.replace("1.1", "1.0")
        ),
        format!("{start}content-length : {length}\r\n\r\n{body}"),
    ] {
        let told = raw(&house, &request).await;
        assert!(
            told.starts_with("HTTP/1.1 400 ") || told.starts_with("HTTP/1.0 400 "),
            "{request:?}: {told}"
        );
    }
    assert_eq!(first.asked(), 0);
}

#[tokio::test]
async fn fm_52_the_control_plane_does_not_speak_http2() {
    let first = good(false).await;
    let house = House::of(&alone(&first.url(), ""));
    let admin = house.daemon.admin_url("");
    let admin = admin.strip_prefix("http://").unwrap();
    let mut caller = Caller(TcpStream::connect(admin).await.unwrap());
    caller.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let told = caller.rest().await;
    assert!(told.starts_with("HTTP/1.1 400 "), "{told:?}");
}
