use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::client::{Running, close, get, settings};
use crate::server::{BindError, Drain, Listen, Peer, Server, ServerSettings};

#[tokio::test]
async fn at_the_limit_of_connections_a_new_one_waits_for_a_place() {
    let server = Running::start(ServerSettings {
        connections: 1,
        ..settings()
    })
    .await;
    let mut first = server.connect().await;
    first.send(&get("/two")).await;
    first.until("half").await;
    let mut second = server.connect().await;
    second.send(&close("/second")).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.drain.connections(), 1);
    server.tick();
    assert!(second.rest().await.contains("you asked for /second"));
    assert_eq!(
        first.rest().await.matches("half").count(),
        1,
        "the first answer was whole"
    );
}

#[tokio::test]
async fn at_the_limit_of_connections_an_idle_one_makes_room() {
    let patient = ServerSettings {
        connections: 1,
        keep_alive: Duration::from_secs(60),
        ..settings()
    };
    let server = Running::start(patient).await;
    let mut idle = server.connect().await;
    idle.send(&get("/a")).await;
    idle.until("you asked for /a").await;
    let mut other = server.connect().await;
    other.send(&close("/b")).await;
    assert!(other.rest().await.contains("you asked for /b"));
    assert_eq!(idle.rest().await, "");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_cure() {
    let server = Running::start(settings()).await;
    let error = Server::bind(server.address(), settings()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is already in use: stop the program that listens there, or choose another address",
            server.address()
        )
    );
}

#[tokio::test]
async fn a_unix_socket_is_the_owners_alone_and_replaces_a_dead_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("admin.sock");
    // A daemon that was killed leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = Server::bind(path.clone(), settings()).unwrap();
    assert_eq!(server.local_addr(), &Listen::Unix(path.clone()));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(matches!(
        Server::bind(path.clone(), settings()),
        Err(BindError::Alive(_))
    ));

    let (tracker, drain) = (TaskTracker::new(), Drain::new(super::client::quick_drain()));
    let handler = |_, peer| async move {
        assert_eq!(peer, Peer::Unix);
        http::Response::new(String::from("over the socket"))
    };
    let serving = tracker.spawn(server.serve(handler, tracker.clone(), drain.clone()));
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(close("/").as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("over the socket"), "{answer}");

    drain.run().await;
    serving.await.unwrap();
    assert!(!path.exists(), "the socket goes with its server");
}

#[tokio::test]
async fn a_file_is_not_removed_to_make_way_for_a_socket() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("admin.sock");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(
        Server::bind(path.clone(), settings()),
        Err(BindError::NotASocket(_))
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}
