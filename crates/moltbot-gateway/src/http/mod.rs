//! The doors: HTTP requests in, calls down the path, replies back in the caller's dialect.

mod body;
mod coding;
mod feedback;
mod headers;
mod read;
mod respond;
mod route;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use moltbot_types::call::CallParts;
use moltbot_types::{Call, CallError, Dialect, Kind, Next, Operation, Reply, RequestId, Trail};
use moltbot_wire::openai::OPENAI;
use tokio::time::Instant;

pub(crate) use body::ReplyBody;
pub(crate) use read::whole as whole_body;

use crate::channels::Channels;
use crate::live::Live;
use crate::record::Recording;
use crate::runtime::Runtime;
use crate::server::Peer;
use crate::skills::Mcp;
use route::Route;

/// What a door knows of a request before it is read.
struct Asked<'a> {
    id: RequestId,
    begun: Instant,
    operation: Operation,
    dialect: &'static dyn Dialect,
    trail: &'a Arc<Trail>,
}

/// What a request is answered with, where nothing failed.
enum Answered {
    Reply(Reply),
    Json(Bytes),
    /// 202: what was sent is kept.
    Accepted,
    Plain(Response<Bytes>),
}

/// The data plane: what callers reach.
#[derive(Clone)]
pub(crate) struct Front {
    live: Arc<Live>,
    rt: Arc<Runtime>,
    channels: Arc<Channels>,
    mcp: Mcp,
}

impl Front {
    pub(crate) fn new(live: Arc<Live>, rt: Arc<Runtime>, channels: Arc<Channels>) -> Self {
        let mcp = Mcp::new(&live, &rt);
        Self {
            live,
            rt,
            channels,
            mcp,
        }
    }

    /// Answers one request; a failure becomes an answer in the caller's dialect.
    pub(crate) async fn answer(
        self,
        mut request: Request<Incoming>,
        peer: Peer,
    ) -> Response<ReplyBody> {
        // What platforms post is verified by its channel: no key counts there, and the call is that of its turn.
        if let Some(rest) = request.uri().path().strip_prefix("/channels/") {
            let rest = rest.to_owned();
            return self.channels.answer_post(request, &rest).await;
        }
        if let Some(rest) = request.uri().path().strip_prefix("/chat/") {
            let rest = rest.to_owned();
            return self.channels.answer_chat(request, &rest).await;
        }
        let begun = Instant::now();
        let id = RequestId::new();
        headers::tell_host(&mut request);
        let head_only = request.method() == Method::HEAD;
        let route = Route::find(request.method(), request.uri().path());
        let allow = match &route {
            Err(error) if error.kind() == Kind::MethodNotAllowed => {
                Route::allowed(request.uri().path())
            }
            _ => None,
        };
        let dialect: &'static dyn Dialect = match &route {
            Ok(Route::Call(_, dialect)) => *dialect,
            _ => &OPENAI,
        };
        let trail = Arc::new(Trail::default());
        let mut recording = Recording::begin(&self.rt, id, begun, Arc::clone(&trail));
        let answer = match route {
            Ok(Route::Call(operation, dialect)) => {
                let asked = Asked {
                    id,
                    begun,
                    operation,
                    dialect,
                    trail: &trail,
                };
                let call = self.call(request, &peer, asked, &mut recording);
                caught(call, || self.rt.calls.metrics().panicked()).await
            }
            Ok(Route::Feedback) => self.feedback(request, &peer, &mut recording).await,
            Ok(Route::Mcp) => {
                let tools = self.tools(request, &peer, &mut recording);
                caught(tools, || self.rt.calls.metrics().panicked()).await
            }
            Ok(route) => self.list(&request, &peer, &route, &mut recording),
            Err(error) => Err(error),
        };
        let answer = match answer {
            Ok(Answered::Reply(reply)) => {
                respond::reply(reply, recording, self.rt.drain.streams_end())
            }
            Ok(Answered::Json(body)) => respond::json(StatusCode::OK, body, recording),
            Ok(Answered::Accepted) => respond::json(
                StatusCode::ACCEPTED,
                Bytes::from_static(b"{\"ok\":true}"),
                recording,
            ),
            Ok(Answered::Plain(answer)) => respond::plain(answer, recording),
            Err(error) => respond::error(dialect, &error, recording, allow),
        };
        if head_only {
            return respond::without_body(answer);
        }
        answer
    }

    /// The list of models, or one of it.
    fn list(
        &self,
        request: &Request<Incoming>,
        peer: &Peer,
        route: &Route,
        recording: &mut Recording,
    ) -> Result<Answered, CallError> {
        let snapshot = self.live.snapshot();
        let caller = snapshot.authenticate(request.headers(), peer)?;
        recording.caller(&caller);
        let workspace = snapshot.workspace(&caller.workspace)?;
        let body = match route {
            Route::Model(name) => workspace.model_json(name)?,
            _ => workspace.models_json(),
        };
        Ok(Answered::Json(body))
    }

    /// What someone thought of an answer.
    async fn feedback(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        recording: &mut Recording,
    ) -> Result<Answered, CallError> {
        let snapshot = self.live.snapshot();
        let caller = snapshot.authenticate(request.headers(), peer)?;
        recording.caller(&caller);
        let (parts, body) = request.into_parts();
        headers::check(&parts.headers)?;
        let body = read::whole(body, &parts.headers, snapshot.config.server.limits.body).await?;
        feedback::take(&self.rt, &caller.workspace, caller.role, &body).await?;
        Ok(Answered::Accepted)
    }

    /// One request of an MCP client.
    async fn tools(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        recording: &mut Recording,
    ) -> Result<Answered, CallError> {
        let snapshot = self.live.snapshot();
        let caller = snapshot.authenticate(request.headers(), peer)?;
        recording.caller(&caller);
        let (parts, body) = request.into_parts();
        let body = read::whole(body, &parts.headers, snapshot.config.server.limits.body).await?;
        let answer = self.mcp.answer(caller, parts.headers, body).await?;
        Ok(Answered::Plain(answer))
    }

    /// One call of a model, down the path.
    async fn call(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        asked: Asked<'_>,
        recording: &mut Recording,
    ) -> Result<Answered, CallError> {
        // Invariant: one snapshot from the door to the last byte.
        let snapshot = self.live.snapshot();
        let caller = snapshot.authenticate(request.headers(), peer)?;
        recording.caller(&caller);
        let workspace = snapshot.workspace(&caller.workspace)?;
        let (parts, body) = request.into_parts();
        headers::check(&parts.headers)?;
        let body = read::whole(body, &parts.headers, snapshot.config.server.limits.body).await?;
        let head = asked.dialect.peek(asked.operation, &body)?;
        recording.model(
            &head,
            workspace.knows(head.model.as_str()),
            workspace.prices(),
        );
        // Refused before anything is spent; held until the reply's last byte.
        let wait = snapshot.config.server.limits.queue_wait;
        let permit = self.rt.entrance.enter(wait).await?;
        let call = Call::new(CallParts {
            id: asked.id,
            caller,
            head,
            body,
            dialect: asked.dialect,
            headers: headers::forwarded(asked.dialect, &parts.headers),
            query: parts.uri.query().map(Arc::from),
            filtered: false,
            remembered: headers::remembered(&parts.headers),
            begun: asked.begun,
            deadline: None,
            skills: headers::skills(&parts.headers),
            trail: Arc::clone(asked.trail),
        });
        let mut reply = workspace.path().call(call).await?;
        reply.hold(permit);
        Ok(Answered::Reply(reply))
    }
}

/// A call that panics fails: its caller hears of it with the request's id, and all others hear nothing.
async fn caught<T>(
    call: impl Future<Output = Result<T, CallError>>,
    on_panic: impl FnOnce(),
) -> Result<T, CallError> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => {
            on_panic();
            let message = "an internal error ended this call; the log says more";
            Err(CallError::new(Kind::Internal, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fm_76_a_panic_within_a_call_is_that_calls_failure_and_is_counted() {
        let mut panics = 0;
        let call = async { panic!("as asked") };
        let failed: Result<(), _> = caught(call, || panics += 1).await;
        let error = failed.unwrap_err();
        assert_eq!(
            (error.status().as_u16(), error.word()),
            (500, "internal_error")
        );
        assert_eq!(panics, 1);
        assert_eq!(caught(async { Ok(1) }, || panics += 1).await.ok(), Some(1));
        assert_eq!(panics, 1);
    }
}
