//! An upstream on a port of its own that answers each request as it was told, byte for byte.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// What the upstream does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends these bytes and keeps the connection.
    Say(String),
    /// Sends these bytes and closes the connection.
    SayAndClose(String),
    /// Sends these bytes, then nothing until the peer closes.
    SayAndHang(String),
    /// Sends these pieces with that pause before each.
    Drip(Duration, Vec<String>),
    /// Closes with a reset, answering nothing.
    Reset,
    /// Keeps the connection, answers with these bytes, and resets it at the next request.
    SayThenGoStale(String),
}

/// A running upstream. It ends with the test.
pub(crate) struct Upstream {
    address: String,
    seen: Arc<Seen>,
    closed: watch::Receiver<usize>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    acts: Mutex<VecDeque<Act>>,
}

impl Upstream {
    /// Does one act for each request in turn, then resets.
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Seen {
            acts: Mutex::new(acts.into_iter().collect()),
            ..Seen::default()
        });
        let (closing, closed) = watch::channel(0);
        let closing = Arc::new(closing);
        let tasks = TaskTracker::new();
        let connections = tasks.clone();
        tasks.spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    *seen.connections.lock().unwrap() += 1;
                    let (seen, closing) = (Arc::clone(&seen), Arc::clone(&closing));
                    connections.spawn(async move {
                        serve(stream, &seen).await;
                        closing.send_modify(|closed| *closed += 1);
                    });
                }
            }
        });
        Self {
            address,
            seen,
            closed,
        }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The requests that came, each with head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        *self.seen.connections.lock().unwrap()
    }

    /// Waits until a connection has ended.
    pub(crate) async fn connection_closed(&mut self) {
        self.closed.wait_for(|closed| *closed > 0).await.unwrap();
    }
}

/// A whole answer of that status.
pub(crate) fn json(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// The head of a streamed answer that ends with its connection, and what follows.
pub(crate) fn sse(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}")
}

async fn serve(mut stream: TcpStream, seen: &Seen) {
    let mut stale = false;
    while let Some(request) = read(&mut stream).await {
        if stale {
            return reset(stream);
        }
        seen.requests.lock().unwrap().push(request);
        let act = seen.acts.lock().unwrap().pop_front();
        match act {
            None | Some(Act::Reset) => return reset(stream),
            Some(Act::Say(bytes)) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Some(Act::SayThenGoStale(bytes)) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                stale = true;
            }
            Some(Act::SayAndClose(bytes)) => {
                return stream.write_all(bytes.as_bytes()).await.unwrap();
            }
            Some(Act::SayAndHang(bytes)) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                while stream.read_u8().await.is_ok() {}
                return;
            }
            Some(Act::Drip(pause, pieces)) => {
                for piece in pieces {
                    tokio::time::sleep(pause).await;
                    if stream.write_all(piece.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn reset(stream: TcpStream) {
    // closing at once with unsent data thrown away is what sends the reset
    stream.set_zero_linger().unwrap();
}

/// Reads one request, head and body; `None` when the peer has closed.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await.ok()?);
        if bytes.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1)?.lines().next()?;
    let mut body = vec![0; length.trim().parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}
