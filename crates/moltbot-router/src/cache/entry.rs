//! An answer that is remembered.

use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use moltbot_types::{Body, Dialect, Operation, Reply, Served, Usage, Workspace};
use tokio::time::Instant;

use super::flight::Form;

/// A whole answer; a stream is made of it where one is asked for.
pub(super) struct Entry {
    /// Whose it is.
    pub(super) workspace: Workspace,
    /// Who gave it.
    pub(super) served: Option<Served>,
    /// When it was complete.
    pub(super) since: Instant,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) operation: Operation,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) usage: Option<Usage>,
}

impl Entry {
    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> u32 {
        /// The entry itself, its key, and what the table needs for it.
        const AROUND: usize = 512;
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 64)
            .sum();
        u32::try_from(self.body.len() + headers + AROUND).unwrap_or(u32::MAX)
    }

    /// The answer in the form that is asked for; `None` where it has no such form.
    pub(super) fn reply(&self, form: Form) -> Option<Reply> {
        let body = match form {
            Form::Whole => Body::Whole(self.body.clone()),
            Form::Stream { usage } => {
                let frames = self.dialect.stream_of(self.operation, &self.body, usage)?;
                Body::Stream(Box::pin(stream::iter([Ok(frames)])))
            }
        };
        let mut reply = Reply::new(http::StatusCode::OK, self.dialect, body);
        reply.headers = self.headers.clone();
        reply.usage = self.usage;
        Some(reply)
    }
}
