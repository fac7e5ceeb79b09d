use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::client::{Running, drain_settings, get, settings};
use crate::server::DrainSettings;

#[tokio::test]
async fn fm_73_a_drain_waits_for_a_body_and_not_for_its_handler() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client.send(&get("/two")).await;
    client.until("half").await;
    let mut idle = server.connect().await;
    idle.send(&get("/a")).await;
    idle.until("you asked for /a").await;

    let drained = server.tracker.spawn({
        let drain = server.drain.clone();
        async move { drain.run().await }
    });
    assert_eq!(
        idle.rest().await,
        "",
        "an idle connection is closed at once"
    );
    assert!(!drained.is_finished());
    assert!(
        TcpStream::connect(server.address()).await.is_err(),
        "the port is closed"
    );

    server.tick();
    assert!(client.rest().await.contains("half"));
    assert_eq!(drained.await.unwrap(), 0);
    server.tracker.close();
    timeout(Duration::from_secs(1), server.tracker.wait())
        .await
        .expect("tasks are left behind");
}

#[tokio::test]
async fn fm_73_while_the_window_is_open_answers_ask_for_the_end_of_the_connection() {
    let slow = DrainSettings {
        window: Duration::from_millis(300),
        ..drain_settings()
    };
    let server = Running::start_with(settings(), slow).await;
    let mut old = server.connect().await;
    old.send(&get("/a")).await;
    old.until("you asked for /a").await;
    server.drain.start();
    let mut new = server.connect().await;
    for client in [&mut old, &mut new] {
        client.send(&get("/b")).await;
        let answer = client.rest().await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("you asked for /b"), "{answer}");
    }
}

#[tokio::test]
async fn fm_73_calls_are_asked_to_end_before_streams_and_the_rest_is_cut() {
    let short = DrainSettings {
        window: Duration::ZERO,
        calls: Duration::from_millis(100),
        streams: Duration::from_millis(300),
        forced: Duration::from_millis(500),
    };
    let server = Running::start_with(settings(), short).await;
    let mut client = server.connect().await;
    client.send(&get("/stream")).await;
    client.until("data: tick").await;
    let (drain, begun) = (server.drain.clone(), Instant::now());
    let drained = server.tracker.spawn(async move { drain.run().await });
    server.drain.calls_end().cancelled().await;
    assert!(!server.drain.streams_end().is_cancelled());
    server.drain.streams_end().cancelled().await;
    assert_eq!(drained.await.unwrap(), 1);
    assert!(
        begun.elapsed() >= Duration::from_millis(490),
        "{:?}",
        begun.elapsed()
    );
    client.gone().await;
    server.until_in_flight(0).await;
}

#[tokio::test]
async fn fm_73_a_second_signal_ends_a_drain_at_once() {
    let server = Running::start_with(settings(), DrainSettings::default()).await;
    let mut client = server.connect().await;
    client.send(&get("/never")).await;
    server.until_in_flight(1).await;
    let drain = server.drain.clone();
    let drained = server.tracker.spawn(async move { drain.run().await });
    server.drain.hurry();
    assert_eq!(drained.await.unwrap(), 1);
    client.gone().await;
}

#[tokio::test]
async fn an_http2_client_is_told_to_go_away_and_gets_its_answer() {
    use http_body_util::{BodyExt, Empty};

    let server = Running::start(settings()).await;
    let mut sender = server.http2().await;
    let request = http::Request::get("http://x/two")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let drain = server.drain.clone();
    let drained = server.tracker.spawn(async move { drain.run().await });
    server
        .drain
        .reached(crate::server::drain::Stage::Closed)
        .await;
    assert!(!drained.is_finished());
    server.tick();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "halfhalf"
    );
    assert_eq!(drained.await.unwrap(), 0);
    server.tracker.close();
    timeout(Duration::from_secs(1), server.tracker.wait())
        .await
        .expect("tasks are left behind");
}
