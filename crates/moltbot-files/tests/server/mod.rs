//! A server of one file, with faults.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// What is served, and how.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: String,
    pub(crate) ranges: bool,
    /// Answers that break off in their middle.
    pub(crate) breaks: u32,
    /// From this request on, 503.
    pub(crate) fails_after: Option<usize>,
    /// From this request on, another version.
    pub(crate) changes_after: Option<usize>,
    asked: Vec<String>,
    sent: u64,
}

impl Content {
    pub(crate) fn of(size: usize) -> Self {
        Self {
            bytes: (0..size).map(|at| (at % 251) as u8).collect(),
            tag: "\"first\"".to_owned(),
            ranges: true,
            breaks: 0,
            fails_after: None,
            changes_after: None,
            asked: Vec::new(),
            sent: 0,
        }
    }
}

pub(crate) struct Server {
    content: Arc<Mutex<Content>>,
    address: String,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    pub(crate) async fn start(content: Content) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let content = Arc::new(Mutex::new(content));
        let served = Arc::clone(&content);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                let service = service_fn(move |request| {
                    let answer = answer(
                        &mut served.lock().expect("no test panics with it"),
                        &request,
                    );
                    async move { Ok::<_, Infallible>(answer) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            content,
            address,
            task: task.abort_handle(),
        }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = self.content.lock().expect("no test panics with it");
        content.asked.clear();
        change(&mut content);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.content
            .lock()
            .expect("no test panics with it")
            .bytes
            .clone()
    }

    /// The ranges that were asked for, or `whole`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.content
            .lock()
            .expect("no test panics with it")
            .asked
            .clone()
    }

    /// Bytes of bodies so far.
    pub(crate) fn sent(&self) -> u64 {
        self.content.lock().expect("no test panics with it").sent
    }
}

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

fn status(status: StatusCode) -> Answer {
    let empty = Full::new(Bytes::new()).map_err(|never| match never {});
    let mut answer = Response::new(empty.boxed());
    *answer.status_mut() = status;
    answer
}

fn answer(content: &mut Content, request: &Request<Incoming>) -> Answer {
    if request.uri().path() == "/missing" {
        return status(StatusCode::NOT_FOUND);
    }
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    content
        .asked
        .push(header("range").unwrap_or("whole").to_owned());
    let number = content.asked.len();
    if content.fails_after.is_some_and(|after| number > after) {
        return status(StatusCode::SERVICE_UNAVAILABLE);
    }
    if content.changes_after.is_some_and(|after| number > after) {
        content.changes_after = None;
        content.bytes.fill(5);
        content.tag = "\"changed\"".to_owned();
    }
    let size = content.bytes.len();
    let same = header("if-range").is_none_or(|tag| tag == content.tag);
    let range = header("range")
        .filter(|_| content.ranges && same)
        .map(|range| {
            let (from, to) = range
                .trim_start_matches("bytes=")
                .split_once('-')
                .expect("well formed");
            from.parse::<usize>().expect("well formed")
                ..to.parse::<usize>().expect("well formed").min(size - 1) + 1
        });
    let (code, part) = match range {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        None => (StatusCode::OK, 0..size),
    };
    let mut bytes = content.bytes[part.clone()].to_vec();
    let breaks = content.breaks > 0 && bytes.len() > 1;
    if breaks {
        content.breaks -= 1;
        bytes.truncate(bytes.len() / 2);
    }
    content.sent += bytes.len() as u64;
    let first = Ok(Frame::data(Bytes::from(bytes)));
    let broken = breaks.then(|| Err(std::io::Error::other("as asked")));
    let frames = futures_util::stream::iter([Some(first), broken].into_iter().flatten());
    Response::builder()
        .status(code)
        .header("etag", &content.tag)
        .header("content-length", part.len())
        .header(
            "content-range",
            format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1)),
        )
        .body(BodyExt::boxed(StreamBody::new(frames)))
        .expect("well formed")
}
