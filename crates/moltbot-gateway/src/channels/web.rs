//! `/chat/{workspace}`: the page of a web chat, and the messages of its visitors.

use std::convert::Infallible;
use std::time::Duration;

use aws_lc_rs::rand;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::header::{
    ACCEPT_LANGUAGE, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use moltbot_channels::web::{self, Language, Page, safe_html};
use moltbot_channels::{Driver, Message, Progress};
use moltbot_config::config::ChannelKind;
use moltbot_types::reply::Holds;
use moltbot_types::{CallError, Frames, Mark, Workspace};
use moltbot_wire::openai::OPENAI;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::Channels;
use super::post::{event, refused, whole};
use crate::http::ReplyBody;
use crate::server::HangUp;

/// The visitor's id.
const VISITOR: &str = "moltbot_visitor";
/// How long a browser keeps it: 30 days.
const KEPT_S: u32 = 30 * 24 * 3600;
/// Time between two views of an answer that grows.
const VIEW_EVERY: Duration = Duration::from_millis(80);

/// A message of the page.
#[derive(Deserialize)]
struct Posted {
    /// Names the message, so that a repeat is the same one.
    #[serde(default)]
    id: String,
    text: String,
}

/// A web chat at work.
struct Chat {
    driver: Driver,
    workspace: String,
    origins: Vec<String>,
}

impl Channels {
    /// Answers a request below `/chat/`; `rest` is the path after it.
    pub(crate) async fn answer_chat(
        &self,
        request: Request<Incoming>,
        rest: &str,
    ) -> Response<ReplyBody> {
        let (workspace, part) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(chat) = self.chat(workspace) else {
            return refused(StatusCode::NOT_FOUND, "there is no web chat here");
        };
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = match part {
            "" if reads => chat.page(request.headers()).await,
            "chat.js" if reads => asset("text/javascript; charset=utf-8", web::SCRIPT),
            "chat.css" if reads => asset("text/css; charset=utf-8", web::STYLE),
            "messages" if request.method() == Method::POST => self.message(&chat, request).await,
            "" | "chat.js" | "chat.css" => not_so("GET"),
            "messages" => not_so("POST"),
            _ => refused(StatusCode::NOT_FOUND, "there is nothing here"),
        };
        guard(response.headers_mut(), &chat.origins);
        response
    }

    /// The first web chat of a workspace that works.
    fn chat(&self, workspace: &str) -> Option<Chat> {
        let snapshot = self.live.snapshot();
        let name = Workspace::from(workspace);
        let mut channels = snapshot.channels();
        channels.find_map(|(of, channel)| {
            let is_it = of == name && channel.kind == ChannelKind::Web;
            let driver = is_it.then(|| self.driver(workspace, &channel.name))??;
            Some(Chat {
                driver,
                workspace: workspace.to_owned(),
                origins: channel.allow_origins.clone(),
            })
        })
    }

    /// Takes a message and streams its answer.
    async fn message(&self, chat: &Chat, request: Request<Incoming>) -> Response<ReplyBody> {
        // A form of another page can't send this type: whose message it is would be decided by a cookie alone.
        let kind = request.headers().get(CONTENT_TYPE);
        let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if !is_json {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return refused(status, "a message is application/json");
        }
        let limit = self.live.snapshot().config.server.limits.event;
        let request = match event(request, limit).await {
            Ok(request) => request,
            Err(error) => return refused(error.status(), error.message()),
        };
        let posted: Posted = match serde_json::from_slice(request.body()) {
            Ok(posted) => posted,
            Err(error) => {
                let reason = format!("the body is no message: {error}");
                return refused(StatusCode::BAD_REQUEST, &reason);
            }
        };
        if posted.text.trim().is_empty() || posted.id.len() > 64 {
            return refused(StatusCode::BAD_REQUEST, "`text` is empty, or `id` too long");
        }
        let visitor = visitor(request.headers());
        let id = match posted.id.is_empty() {
            true => new_visitor(),
            false => posted.id,
        };
        let message = Message {
            id: format!("{visitor}/{id}"),
            sender: visitor.clone(),
            text: posted.text,
            ..Message::default()
        };
        let stream = chat.driver.settings().stream;
        let mut response = match chat.driver.ask(message, stream).await {
            Ok(progress) => self.streamed(progress),
            Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        };
        keep(&mut response, &visitor, chat, request.headers());
        response
    }

    fn streamed(&self, progress: watch::Receiver<Progress>) -> Response<ReplyBody> {
        let hang_up = HangUp::default();
        let stopping = self.rt.drain.streams_end();
        let frames = views(progress)
            .map(|view: Result<Bytes, Infallible>| {
                let view = view.unwrap_or_default();
                Ok::<_, CallError>(Frames::one(view, Mark::Content))
            })
            .boxed();
        let holds = Holds::default();
        let body = ReplyBody::stream(frames, holds, &OPENAI, 0, stopping, hang_up.clone());
        let mut response = Response::new(body);
        response.extensions_mut().insert(hang_up);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        response
    }
}

impl Chat {
    async fn page(&self, headers: &HeaderMap) -> Response<ReplyBody> {
        let visitor = visitor(headers);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = if is_https(headers) { "https" } else { "http" };
        let address = format!("{scheme}://{}", text(HOST).unwrap_or("localhost"));
        let history = self.driver.history(&visitor).await;
        let page = web::page(&Page {
            workspace: &self.workspace,
            language: Language::of(text(ACCEPT_LANGUAGE).unwrap_or_default()),
            history: &history,
            snippet: &web::snippet(&address, &self.workspace),
        });
        let mut response = asset("text/html; charset=utf-8", "");
        *response.body_mut() = whole(page.into());
        let headers_out = response.headers_mut();
        headers_out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        keep(&mut response, &visitor, self, headers);
        response
    }
}

/// The answer as it grows: each view the whole of it, the last one marked.
fn views(
    progress: watch::Receiver<Progress>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(Some(progress), |progress| async move {
        let mut progress = progress?;
        // Whoever makes the answer has gone: the stream ends without its mark, and the page asks again.
        progress.changed().await.ok()?;
        if !progress.borrow().ended {
            tokio::time::sleep(VIEW_EVERY).await;
        }
        let now = progress.borrow_and_update().clone();
        let event = json!({ "html": safe_html(&now.text), "ended": now.ended });
        let view = Bytes::from(format!("data: {event}\n\n"));
        let next = (!now.ended).then_some(progress);
        Some((Ok(view), next))
    })
}

/// The id that a browser shows, or a new one.
fn visitor(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(COOKIE).iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';'));
    let shown = pairs.find_map(|pair| pair.trim().strip_prefix(VISITOR)?.strip_prefix('='));
    let is_ours = |id: &&str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    shown
        .filter(is_ours)
        .map_or_else(new_visitor, str::to_owned)
}

fn new_visitor() -> String {
    let mut random = [0; 16];
    // The system's generator does not fail once it has started; an id of zeros would be everybody's.
    match rand::fill(&mut random) {
        Ok(()) => hex::encode(random),
        Err(_) => uuid::Uuid::now_v7().simple().to_string(),
    }
}

/// Lets the browser keep its id, 30 days from now.
fn keep(response: &mut Response<ReplyBody>, visitor: &str, chat: &Chat, asked: &HeaderMap) {
    // In a page of another site a browser sends only cookies that say that they may be.
    let site = match !chat.origins.is_empty() && is_https(asked) {
        true => "SameSite=None; Secure; Partitioned",
        false => "SameSite=Lax",
    };
    let path = &chat.workspace;
    let cookie =
        format!("{VISITOR}={visitor}; Path=/chat/{path}; Max-Age={KEPT_S}; HttpOnly; {site}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

fn is_https(headers: &HeaderMap) -> bool {
    let proto = headers.get("x-forwarded-proto");
    proto.is_some_and(|proto| proto.as_bytes() == b"https")
}

fn asset(kind: &'static str, text: &'static str) -> Response<ReplyBody> {
    let mut response = Response::new(whole(Bytes::from_static(text.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn not_so(takes: &'static str) -> Response<ReplyBody> {
    let reason = format!("this takes {takes}");
    let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, &reason);
    let takes = HeaderValue::from_static(takes);
    response.headers_mut().insert(ALLOW, takes);
    response
}

/// What keeps a page to itself.
fn guard(headers: &mut HeaderMap, origins: &[String]) {
    let policy = web::content_security_policy(origins);
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
}
