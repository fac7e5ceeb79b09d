//! An upstream that records the bytes it gets and answers with given bytes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Request line and headers, as text.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// An upstream on a free port; it ends with the test.
pub struct Upstream {
    address: String,
    seen: Arc<Mutex<Vec<Recorded>>>,
    _task: JoinSet<()>,
}

impl Upstream {
    /// Answers every request with these bytes: status line, headers and body, then closes.
    pub async fn answers(bytes: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let seen: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let bytes: Arc<[u8]> = bytes.into().into();
        let mut task = JoinSet::new();
        let record = Arc::clone(&seen);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&record), Arc::clone(&bytes)));
            }
        });
        Self {
            address,
            seen,
            _task: task,
        }
    }

    /// A whole answer of status 200.
    pub async fn says(body: &str) -> Self {
        Self::answers(whole("200 OK", body)).await
    }

    /// A whole answer of that status.
    pub async fn fails(status: &str, body: &str) -> Self {
        Self::answers(whole(status, body)).await
    }

    /// A stream of these bytes.
    pub async fn streams(body: &str) -> Self {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        Self::answers(format!("{head}{body}")).await
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Recorded> {
        self.seen.lock().expect("no test panics with it").clone()
    }
}

fn whole(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Recorded>>>, answer: Arc<[u8]>) {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(n) if n > 0 => {}
            _ => return,
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let length: usize = text
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    while bytes.len() < head + length {
        match stream.read_buf(&mut bytes).await {
            Ok(n) if n > 0 => {}
            _ => return,
        }
    }
    seen.lock().expect("no test panics with it").push(Recorded {
        head: text,
        body: bytes[head..].to_vec(),
    });
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}
