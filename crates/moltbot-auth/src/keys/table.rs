//! The keys of a store as they are looked up, and who shows them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;
use moltbot_store::keys::{KeyRecord, Use};
use moltbot_types::{Caller, Role, Workspace};

/// Keys by their ids.
#[derive(Default)]
pub(super) struct Table(HashMap<Arc<str>, Arc<Entry>>);

/// One key.
pub(super) struct Entry {
    digest: [u8; 32],
    caller: Caller,
    /// From when on it is refused, and why, in words for whoever shows it.
    over: Option<(Timestamp, &'static str)>,
    /// When it was last shown, in milliseconds; and what of that was told to the store.
    last: AtomicI64,
    told: AtomicI64,
}

impl Table {
    /// Makes the table; when keys were last shown is taken over from the one before.
    pub(super) fn new(records: Vec<KeyRecord>, before: &Self) -> Self {
        let mut workspaces = HashSet::new();
        let entries = records.into_iter().map(|record| {
            // Many keys share a workspace's name.
            let workspace = match workspaces.get(&record.workspace) {
                Some(known) => Workspace::clone(known),
                None => {
                    workspaces.insert(record.workspace.clone());
                    record.workspace.clone()
                }
            };
            let id: Arc<str> = record.id.as_str().into();
            let entry = Entry::stored(record, workspace, Arc::clone(&id));
            if let Some(before) = before.0.get(&id) {
                entry
                    .last
                    .fetch_max(before.last.load(Ordering::Relaxed), Ordering::Relaxed);
                entry
                    .told
                    .store(before.told.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            (id, Arc::new(entry))
        });
        Self(entries.collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Entry>> {
        self.0.get(id)
    }

    pub(super) fn any_good(&self, now: Timestamp) -> bool {
        self.0.values().any(|entry| entry.verdict(now).is_ok())
    }

    /// Keys that were shown since this was asked before.
    pub(super) fn uses(&self) -> Vec<Use> {
        let uses = self.0.iter().filter_map(|(id, entry)| {
            let last = entry.last.load(Ordering::Relaxed);
            if entry.told.swap(last, Ordering::Relaxed) == last {
                return None;
            }
            Some(Use {
                workspace: entry.caller.workspace.clone(),
                id: id.to_string(),
                at: Timestamp::from_millisecond(last).ok()?,
            })
        });
        uses.collect()
    }
}

impl Entry {
    fn stored(record: KeyRecord, workspace: Workspace, id: Arc<str>) -> Self {
        let ends = [
            (record.revoked, "the API key has been revoked"),
            (
                record.overlap_until,
                "the API key has been replaced by a newer one",
            ),
            (record.expires, "the API key has expired"),
        ];
        let ends = ends
            .into_iter()
            .filter_map(|(at, words)| Some((at?, words)));
        let last = record.last_used.map_or(0, Timestamp::as_millisecond);
        Self {
            digest: record.digest,
            caller: Caller {
                workspace,
                key: Some(id),
                name: (!record.name.is_empty()).then(|| record.name.into()),
                role: record.role,
                models: record.models.map(Arc::from),
            },
            over: ends.min_by_key(|(at, _)| *at),
            last: AtomicI64::new(last),
            told: AtomicI64::new(last),
        }
    }

    /// The key in a file of the home: a user of the default workspace.
    pub(super) fn home(id: Arc<str>, digest: [u8; 32]) -> Self {
        Self {
            digest,
            caller: Caller {
                key: Some(id),
                role: Role::User,
                ..Caller::anonymous()
            },
            over: None,
            last: AtomicI64::new(0),
            told: AtomicI64::new(0),
        }
    }

    pub(super) fn id(&self) -> &str {
        self.caller.key.as_deref().unwrap_or_default()
    }

    pub(super) fn workspace(&self) -> &Workspace {
        &self.caller.workspace
    }

    /// Whether a digest is this key's, in constant time.
    pub(super) fn is(&self, digest: &[u8; 32]) -> bool {
        verify_slices_are_equal(&self.digest, digest).is_ok()
    }

    /// The same work for nobody's key.
    pub(super) fn nobody_is(digest: &[u8; 32]) -> bool {
        verify_slices_are_equal(&[0; 32], digest).is_ok()
    }

    /// Whether it is good now, else why not.
    pub(super) fn verdict(&self, now: Timestamp) -> Result<(), Option<&'static str>> {
        match self.over {
            Some((at, words)) if at <= now => Err(Some(words)),
            _ => Ok(()),
        }
    }

    /// Notes that it was shown; who shows it.
    pub(super) fn shown(&self, now: Timestamp) -> Caller {
        self.last.store(now.as_millisecond(), Ordering::Relaxed);
        self.caller.clone()
    }
}
