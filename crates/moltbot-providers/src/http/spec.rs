//! A target as it is set up, and the ready-made parts of its requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use moltbot_types::{
    Call, CallError, Credential, Dialect, Edit, Head, Headers, Kind, ModelName, Pieces, TargetId,
};

use super::place::Place;
use super::sent::Sent;
use crate::classify::{Scene, repeatable};
use crate::error::SetupError;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One place that answers for a model.
#[derive(Clone)]
pub struct TargetSpec {
    /// The target's name.
    pub id: TargetId,
    /// The gateway's name of the model, the only one that callers read.
    pub model: ModelName,
    /// The provider's own name of the model.
    pub upstream_model: String,
    /// Where the provider's API begins: `https://api.example.com/v1`. Without a version at its end it
    /// gets the dialect's own.
    pub base_url: String,
    /// What the provider speaks.
    pub dialect: &'static dyn Dialect,
    /// As whom calls leave.
    pub credential: Arc<dyn Credential>,
    /// Fields that calls which generate get where they set none: name and value as JSON text.
    pub defaults: Vec<(Arc<str>, Arc<str>)>,
    /// How long connecting may take: name, TCP and TLS together.
    pub connect: Duration,
    /// How long an answer that is not streamed may take to the first byte of its body;
    /// `None` for no limit: whoever wraps the target keeps that time, as it does for
    /// streams, but sees no body begin.
    pub answer: Option<Duration>,
    /// How long a whole answer may pause between two pieces.
    pub idle: Option<Duration>,
    /// Most bytes of a whole answer.
    pub reply_limit: usize,
    /// Most bytes of one event of a stream.
    pub event_limit: usize,
}

impl TargetSpec {
    /// A target that is named as its model, here and at the provider, with default limits: 5 s to
    /// connect, answers of 64 MiB, events of 1 MiB.
    pub fn new(
        model: impl Into<ModelName>,
        base_url: impl Into<String>,
        dialect: &'static dyn Dialect,
        credential: Arc<dyn Credential>,
    ) -> Self {
        let model = model.into();
        Self {
            id: TargetId::from(model.as_str()),
            upstream_model: model.as_str().to_owned(),
            model,
            base_url: base_url.into(),
            dialect,
            credential,
            defaults: Vec::new(),
            connect: Duration::from_secs(5),
            answer: None,
            idle: None,
            reply_limit: 64 << 20,
            event_limit: 1 << 20,
        }
    }
}

impl fmt::Debug for TargetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetSpec")
            .field("id", &self.id)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// A target with all that its requests have in common.
pub(super) struct Target {
    model: ModelName,
    upstream_model: String,
    pub(super) place: Place,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) credential: Arc<dyn Credential>,
    pub(super) connect: Duration,
    pub(super) answer: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) reply_limit: usize,
    pub(super) event_limit: usize,
    /// The model's name first, then the defaults.
    edits: Vec<Edit>,
    headers: HeaderMap,
}

impl Target {
    pub(super) fn new(spec: TargetSpec) -> Result<Self, SetupError> {
        let place = Place::new(&spec.base_url, spec.dialect).map_err(|why| SetupError::Url {
            target: spec.id,
            why,
        })?;
        let quoted = serde_json::Value::from(spec.upstream_model.as_str()).to_string();
        let defaults = spec.defaults.into_iter();
        let edits = std::iter::once(Edit::Model(quoted.into()))
            .chain(defaults.map(|(name, value)| Edit::Default { name, value }))
            .collect();
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json.clone());
        headers.insert(ACCEPT, json);
        // codings that can't be undone here are not asked for
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let agent = concat!("moltbot/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if let Some(host) = &place.host {
            headers.insert(HOST, host.clone());
        }
        // its place is kept: a map that grows is a map made twice
        headers.insert(REQUEST_ID, HeaderValue::from_static("-"));
        Ok(Self {
            model: spec.model,
            upstream_model: spec.upstream_model,
            place,
            dialect: spec.dialect,
            credential: spec.credential,
            connect: spec.connect,
            answer: spec.answer,
            idle: spec.idle,
            reply_limit: spec.reply_limit,
            event_limit: spec.event_limit,
            edits,
            headers,
        })
    }

    /// The body that leaves: the caller's, with this target's edits.
    pub(super) fn body(&self, call: &Call) -> Result<Pieces, CallError> {
        if call.dialect.name() != self.dialect.name() {
            let message = format!(
                "model `{}` does not speak the dialect {}",
                self.model,
                call.dialect.name()
            );
            return Err(CallError::new(Kind::BadRequest, message));
        }
        let from = usize::from(call.head.model.as_str() == self.upstream_model);
        let to = match call.head.operation.generates() {
            true => self.edits.len(),
            false => 1,
        };
        match &self.edits[from..to] {
            [] => Ok(call.body.clone().into()),
            edits => call.dialect.splice(&call.head, &call.body, edits),
        }
    }

    /// The request: of the caller's headers only those that were chosen for it.
    pub(super) fn request(
        &self,
        call: &Call,
        body: Pieces,
        shown: &Headers,
    ) -> Result<Request<Sent>, CallError> {
        let mut request = Request::new(Sent::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.place.uri(call)?;
        let mut headers = self.headers.clone();
        if call.head.stream {
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        for (name, value) in &call.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Ok(id) = HeaderValue::from_str(call.id.encode(&mut [0; 36])) {
            headers.insert(REQUEST_ID, id);
        }
        for (name, value) in shown {
            headers.insert(name.clone(), value.clone());
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// What a failure of this target is judged by.
    pub(super) fn scene(&self, head: &Head) -> Scene<'_> {
        Scene {
            model: &self.model,
            place: &self.place.authority,
            repeatable: repeatable(head),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("model", &self.model)
            .field("place", &self.place.authority)
            .finish_non_exhaustive()
    }
}
