//! What a server received and did.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{Fault, Request};

/// Nonces that are remembered at most; further ones are counted in all only.
const MOST_NONCES: usize = 2_000_000;
/// Requests that are kept at most, the latest ones.
const MOST_KEPT: usize = 256;

/// Requests that come so soon after a request for a pause may have been under way.
const UNDER_WAY: Duration = Duration::from_millis(100);

/// What came of one nonce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Requests with it that were read.
    pub requests: u32,
    /// Good answers that were sent to the end: more than one means that a call was executed twice.
    pub answers: u32,
    /// Requests with it that are being served now.
    pub serving: u32,
}

/// What a server received and did so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Requests that began, also those that were reset before they were read.
    pub requests: u64,
    /// Good answers that were sent to the end.
    pub answers: u64,
    /// Tokens that those told of, read.
    pub tokens_in: u64,
    /// Tokens that those told of, written.
    pub tokens_out: u64,
    /// Requests that are being served now.
    pub serving: u64,
    /// Requests that came before a pause was over that a 429 had asked for; not those that were under way.
    pub early: u64,
    /// Requests by the name of the fault they met.
    pub faults: BTreeMap<&'static str, u64>,
    /// Requests that could be read in two ways, by what was odd.
    pub ambiguities: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// This as the JSON object of the control port.
    pub fn to_json(&self) -> Value {
        json!({
            "connections": self.connections,
            "requests": self.requests,
            "answers": self.answers,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "serving": self.serving,
            "early": self.early,
            "faults": self.faults,
            "ambiguities": self.ambiguities,
        })
    }
}

/// The books of one server, shared by its connections.
#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    counts: Counts,
    nonces: HashMap<String, Received>,
    kept: VecDeque<Request>,
    /// The pause that was asked for: from when on nobody should come, and until when.
    pause: Option<(Instant, Instant)>,
}

impl Books {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connection(&self) {
        self.pages().counts.connections += 1;
    }

    /// The number of the request that begins, from 0.
    pub(crate) fn begin(&self) -> u64 {
        let mut pages = self.pages();
        let now = Instant::now();
        let is_early = pages
            .pause
            .is_some_and(|(from, until)| from <= now && now < until);
        let counts = &mut pages.counts;
        counts.early += u64::from(is_early);
        counts.requests += 1;
        counts.requests - 1
    }

    /// A pause is asked for.
    pub(crate) fn pause(&self, pause: Duration) {
        let now = Instant::now();
        let until = now + pause;
        let known = &mut self.pages().pause;
        match known {
            Some((_, end)) if now < *end => *end = until.max(*end),
            _ => *known = Some((now + UNDER_WAY, until)),
        }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        *self.pages().counts.faults.entry(fault.name()).or_default() += 1;
    }

    /// A request was read: it is served until the returned guard goes.
    pub(crate) fn serve(self: &Arc<Self>, request: &Request, nonce: Option<&str>) -> Serving {
        let mut pages = self.pages();
        pages.counts.serving += 1;
        for doubt in &request.ambiguities {
            *pages.counts.ambiguities.entry(doubt).or_default() += 1;
        }
        if pages.kept.len() == MOST_KEPT {
            pages.kept.pop_front();
        }
        pages.kept.push_back(request.clone());
        if let Some(nonce) = nonce
            && (pages.nonces.len() < MOST_NONCES || pages.nonces.contains_key(nonce))
        {
            let received = pages.nonces.entry(nonce.to_owned()).or_default();
            received.requests += 1;
            received.serving += 1;
        }
        Serving {
            books: Arc::clone(self),
            nonce: nonce.map(str::to_owned),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.pages().counts.clone()
    }

    pub(crate) fn received(&self, nonce: &str) -> Received {
        self.pages().nonces.get(nonce).copied().unwrap_or_default()
    }

    pub(crate) fn nonces(&self) -> Vec<(String, Received)> {
        let pages = self.pages();
        let all = pages.nonces.iter();
        all.map(|(nonce, received)| (nonce.clone(), *received))
            .collect()
    }

    pub(crate) fn take_kept(&self) -> Vec<Request> {
        std::mem::take(&mut self.pages().kept).into()
    }
}

/// A request that is being served.
pub(crate) struct Serving {
    books: Arc<Books>,
    nonce: Option<String>,
}

impl Serving {
    /// A good answer to it was sent to the end, which told of so many tokens, read and written.
    pub(crate) fn answered(&self, [input, output]: [u64; 2]) {
        let mut pages = self.books.pages();
        pages.counts.answers += 1;
        pages.counts.tokens_in += input;
        pages.counts.tokens_out += output;
        if let Some(received) = self
            .nonce
            .as_ref()
            .and_then(|nonce| pages.nonces.get_mut(nonce))
        {
            received.answers += 1;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut pages = self.books.pages();
        pages.counts.serving -= 1;
        if let Some(received) = self
            .nonce
            .as_ref()
            .and_then(|nonce| pages.nonces.get_mut(nonce))
        {
            received.serving -= 1;
        }
    }
}
