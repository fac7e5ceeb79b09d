//! What of admin requests is written into the audit log, and how it is read.

use bytes::Bytes;
use http::{Method, Request};
use moltbot_types::admin::AuditEntry;
use serde_json::Value;

use super::{Admin, Answer, Query, Refusal, decode, json};
use crate::audit::entry;

/// Entries that are shown where nobody says how many.
const SHOWN: usize = 1000;
/// Requests that change nothing.
const HARMLESS: [&str; 4] = ["config/validate", "auth/check", "audit/verify", "log-level"];

/// How a request came in.
#[derive(Clone, Copy)]
pub(crate) struct Actor(pub(crate) &'static str);

impl Admin {
    /// The beginning of an entry for a request that may change something.
    pub(super) fn begun(&self, request: &Request<Bytes>) -> Option<AuditEntry> {
        let path = request.uri().path();
        let path = path.strip_prefix("/admin/v1/").unwrap_or(path);
        let harmless = HARMLESS.contains(&path) || path.ends_with("/test");
        if matches!(*request.method(), Method::GET | Method::HEAD) || harmless {
            return None;
        }
        let actor = match request.extensions().get::<Actor>() {
            Some(Actor(actor)) => actor,
            None if self.daemon.is_some() => "socket",
            None => "offline",
        };
        let action = format!("{} {}", request.method(), decode(path));
        let mut begun = entry(actor, action);
        begun.workspace = Query::of(request).workspace().to_string();
        begun.before = self.value_of(path);
        Some(begun)
    }

    /// Writes down what came of it.
    pub(super) fn ended(&self, request: &Request<Bytes>, mut begun: AuditEntry, answer: &Answer) {
        let path = request.uri().path();
        begun.after = self.value_of(path.strip_prefix("/admin/v1/").unwrap_or(path));
        begun.outcome = match answer {
            Ok(_) => "done".to_owned(),
            Err(refusal) => format!("refused with {}", refusal.failure.exit),
        };
        // The id of a new key, never the key.
        if let Ok(answer) = answer
            && let Ok(body) = serde_json::from_slice::<Value>(answer.body())
        {
            begun.subject = body["id"].as_str().map(str::to_owned);
        }
        self.audit.write(&begun);
    }

    /// What a key of the configuration says, a secret hidden; `None` for other requests.
    fn value_of(&self, path: &str) -> Option<Value> {
        let key = decode(path.strip_prefix("config/values/")?);
        let entries = self.load().ok()?.entries();
        let entry = entries.iter().find(|entry| entry.key == key)?;
        serde_json::to_value(&entry.value).ok()
    }

    pub(super) fn audit(&self, query: &Query<'_>) -> Answer {
        let most = query.get("most").and_then(|most| most.parse().ok());
        let workspace = query.get("workspace");
        let entries = self
            .audit
            .entries(workspace.as_deref(), most.unwrap_or(SHOWN));
        json(&entries.map_err(|error| unreadable(&error))?)
    }

    pub(super) fn audit_verify(&self) -> Answer {
        json(&self.audit.verify().map_err(|error| unreadable(&error))?)
    }
}

fn unreadable(error: &std::io::Error) -> Refusal {
    Refusal::failed(format!("data/audit.jsonl can't be read: {error}"))
}
