use std::fs::File;
use std::io::{Read, Seek};
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
async fn fm_46_at_the_limit_of_connections_an_idle_one_makes_room() {
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
async fn a_changed_limit_of_connections_counts_those_that_are_open() {
    let server = Running::start(settings()).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send(&get("/two")).await;
        client.until("half").await;
        open.push(client);
    }
    server.limits.set_connections(1);
    let mut late = server.connect().await;
    late.send(&close("/late")).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.drain.connections(), 2);
    server.limits.set_connections(3);
    assert!(late.rest().await.contains("you asked for /late"));
}

#[tokio::test]
async fn a_changed_time_for_heads_holds_for_new_connections() {
    let server = Running::start(settings()).await;
    server.limits.set_header_timeout(Duration::from_millis(100));
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nho").await;
    assert!(slow.rest().await.starts_with("HTTP/1.1 408"));
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

    let (tracker, drain) = (
        TaskTracker::new(),
        Drain::new(super::client::drain_settings()),
    );
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

/// Runs in a process of its own, for it takes away the descriptors of all its tests.
#[tokio::test]
async fn without_descriptors_accepting_rests_and_then_goes_on() {
    const ALONE: &str = "MOLTBOT_TEST_WITH_FEW_DESCRIPTORS";
    if std::env::var_os(ALONE).is_none() {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args([&name, "--exact", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let server = Running::start(settings()).await;
    let mut statistics = File::open("/proc/thread-self/schedstat").unwrap();
    // Connected by the kernel, accepted by nobody: the limit allows no descriptor but these.
    let mut waiting = Vec::new();
    let limit = rustix::process::Rlimit {
        current: Some(40),
        maximum: Some(40),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    while let Ok(stream) = std::net::TcpStream::connect(server.address()) {
        waiting.push(stream);
    }
    let before = cpu(&mut statistics);
    sleep(Duration::from_millis(350)).await;
    let spent = cpu(&mut statistics) - before;
    assert!(
        spent < Duration::from_millis(100),
        "accepting spins: {spent:?}"
    );
    waiting.clear();
    sleep(Duration::from_millis(150)).await;
    let mut client = server.connect().await;
    client.send(&close("/again")).await;
    assert!(client.rest().await.contains("you asked for /again"));
}

/// The processor time of the thread whose statistics these are.
fn cpu(statistics: &mut File) -> Duration {
    let mut text = String::new();
    statistics.rewind().unwrap();
    statistics.read_to_string(&mut text).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn accepted_sockets_send_at_once_and_notice_a_dead_peer() {
    let listener =
        crate::server::listen::Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap()))
            .unwrap();
    let Listen::Tcp(address) = listener.local_addr().unwrap() else {
        panic!("a port was asked for")
    };
    let _client = tokio::net::TcpStream::connect(address).await.unwrap();
    let (crate::server::listen::Accepted::Tcp(stream), _) = listener.accept().await.unwrap() else {
        panic!("a port was asked for")
    };
    let socket = socket2::SockRef::from(&stream);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(30)
    );
    assert_eq!(
        socket.tcp_keepalive_interval().unwrap(),
        Duration::from_secs(10)
    );
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert_eq!(
        socket.tcp_user_timeout().unwrap(),
        Some(Duration::from_secs(30))
    );
}
