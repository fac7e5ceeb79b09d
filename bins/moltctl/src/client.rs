//! The way to the admin service: the daemon's socket, else the same service in this process.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use moltbot_config::{Home, workspace};
use moltbot_gateway::{Admin, HomeLock, StartError, admin_request};
use moltbot_types::Workspace;
use moltbot_types::admin::Failure as Refusal;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::failure::Failure;

/// An admin request is answered within this time; a model's test may take its own.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
/// A daemon that has its home has its socket within this time.
const STARTS_WITHIN: Duration = Duration::from_secs(3);

/// The admin service of one home.
pub(crate) struct Client {
    home: Home,
    workspace: Option<String>,
}

impl Client {
    /// The admin service as it answers for a workspace: the one that is named, else the one at hand.
    pub(crate) fn new(home: Option<PathBuf>, workspace: Option<String>) -> Result<Self, Failure> {
        let home = Home::resolve(home).map_err(|error| Failure::new(78, error.to_string()))?;
        let at_hand = || Some(workspace::current(&home)).filter(|name| name != Workspace::DEFAULT);
        let workspace = workspace.or_else(at_hand);
        Ok(Self { home, workspace })
    }

    /// The workspace that requests are for; `None` where nobody named or chose one: models of all that share the
    /// home, lines and usage of everybody.
    pub(crate) fn workspace(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(Method::DELETE, path, Bytes::new()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send(Method::POST, path, to_json(body)?).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send(Method::PUT, path, to_json(body)?).await
    }

    /// Posts what takes its time; dropping it takes the request back.
    pub(crate) async fn post_within<T: DeserializeOwned>(
        &self,
        within: Duration,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send_within(within, Method::POST, path, to_json(body)?)
            .await
    }

    /// The daemon's metrics in Prometheus' text format.
    pub(crate) async fn metrics(&self) -> Result<String, Failure> {
        let stream = UnixStream::connect(self.home.admin_socket()).await;
        let stream = stream.map_err(|_| Failure::unreachable("the daemon has gone"))?;
        let request = admin_request(Method::GET, "/metrics", Bytes::new());
        let answer = answered(ANSWERS_WITHIN, stream, request).await?;
        Ok(String::from_utf8_lossy(answer.body()).into_owned())
    }

    /// The daemon where one serves the home, else this process; a daemon that just starts is waited for.
    async fn service(&self) -> Result<Service, Failure> {
        let begun = Instant::now();
        loop {
            if let Ok(stream) = UnixStream::connect(self.home.admin_socket()).await {
                return Ok(Service::Daemon(stream));
            }
            // A path that was mistyped shall not become a home.
            let missing = |error: moltbot_config::HomeError| Failure::new(78, error.to_string());
            self.home.check().map_err(missing)?;
            let unusable = |error: StartError| Failure::unreachable(error.to_string());
            if let Some(lock) = HomeLock::try_acquire(&self.home).map_err(unusable)? {
                return Ok(Service::Here(lock));
            }
            if begun.elapsed() > STARTS_WITHIN {
                return Err(unusable(HomeLock::busy(&self.home)));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        self.send_within(ANSWERS_WITHIN, method, path, body).await
    }

    async fn send_within<T: DeserializeOwned>(
        &self,
        within: Duration,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        let mut path = format!("/admin/v1/{path}");
        if let Some(workspace) = &self.workspace {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str("workspace=");
            path.push_str(&part(workspace));
        }
        let request = admin_request(method, &path, body);
        let answer = match self.service().await? {
            Service::Daemon(stream) => answered(within, stream, request).await?,
            Service::Here(_lock) => Admin::offline(self.home.clone()).handle(request).await,
        };
        if !answer.status().is_success() {
            let refusal: Refusal = serde_json::from_slice(answer.body())
                .map_err(|_| Failure::failed(format!("the daemon answered {}", answer.status())))?;
            return Err(Failure::new(refusal.exit, refusal.error));
        }
        serde_json::from_slice(answer.body()).map_err(|error| {
            Failure::failed(format!("the daemon's answer is not understood: {error}"))
        })
    }
}

/// Who answers admin requests.
enum Service {
    /// The daemon, over its socket.
    Daemon(UnixStream),
    /// This process; the lock keeps a daemon from starting in the middle of a change.
    Here(HomeLock),
}

/// The whole answer to a request.
async fn answered(
    within: Duration,
    stream: UnixStream,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Failure> {
    let answer = tokio::time::timeout(within, over(stream, request)).await;
    let answer = answer
        .map_err(|_| Failure::unreachable("the daemon does not answer; see its log in logs/"))??;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| {
        Failure::unreachable(format!("the daemon broke off its answer: {error}"))
    })?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// Sends one request over a fresh connection.
pub(crate) async fn over<S>(
    stream: S,
    request: Request<Bytes>,
) -> Result<Response<Incoming>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lost = |error: hyper::Error| Failure::unreachable(format!("the daemon broke off: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(lost)?;
    let mut request = request.map(Full::new);
    let headers = request.headers_mut();
    headers
        .entry(HOST)
        .or_insert(HeaderValue::from_static("localhost"));
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the connection, or with the process"
    )]
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(lost)
}

fn to_json(body: &impl Serialize) -> Result<Bytes, Failure> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Failure::failed(error.to_string()))
}

/// A name or key as one part of a path.
pub(crate) fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
