//! The admin service over HTTP: open health and metrics, the rest for whoever shows the token.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use moltbot_config::Home;
use subtle::ConstantTimeEq;

use super::{Actor, Admin, Refusal, respond};
use crate::gateway::StartError;
use crate::runtime::Runtime;
use crate::server::Peer;

/// Most bytes of an admin request.
const BODY_LIMIT: usize = 1 << 20;

/// What an admin listener serves.
#[derive(Clone)]
pub(crate) struct AdminDoor {
    admin: Admin,
    /// What must be shown; `None` on the socket, which only the daemon's own user can open.
    token: Option<Arc<str>>,
    rt: Arc<Runtime>,
}

impl AdminDoor {
    pub(crate) fn new(admin: Admin, token: Option<Arc<str>>, rt: Arc<Runtime>) -> Self {
        Self { admin, token, rt }
    }

    pub(crate) async fn answer(self, request: Request<Incoming>, _: Peer) -> Response<Full<Bytes>> {
        let answer = match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.ready(),
            "/metrics" => self.metrics(),
            _ => self.admin(request).await,
        };
        answer.map(Full::new)
    }

    /// Whether calls should be sent here, and which background tasks are down.
    fn ready(&self) -> Response<Bytes> {
        let problems = self.rt.background.problems();
        let (status, word) = if self.rt.drain.started() {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if !self.rt.background.is_whole() {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        } else {
            (StatusCode::OK, "ready")
        };
        text(status, format!("{word}\n{problems}"))
    }

    fn metrics(&self) -> Response<Bytes> {
        let body = self.admin.render_metrics();
        let mut response = text(StatusCode::OK, body);
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        );
        response
    }

    async fn admin(&self, request: Request<Incoming>) -> Response<Bytes> {
        if !self.may_enter(request.headers()) {
            self.rt.refused_admin.fetch_add(1, Ordering::Relaxed);
            return refuse(&Refusal::new(
                StatusCode::UNAUTHORIZED,
                5,
                "the admin API asks for `Authorization: Bearer` with the content of run/admin.token",
            ));
        }
        let (parts, body) = request.into_parts();
        match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => {
                let mut request = Request::from_parts(parts, body.to_bytes());
                if self.token.is_some() {
                    request.extensions_mut().insert(Actor("token"));
                }
                self.admin.handle(request).await
            }
            Err(error) => refuse(&Refusal::usage(format!(
                "the request's body can't be read: {error}"
            ))),
        }
    }

    fn may_enter(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let shown = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        shown.is_some_and(|shown| shown.ct_eq(token.as_bytes()).into())
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn refuse(refusal: &Refusal) -> Response<Bytes> {
    let body = serde_json::to_vec(&refusal.failure).unwrap_or_default();
    respond(refusal.status, body)
}

/// Makes the token of this run, for the home's owner alone.
pub(crate) fn write_token(home: &Home) -> Result<Arc<str>, StartError> {
    let mut random = [0; 32];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| StartError::failed("the system gives no random numbers"))?;
    let token: Arc<str> = hex::encode(random).into();
    write_private(&home.admin_token_file(), token.as_bytes())?;
    Ok(token)
}

/// Writes a file that its owner alone can read. Readers see the old file or the new one, whole.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StartError> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        std::fs::rename(&new, path)
    };
    write().map_err(|error| {
        StartError::failed(format!("{} can't be written: {error}", path.display()))
    })
}
