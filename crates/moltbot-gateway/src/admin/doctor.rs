//! `moltctl doctor`: what may be wrong with the house.

use jiff::Timestamp;
use serde_json::json;

use super::{Admin, Answer, Query, Refusal, json};
use crate::doctor::{Facts, mend};

impl Admin {
    /// `?security` looks at the security of the house too.
    pub(super) async fn doctor(&self, query: &Query<'_>) -> Answer {
        let loaded = self.load()?;
        let keys = match self.store().await {
            Ok(store) => store.keys.all().await.ok(),
            Err(_) => None,
        };
        let facts = Facts {
            home: &self.home,
            loaded: &loaded,
            keys,
            now: Timestamp::now(),
        };
        let mut checks = facts.general();
        if query.has("security") {
            checks.extend(facts.security());
        }
        json(&checks)
    }

    /// Mends what can be mended without asking: the permissions of files.
    pub(super) fn doctor_fix(&self) -> Answer {
        let mended = mend(&self.home).map_err(|error| Refusal::failed(error.to_string()))?;
        json(&json!({ "mended": mended }))
    }
}
