//! Facts about the socket layer, told by clients that speak bytes.

mod client;
mod drain;
mod floods;
mod limits;
mod panic;
mod scan;
mod strict;
mod timers;

use std::time::Duration;

use client::{Running, close, get, settings};

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_their_order() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client
        .send(&format!("{}{}{}", get("/a"), get("/b"), close("/c")))
        .await;
    let answers = client.rest().await;
    let order: Vec<_> = answers.matches("you asked for /").collect();
    assert_eq!(order.len(), 3, "{answers}");
    let at = |path: &str| answers.find(&format!("you asked for {path}"));
    assert!(at("/a") < at("/b") && at("/b") < at("/c"), "{answers}");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client
        .send("HEAD /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    let answer = client.rest().await;
    assert!(answer.contains("content-length: 16\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_is_followed_by_the_next_request() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client
        .send("POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for part in [
        "4;x=y\r\nab",
        "cd\r\n1",
        "0\r\n0123456789abcdef\r",
        "\n0\r\ntrailer: x\r\n",
        "\r\n",
    ] {
        client.send(part).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.until("20 bytes").await;
    client.send(&close("/next")).await;
    assert!(client.rest().await.contains("you asked for /next"));
}

#[tokio::test]
async fn each_frame_of_a_stream_leaves_at_once() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client.send(&get("/stream")).await;
    for _ in 0..3 {
        client.until("data: tick\n\n").await;
        assert_eq!(server.drain.in_flight(), 1);
        server.tick();
    }
}

#[tokio::test]
async fn an_answer_may_end_its_connection_and_loses_nothing() {
    let server = Running::start(settings()).await;
    for _ in 0..50 {
        let mut client = server.connect().await;
        client.send(&get("/hang-up")).await;
        client.until("the last words\r\n0\r\n\r\n").await;
        // The end is there already: no client takes the connection for one that it may use again.
        assert!(client.has_ended());
    }
}

#[tokio::test]
async fn a_client_may_speak_http2_without_tls() {
    use http_body_util::{BodyExt, Empty};

    let server = Running::start(settings()).await;
    let mut sender = server.http2().await;
    for path in ["/a", "/b"] {
        let request = http::Request::get(format!("http://x{path}"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("you asked for {path}"));
    }
    let long = format!("http://x/{}", "a".repeat(9000));
    let request = http::Request::get(long)
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 414);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client.send(&get("/never")).await;
    server.until_in_flight(1).await;
    drop(client);
    server.until_in_flight(0).await;
}
