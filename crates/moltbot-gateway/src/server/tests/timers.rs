use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::{Running, get};
use crate::server::ServerSettings;

/// Short times, so that what must be cut is cut soon.
fn short() -> ServerSettings {
    let time = Duration::from_millis(200);
    ServerSettings {
        first_byte: time,
        header_timeout: time,
        read_progress: time,
        write_progress: time,
        keep_alive: time,
        ..ServerSettings::default()
    }
}

#[tokio::test]
async fn fm_46_a_silent_connection_is_closed() {
    for http2 in [true, false] {
        let server = Running::start(ServerSettings { http2, ..short() }).await;
        assert_eq!(server.connect().await.rest().await, "");
    }
}

#[tokio::test]
async fn fm_46_a_head_that_dribbles_is_answered_with_408() {
    let server = Running::start(short()).await;
    let mut client = server.connect().await;
    let begun = Instant::now();
    client.send("GET / HTTP/1.1\r\nhost: x\r\n").await;
    client.dribble("x-more: y\r\n", 4).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"request_timeout""#), "{answer}");
    assert!(
        begun.elapsed() >= Duration::from_millis(190),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn fm_46_a_body_that_dribbles_ends_with_an_error_for_the_handler() {
    let server = Running::start(short()).await;
    let mut client = server.connect().await;
    client
        .send("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        .await;
    client.dribble("x", 4).await;
    let answer = client.rest().await;
    assert!(answer.contains("no body: "), "{answer}");
}

#[tokio::test]
async fn a_slow_answer_is_no_fault_of_the_client() {
    let server = Running::start(short()).await;
    let mut client = server.connect().await;
    client
        .send("POST /two HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        .await;
    client.until("half").await;
    sleep(Duration::from_millis(450)).await;
    server.tick();
    client.until("half").await;
}

#[tokio::test]
async fn fm_45_a_client_that_stops_reading_is_cut() {
    let server = Running::start(short()).await;
    let mut client = server.connect().await;
    client.send(&get("/endless")).await;
    server.until_in_flight(1).await;
    server.until_in_flight(0).await;
    client.gone().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_a_request_and_not_sooner() {
    let keep_alive = Duration::from_millis(400);
    let server = Running::start(ServerSettings {
        keep_alive,
        ..short()
    })
    .await;
    let mut client = server.connect().await;
    let mut begun = Instant::now();
    for _ in 0..3 {
        sleep(Duration::from_millis(150)).await;
        begun = Instant::now();
        client.send(&get("/a")).await;
        client.until("you asked for /a").await;
    }
    assert_eq!(client.rest().await, "");
    assert!(
        begun.elapsed() >= Duration::from_millis(390),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn an_old_connection_ends_with_its_answer() {
    let old = ServerSettings {
        max_age: Duration::ZERO,
        ..short()
    };
    let server = Running::start(old).await;
    let mut client = server.connect().await;
    client.send(&get("/two")).await;
    client.until("half").await;
    sleep(Duration::from_millis(20)).await;
    server.tick();
    assert!(client.rest().await.contains("half"));
}
