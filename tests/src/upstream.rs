//! Upstreams that record the bytes they get and do what they are told with each request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(15);

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Request line and headers, as text.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// One step of what an upstream does with a request. After the last one it closes the connection.
#[derive(Clone, Debug)]
pub enum Do {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes one by one, each in a packet of its own.
    Dribble(Vec<u8>),
    /// Sends these bytes again and again until the other side has gone.
    Flood(Vec<u8>),
    /// Does nothing for this long.
    Wait(Duration),
    /// Does nothing until [`Upstream::go_on`], or until the other side has gone.
    Pause,
    /// Does nothing until the other side has gone.
    Hang,
    /// Resets the connection.
    Reset,
    /// Serves the next request of the same connection.
    Keep,
}

impl Do {
    /// Sends this text.
    pub fn send(text: impl Into<Vec<u8>>) -> Self {
        Self::Send(text.into())
    }

    /// Sends the head of a stream and these events.
    pub fn stream(events: &str) -> Self {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        Self::send(format!("{head}{events}"))
    }

    /// Sends a whole answer; `headers` are lines with their ends.
    pub fn answer(status: &str, headers: &str, body: &str) -> Self {
        Self::send(format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        ))
    }
}

/// How far the requests of an upstream have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections so far.
    pub connections: usize,
    /// Connections that are open.
    pub open: usize,
    /// Requests so far, counted when the head has come.
    pub asked: usize,
}

/// An upstream on a free port; it ends with the test.
pub struct Upstream {
    address: String,
    shared: Arc<Shared>,
    counts: watch::Receiver<Counts>,
    _task: JoinSet<()>,
}

struct Shared {
    /// What is done with the first request, the second, …; the last one is for all that follow.
    scripts: Vec<Vec<Do>>,
    /// Whether a body is waited for before anything is done.
    reads_bodies: bool,
    seen: Mutex<Vec<Recorded>>,
    counts: watch::Sender<Counts>,
    go_on: Semaphore,
    sent: AtomicU64,
}

impl Upstream {
    /// Does this with the first request, that with the second, …, and the last with all that follow.
    pub async fn does<const N: usize>(scripts: [Vec<Do>; N]) -> Self {
        Self::start(scripts.into(), true).await
    }

    /// Does this with every request as soon as its head has come, whatever becomes of the body.
    pub async fn does_early(script: Vec<Do>) -> Self {
        Self::start(vec![script], false).await
    }

    /// Answers every request with these bytes: status line, headers and body, then closes.
    pub async fn answers(bytes: impl Into<Vec<u8>>) -> Self {
        Self::does([vec![Do::send(bytes)]]).await
    }

    /// A whole answer of status 200.
    pub async fn says(body: &str) -> Self {
        Self::fails("200 OK", body).await
    }

    /// A whole answer of that status.
    pub async fn fails(status: &str, body: &str) -> Self {
        Self::does([vec![Do::answer(status, "connection: close\r\n", body)]]).await
    }

    /// A stream of these bytes.
    pub async fn streams(body: &str) -> Self {
        Self::does([vec![Do::stream(body)]]).await
    }

    async fn start(scripts: Vec<Vec<Do>>, reads_bodies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (sender, counts) = watch::channel(Counts::default());
        let shared = Arc::new(Shared {
            scripts,
            reads_bodies,
            seen: Mutex::default(),
            counts: sender,
            go_on: Semaphore::new(0),
            sent: AtomicU64::new(0),
        });
        let mut task = JoinSet::new();
        let serving = Arc::clone(&shared);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.count(|counts| {
                    counts.connections += 1;
                    counts.open += 1;
                });
                let shared = Arc::clone(&serving);
                connections.spawn(async move {
                    serve(stream, &shared).await;
                    shared.count(|counts| counts.open -= 1);
                });
            }
        });
        Self {
            address,
            shared,
            counts,
            _task: task,
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What came so far, bodies included.
    pub fn seen(&self) -> Vec<Recorded> {
        let seen = self.shared.seen.lock();
        seen.expect("no test panics with it").clone()
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.counts.borrow().asked
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.counts.borrow().connections
    }

    /// Bytes that were sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Lets one paused request go on.
    pub fn go_on(&self) {
        self.shared.go_on.add_permits(1);
    }

    /// Waits until its counts are so.
    ///
    /// # Panics
    /// Where that does not come to pass.
    pub async fn until(&self, so: impl Fn(&Counts) -> bool) {
        let mut counts = self.counts.clone();
        let reached = timeout(PATIENCE, counts.wait_for(|counts| so(counts))).await;
        assert!(reached.is_ok(), "it stays at {:?}", *self.counts.borrow());
    }

    /// Waits for the request of that number, counted from one.
    pub async fn until_asked(&self, number: usize) {
        self.until(|counts| counts.asked >= number).await;
    }

    /// Waits until no connection is open.
    pub async fn until_left(&self) {
        self.until(|counts| counts.open == 0).await;
    }
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }
}

/// What follows after a request.
enum Then {
    Close,
    Next,
}

async fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::new();
    loop {
        let Some(script) = read(&mut stream, &mut bytes, shared).await else {
            return;
        };
        match play(&mut stream, script, shared).await {
            Ok(Then::Next) => {}
            Ok(Then::Close) => {
                let _ = stream.shutdown().await;
                return;
            }
            Err(_) => return,
        }
    }
}

/// Reads a request and gives what to do with it; nothing where the other side has gone.
async fn read<'a>(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    shared: &'a Shared,
) -> Option<&'a [Do]> {
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, bytes).await?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut number = 0;
    shared.count(|counts| {
        number = counts.asked;
        counts.asked += 1;
    });
    let length: usize = text
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let end = match shared.reads_bodies {
        true => head + length,
        false => bytes.len(),
    };
    while bytes.len() < end {
        more(stream, bytes).await?;
    }
    let mut request: Vec<u8> = bytes.drain(..end).collect();
    let body = request.split_off(head);
    let mut seen = shared.seen.lock().expect("no test panics with it");
    seen.push(Recorded { head: text, body });
    let last = shared.scripts.len() - 1;
    Some(&shared.scripts[number.min(last)])
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(bytes).await;
    read.is_ok_and(|n| n > 0).then_some(())
}

async fn play(stream: &mut TcpStream, script: &[Do], shared: &Shared) -> std::io::Result<Then> {
    for step in script {
        match step {
            Do::Send(bytes) => send(stream, bytes, shared).await?,
            Do::Dribble(bytes) => {
                for byte in bytes {
                    send(stream, &[*byte], shared).await?;
                    tokio::task::yield_now().await;
                }
            }
            Do::Flood(bytes) => loop {
                send(stream, bytes, shared).await?;
            },
            Do::Wait(time) => sleep(*time).await,
            Do::Pause => {
                let going = async { shared.go_on.acquire().await.map(|permit| permit.forget()) };
                tokio::select! {
                    _ = going => {}
                    () = gone(stream) => return Err(std::io::ErrorKind::ConnectionAborted.into()),
                }
            }
            Do::Hang => gone(stream).await,
            Do::Reset => {
                stream.set_zero_linger()?;
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            Do::Keep => return Ok(Then::Next),
        }
    }
    Ok(Then::Close)
}

async fn send(stream: &mut TcpStream, bytes: &[u8], shared: &Shared) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    let sent = bytes.len() as u64;
    shared.sent.fetch_add(sent, Ordering::Relaxed);
    Ok(())
}

/// Waits until the other side has gone; what it still says is thrown away.
async fn gone(stream: &mut TcpStream) {
    let mut scrap = [0; 4096];
    while stream.read(&mut scrap).await.is_ok_and(|n| n > 0) {}
}
