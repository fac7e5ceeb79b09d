//! A call on its way down: who asks, the few facts that steps need, and the bytes it came with.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::dialect::Dialect;
use crate::id::{ModelName, RequestId};
use crate::record::Trail;
use crate::skill::Skills;

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A conversation: `/chat/completions` in the OpenAI dialect.
    Chat,
    /// A text to continue: `/completions`.
    Complete,
    /// Vectors: `/embeddings`.
    Embed,
}

impl Operation {
    /// Whether the model writes text; default params are added to such calls alone.
    pub fn generates(self) -> bool {
        matches!(self, Self::Chat | Self::Complete)
    }
}

/// The facts of a body that steps need, read by one scan without decoding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is asked.
    pub operation: Operation,
    /// The model's name as the caller wrote it, decoded.
    pub model: ModelName,
    /// Where the model's value stands in the body, quotes included; `None` where the path names it.
    pub model_at: Option<Range<usize>>,
    /// Whether the answer shall be a stream of frames.
    pub stream: bool,
    /// Whether tools are offered.
    pub tools: bool,
    /// The caller's own user, where it names one that is not empty.
    pub user: Option<Arc<str>>,
    /// Most tokens to write, under whatever name the dialect has for it.
    pub max_tokens: Option<u64>,
    /// Whether the caller set such a limit, even one that says nothing, such as `null`.
    pub limited: bool,
    /// The upstream keeps the answer, so that a repeat is not the same call.
    pub store: bool,
    /// Bytes of the body.
    pub size: usize,
}

/// A change of the body. It is spliced in, so no other byte moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The model's name becomes this JSON text, quotes included.
    Model(Arc<str>),
    /// A field that is added where the caller set none under any of the dialect's names for it.
    Default {
        /// Its name in the configuration: `max_tokens`, `stop_sequences` or the dialect's own.
        name: Arc<str>,
        /// Its value as JSON text.
        value: Arc<str>,
    },
}

/// What a caller asks of answers that are remembered: its `Cache-Control`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// None is looked for and nothing is kept: `no-store`.
    pub never: bool,
    /// The model is asked, and its answer kept: `no-cache`.
    pub anew: bool,
    /// None that is older: `max-age`.
    pub max_age: Option<Duration>,
}

/// A call. One pointer to its content, so that handing it on costs nothing; clones, such as those for each
/// attempt, share it until one of them is changed.
#[derive(Clone, Debug)]
pub struct Call(Arc<CallParts>);

/// The content of a [`Call`].
#[derive(Clone, Debug)]
pub struct CallParts {
    /// Names the request everywhere.
    pub id: RequestId,
    /// Who asks.
    pub caller: Caller,
    /// The facts of the body.
    pub head: Head,
    /// The body as it came.
    pub body: Bytes,
    /// The dialect it came in, and the answer leaves in.
    pub dialect: &'static dyn Dialect,
    /// Headers of the caller that travel on to targets of the same dialect; already chosen by a list.
    pub headers: HeaderMap,
    /// The query of the path, forwarded within a dialect alone.
    pub query: Option<Arc<str>>,
    /// Whoever makes the call filters its texts and its answer already, with the filters of this place.
    pub filtered: bool,
    /// What the caller asks of answers that are remembered.
    pub remembered: Remembered,
    /// When the call arrived.
    pub begun: Instant,
    /// When the whole call must have ended.
    pub deadline: Option<Instant>,
    /// What skills may do for it.
    pub skills: Skills,
    /// What was tried so far; shared with whoever records the call.
    pub trail: Arc<Trail>,
}

impl Call {
    /// Packs the parts.
    pub fn new(parts: CallParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Unpacks the parts.
    pub fn into_parts(self) -> CallParts {
        Arc::unwrap_or_clone(self.0)
    }
}

impl Deref for Call {
    type Target = CallParts;

    fn deref(&self) -> &CallParts {
        &self.0
    }
}

impl DerefMut for Call {
    fn deref_mut(&mut self) -> &mut CallParts {
        Arc::make_mut(&mut self.0)
    }
}
