//! What makes two calls equal.

use moltbot_types::Call;

/// The hash of everything that an answer depends on. There is none without a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of a call to `model`, whose answers are those of `identity`; `body` is its canonical form.
    pub(super) fn of(call: &Call, model: &str, identity: &str, body: &[u8]) -> Self {
        let mut hash = blake3::Hasher::new();
        // each part with its length before it, so that no part can pretend to be the end of another
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(call.caller.workspace.as_str().as_bytes());
        part(call.trail.experiment().unwrap_or_default().as_bytes());
        part(model.as_bytes());
        part(identity.as_bytes());
        part(call.dialect.name().as_bytes());
        part(&[call.head.operation as u8]);
        part(call.query.as_deref().unwrap_or_default().as_bytes());
        part(&(call.headers.len() as u64).to_le_bytes());
        for (name, value) in &call.headers {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        part(body);
        Self(*hash.finalize().as_bytes())
    }
}
