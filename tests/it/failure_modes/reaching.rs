//! Section 2.1: the way to the upstream.

use std::time::Duration;

use moltbot_tests::{Do, Upstream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{AT_ONCE, HELLO, House, alone, good, nobody, pair, question};

#[tokio::test]
async fn fm_01_a_refused_connection_is_not_felt_where_another_target_answers() {
    let second = good(false).await;
    let mut house = House::of(&pair(&nobody(), &second.url(), ""));
    let told = house.ask(false).await;
    told.comes_from("second", 2);
    let line = house.line_of(&told);
    assert_eq!(line["level"], "warn", "{line}");
    let tried = &line["tried"];
    assert_eq!(tried[0]["target"], "first", "{line}");
    assert_eq!(tried[1]["move"], "node", "{line}");
    // even a call whose repeat would be another call: nothing was sent
    let stored = question("m", false).replacen('{', "{\"store\":true,", 1);
    house.post(&stored).await.comes_from("second", 2);
}

#[tokio::test]
async fn fm_01_a_target_that_is_alone_is_tried_again_and_then_named() {
    let house = House::of(&format!("{AT_ONCE}{}", alone(&nobody(), "")));
    let told = house.ask(false).await;
    told.is_refused(503, "all_targets_unavailable");
    assert!(!told.header("retry-after").is_empty(), "{told:?}");
    let attempts: u32 = told.header("x-moltbot-attempts").parse().unwrap();
    assert!((2..=6).contains(&attempts), "{told:?}");
    let message = told.json()["error"]["message"].to_string();
    assert!(message.contains("model `m`"), "{message}");
}

#[tokio::test]
async fn fm_02_a_name_without_an_address_is_a_warning_and_no_failed_start() {
    let second = good(false).await;
    let first = "http://no-such-host.invalid/v1";
    let mut house = House::of(&pair(first, &second.url(), ""));
    house.ask(false).await.comes_from("second", 2);
    house.daemon.wait_for(|daemon| {
        let log = daemon.log();
        let mut lines = log.iter().filter(|line| line["level"] == "warn");
        let named = |text: &str| text.contains("no-such-host.invalid");
        lines
            .any(|line| line["msg"].as_str().is_some_and(named))
            .then_some(())
    });
}

#[tokio::test]
async fn fm_05_a_failed_handshake_is_left_and_named_in_the_log() {
    // it speaks no TLS at all
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", first.local_addr().unwrap());
    let mut plain = JoinSet::new();
    plain.spawn(async move {
        while let Ok((mut stream, _)) = first.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let second = good(false).await;
    let mut house = House::of(&pair(&url, &second.url(), ""));
    let told = house.ask(false).await;
    told.comes_from("second", 2);
    let line = house.line_of(&told);
    assert_eq!(line["tried"][0]["reason"], "upstream_tls", "{line}");
}

#[tokio::test]
async fn fm_06_a_connection_that_takes_too_long_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", silent.local_addr().unwrap());
    let second = good(false).await;
    let times = "timeouts: { connect: 200ms }";
    let house = House::of(&pair(&url, &second.url(), times));
    let begun = Instant::now();
    house.ask(false).await.comes_from("second", 2);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn fm_07_a_connection_that_went_stale_in_the_pool_is_no_attempt() {
    let hello = || Do::answer("200 OK", "", HELLO);
    let first = Upstream::does([
        vec![hello(), Do::Keep],
        // the second request comes over the same connection, which ends without a byte
        vec![],
        vec![hello()],
    ])
    .await;
    let house = House::of(&alone(&first.url(), ""));
    house.ask(false).await.comes_from("first", 1);
    // the pool takes the connection back on a task of its own
    tokio::time::sleep(Duration::from_millis(50)).await;
    house.ask(false).await.comes_from("first", 1);
    assert_eq!((first.asked(), first.connections()), (3, 2));
}

#[tokio::test]
async fn fm_09_a_request_that_was_partly_written_goes_elsewhere_unless_it_is_kept() {
    let long = "x".repeat(8 << 20);
    let asked = question("m", false).replace("Hello?", &long);
    let first = Upstream::does_early(vec![Do::Reset]).await;
    let second = good(false).await;
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.post(&asked).await.comes_from("second", 2);

    let stored = asked.replacen('{', "{\"store\":true,", 1);
    let told = house.post(&stored).await;
    told.is_refused(503, "upstream_unavailable");
    assert_eq!(told.header("x-moltbot-attempts"), "1");
    assert_eq!(second.asked(), 1);
}

#[tokio::test]
async fn fm_10_a_full_target_is_left_and_when_all_are_full_the_caller_hears_it() {
    let busy =
        || async { Upstream::does([vec![Do::Pause, Do::answer("200 OK", "", HELLO)]]).await };
    let (first, second) = (busy().await, busy().await);
    let house = House::of(&pair(&first.url(), &second.url(), "concurrency: 1"));
    let shed = async {
        first.until_asked(1).await;
        second.until_asked(1).await;
        let begun = Instant::now();
        let told = house.ask(false).await;
        assert!(begun.elapsed() < Duration::from_secs(2));
        told.is_refused(503, "overloaded");
        assert_eq!(told.header("retry-after"), "1");
        assert_eq!(told.header("x-moltbot-attempts"), "0");
        first.go_on();
        second.go_on();
    };
    let one = house.ask(false);
    let other = async {
        first.until_asked(1).await;
        house.ask(false).await
    };
    let (one, other, ()) = tokio::join!(one, other, shed);
    one.comes_from("first", 1);
    other.comes_from("second", 1);
    assert_eq!((first.asked(), second.asked()), (1, 1));
}
