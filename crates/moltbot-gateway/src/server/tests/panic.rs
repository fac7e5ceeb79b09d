use std::sync::atomic::Ordering;

use super::client::{Running, get, settings};

#[tokio::test]
async fn fm_76_a_panic_in_the_handler_is_a_500_for_its_own_client_only() {
    let server = Running::start(settings()).await;
    let mut other = server.connect().await;
    other.send(&get("/stream")).await;
    other.until("data: tick").await;

    let mut client = server.connect().await;
    client.send(&get("/panic")).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains(r#""type":"server_error""#), "{answer}");

    server.tick();
    other.until("data: tick").await;
    assert_eq!(server.panics.load(Ordering::Relaxed), 1);
    assert_eq!(server.drain.in_flight(), 1);
}

#[tokio::test]
async fn fm_76_a_panic_in_a_body_never_looks_like_a_whole_answer() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client.send(&get("/panics-later")).await;
    let answer = client.rest().await;
    assert!(answer.contains("so far"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(server.panics.load(Ordering::Relaxed), 1);
    server.until_in_flight(0).await;
}
