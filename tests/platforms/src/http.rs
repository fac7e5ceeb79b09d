//! The HTTP server under a platform.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// The parameters: of the query, of a form, or of a body of JSON.
    pub(crate) fn parameters(&self) -> Value {
        let mut all = serde_json::Map::new();
        let mut add = |pairs: &[u8]| {
            for (name, value) in url::form_urlencoded::parse(pairs) {
                all.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        };
        add(self.query.as_bytes());
        let kind = self.header("content-type");
        if kind.starts_with("application/x-www-form-urlencoded") {
            add(&self.body);
        } else if let Ok(Value::Object(body)) = serde_json::from_slice(&self.body) {
            all.extend(body);
        }
        Value::Object(all)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The token of `Authorization: Bearer`.
    pub(crate) fn bearer(&self) -> &str {
        self.header("authorization").trim_start_matches("Bearer ")
    }
}

/// What is done with a request.
pub(crate) enum Answer {
    Json(u16, Value),
    /// The same, with a header.
    With(u16, (&'static str, String), Value),
    /// The connection is closed without an answer.
    Lost,
}

/// A platform's API.
pub(crate) trait Api: Send + Sync + 'static {
    fn answer(&self, asked: Asked) -> impl Future<Output = Answer> + Send;
}

/// Serves an API on a free port; it ends with the tasks.
pub(crate) async fn serve<A: Api>(api: Arc<A>, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let api = Arc::clone(&api);
            connections.spawn(async move {
                let service = service_fn(|request| one(&*api, request));
                let io = TokioIo::new(stream);
                // A lost answer ends the connection with an error, as it should.
                let served =
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service);
                drop(served.await);
            });
            while connections.try_join_next().is_some() {}
        }
    });
    address
}

#[derive(Debug)]
struct LostAnswer;

impl std::fmt::Display for LostAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost")
    }
}

impl std::error::Error for LostAnswer {}

impl From<Infallible> for LostAnswer {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn one<A: Api>(
    api: &A,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, LostAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| LostAnswer)?.to_bytes();
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        headers: head.headers,
        body,
    };
    let (status, header, body) = match api.answer(asked).await {
        Answer::Json(status, body) => (status, None, body),
        Answer::With(status, header, body) => (status, Some(header), body),
        Answer::Lost => return Err(LostAnswer),
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json; charset=utf-8");
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    let body = Full::new(Bytes::from(body.to_string()));
    Ok(response.body(body).expect("a response"))
}
