//! A server with a small handler, and clients that speak bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::server::{Drain, DrainSettings, HangUp, Limits, Listen, Peer, Server, ServerSettings};

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// Longer than anything here should take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing is cut for being slow, for the machine may be.
pub(super) fn settings() -> ServerSettings {
    ServerSettings::default()
}

/// The ports close at once, everything else may take its time.
pub(super) fn drain_settings() -> DrainSettings {
    DrainSettings {
        window: Duration::ZERO,
        ..DrainSettings::default()
    }
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

pub(super) fn close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

pub(super) struct Running {
    address: SocketAddr,
    pub(super) drain: Drain,
    pub(super) tracker: TaskTracker,
    pub(super) limits: Limits,
    pub(super) panics: Arc<AtomicUsize>,
    tick: Arc<Notify>,
}

impl Running {
    pub(super) async fn start(settings: ServerSettings) -> Self {
        Self::start_with(settings, drain_settings()).await
    }

    pub(super) async fn start_with(settings: ServerSettings, drain: DrainSettings) -> Self {
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(address, settings).unwrap();
        let Listen::Tcp(address) = *server.local_addr() else {
            panic!("a port was asked for")
        };
        let (drain, tracker) = (Drain::new(drain), TaskTracker::new());
        let (panics, tick) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let limits = server.limits();
        let (count, ticking) = (Arc::clone(&panics), Arc::clone(&tick));
        let server = server.on_panic(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let handler = move |request, _: Peer| answer(request, Arc::clone(&ticking));
        tracker.spawn(server.serve(handler, tracker.clone(), drain.clone()));
        Self {
            address,
            drain,
            tracker,
            limits,
            panics,
            tick,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// An HTTP/2 client, whose tasks are among the server's.
    pub(super) async fn http2(&self) -> SendRequest<Empty<Bytes>> {
        let io = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .unwrap();
        self.tracker.spawn(connection);
        sender
    }

    /// Lets each `/stream` send one more event.
    pub(super) fn tick(&self) {
        self.tick.notify_waiters();
    }

    pub(super) async fn until_in_flight(&self, count: usize) {
        let reached = async {
            while self.drain.in_flight() != count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, reached)
            .await
            .expect("the count in flight stays wrong");
    }
}

pub(super) struct Client(TcpStream);

impl Client {
    pub(super) async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Sends these bytes as often as asked, with pauses, for as long as the server listens.
    pub(super) async fn dribble(&mut self, bytes: &str, times: usize) {
        for _ in 0..times {
            sleep(Duration::from_millis(40)).await;
            let _ = self.0.write_all(bytes.as_bytes()).await;
        }
    }

    /// Reads until this was read.
    pub(super) async fn until(&mut self, wanted: &str) -> String {
        let mut found = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&found).contains(wanted) {
                assert_ne!(
                    self.0.read_buf(&mut found).await.unwrap(),
                    0,
                    "closed before {wanted:?}"
                );
            }
        };
        timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| panic!("no {wanted:?} came"));
        String::from_utf8(found).unwrap()
    }

    /// Whether the server's end has arrived, without waiting for it.
    pub(super) fn has_ended(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        matches!(recv(&self.0, &mut [0; 1], RecvFlags::DONTWAIT), Ok((0, _)))
    }

    /// Everything until the server closes.
    pub(super) async fn rest(&mut self) -> String {
        let mut found = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut found))
            .await
            .expect("the server does not close")
            .unwrap();
        String::from_utf8(found).unwrap()
    }

    /// Waits until the server has gone, however it went.
    pub(super) async fn gone(&mut self) {
        let mut scrap = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut scrap))
            .await
            .expect("still open");
    }
}

async fn answer(request: Request<Incoming>, tick: Arc<Notify>) -> Answer {
    match request.uri().path() {
        "/panic" => panic!("as asked"),
        "/never" => std::future::pending().await,
        "/length" => match request.into_body().collect().await {
            Ok(body) => text(StatusCode::OK, &format!("{} bytes", body.to_bytes().len())),
            Err(error) => text(StatusCode::REQUEST_TIMEOUT, &format!("no body: {error}")),
        },
        "/endless" => {
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            streamed(stream::repeat_with(move || Ok(Frame::data(chunk.clone()))))
        }
        "/stream" => streamed(stream::unfold(true, move |first| {
            let tick = Arc::clone(&tick);
            async move {
                if !first {
                    tick.notified().await;
                }
                Some((
                    Ok(Frame::data(Bytes::from_static(b"data: tick\n\n"))),
                    false,
                ))
            }
        })),
        "/two" => streamed(stream::unfold(0, move |sent| {
            let tick = Arc::clone(&tick);
            async move {
                if sent == 1 {
                    tick.notified().await;
                }
                (sent < 2).then(|| (Ok(Frame::data(Bytes::from_static(b"half"))), sent + 1))
            }
        })),
        "/hang-up" => {
            let hang_up = HangUp::default();
            let told = hang_up.clone();
            let mut answer = streamed(stream::once(async move {
                told.tell();
                Ok(Frame::data(Bytes::from_static(b"the last words")))
            }));
            answer.extensions_mut().insert(hang_up);
            answer
        }
        "/panics-later" => streamed(stream::unfold(false, |sent| async move {
            sleep(Duration::from_millis(10)).await;
            assert!(!sent, "as asked");
            Some((Ok(Frame::data(Bytes::from_static(b"so far"))), true))
        })),
        path => text(StatusCode::OK, &format!("you asked for {path}")),
    }
}

fn text(status: StatusCode, body: &str) -> Answer {
    let body = Full::from(body.to_owned())
        .map_err(|never| match never {})
        .boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}

fn streamed<S>(frames: S) -> Answer
where
    S: futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + 'static,
{
    Response::new(StreamBody::new(frames).boxed_unsync())
}
