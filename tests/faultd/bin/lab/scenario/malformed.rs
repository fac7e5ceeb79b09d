//! R18, bad input: a corpus of malformed and ambiguous requests through the daemon to a strict recorder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moltbot_faultd::{Request, Server};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::corpus::{Case, Expect, corpus};
use crate::daemon::Daemon;
use crate::figures::{Row, Tally};
use crate::lab::{Failure, Lab, Size};
use crate::load::Load;
use crate::raw::{self, Reply};

/// An answer, or the end of the connection, comes within this time: a body that stalls may take 30 s.
const PATIENCE: Duration = Duration::from_secs(40);
/// A second answer would come within this time.
const QUIET: Duration = Duration::from_millis(60);
const AT_ONCE: usize = 32;
/// Cases after which the recorder is read: it keeps the last 256 requests.
const BATCH: usize = 128;

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let upstreams = lab.good(["a"]).await?;
    let yaml = format!(
        "
models:
  - name: lab
    provider: openai
    auth: {{ type: none }}
    targets: [ {{ name: a, url: \"{}\" }} ]
",
        upstreams[0].url()
    );
    let mut daemon = Daemon::start_with(lab, "{ header_timeout: 2s, body: 1MiB }", &yaml).await?;
    let begun = Instant::now();
    let mut cases = corpus(daemon.address(), lab.pick(1, 2, 8), lab.seed);
    if lab.size == Size::Quick {
        cases.retain(|case| !case.is_endless);
    }
    // Those that are waited for go together.
    cases.sort_by_key(|case| case.is_endless);
    let count = cases.len();
    let mut findings = Findings::default();
    for batch in cases.chunks(BATCH) {
        judge(&daemon, &upstreams[0], batch, &mut findings).await?;
    }
    let ambiguities = upstreams[0].counts().ambiguities;

    // Whoever comes afterwards is served.
    let answers = Load::lasting("lab", 200, 2)
        .run(lab, &daemon.client)
        .await?;
    let alive = daemon.is_alive();
    let mut row = Row::new(
        "R18 bad input",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    row.amplification = None; // the upstream's counts are of the corpus
    row.success_at_least(100.0);
    row.fact(format!("{count} cases; {}", findings.told()));
    row.target(count >= 500, "≥ 500 cases");
    row.target(alive, "the daemon lives");
    row.target(
        ambiguities.is_empty(),
        format!("nothing ambiguous forwarded, not {ambiguities:?}"),
    );
    for (what, cases) in &findings.0 {
        let some: Vec<_> = cases.iter().take(3).map(String::as_str).collect();
        row.target(
            cases.is_empty(),
            format!("{what}: {} ({}, …)", cases.len(), some.join(", ")),
        );
    }
    Ok(vec![row])
}

/// What was wrong, with the names of the cases.
#[derive(Default)]
struct Findings(BTreeMap<&'static str, Vec<String>>);

impl Findings {
    fn note(&mut self, what: &'static str, case: &Case, detail: impl std::fmt::Display) {
        let detail = format!("`{}`: {detail}", case.name);
        eprintln!("  {what}, {detail}");
        self.0.entry(what).or_default().push(detail);
    }

    fn told(&self) -> String {
        match self.0.values().map(Vec::len).sum::<usize>() {
            0 => "all as they should be".to_owned(),
            wrong => format!("{wrong} findings"),
        }
    }
}

async fn judge(
    daemon: &Daemon,
    upstream: &Server,
    cases: &[Case],
    findings: &mut Findings,
) -> Result<(), Failure> {
    upstream.take_requests();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut exchanges = JoinSet::new();
    for (at, case) in cases.iter().enumerate() {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let (bytes, address) = (case.bytes.clone(), daemon.address());
        exchanges.spawn(async move {
            let reply = raw::exchange(address, &bytes, PATIENCE, QUIET).await;
            drop(permit);
            (at, reply)
        });
    }
    let mut replies = BTreeMap::new();
    while let Some(done) = exchanges.join_next().await {
        let (at, reply) = done?;
        replies.insert(at, reply);
    }
    let forwarded = upstream.take_requests();
    for (at, case) in cases.iter().enumerate() {
        let own: Vec<_> = forwarded
            .iter()
            .filter(|request| carries(request, &case.nonce))
            .collect();
        match replies.get(&at) {
            Some(Ok(reply)) => look(case, reply, &own, findings),
            Some(Err(error)) => findings.note("no hang", case, error),
            None => {}
        }
    }
    Ok(())
}

fn carries(request: &Request, nonce: &str) -> bool {
    let needle = format!("{nonce}.");
    memchr::memmem::find(&request.body, needle.as_bytes()).is_some()
        || memchr::memmem::find(&request.head, needle.as_bytes()).is_some()
}

/// Compares what came back and what went on with what may be.
fn look(case: &Case, reply: &Reply, forwarded: &[&Request], findings: &mut Findings) {
    let statuses = &reply.statuses;
    if statuses.iter().any(|status| *status >= 500) {
        findings.note("no 5xx for a caller's fault", case, format!("{statuses:?}"));
    }
    let first = statuses.first().copied();
    match (case.expect, first) {
        (_, None) if !reply.closed => findings.note("no hang", case, "no answer and no end"),
        (Expect::Refused | Expect::Either, None) if case.may_be_closed => {}
        (_, None) => findings.note("every request answered", case, "closed without an answer"),
        (Expect::Refused, Some(200..=399)) => {
            findings.note("refused", case, format!("{statuses:?}"))
        }
        (Expect::Served, Some(status)) if status != 200 => findings.note("served", case, status),
        _ => {}
    }
    if case.expect == Expect::Refused && !forwarded.is_empty() {
        findings.note(
            "nothing of a refused request forwarded",
            case,
            forwarded.len(),
        );
    }
    if forwarded.len() > 1 {
        findings.note("forwarded once", case, forwarded.len());
    }
    if let (Some(sent), Some(request)) = (&case.body, forwarded.first())
        && !is_same(sent, &request.body)
    {
        findings.note("forwarded as it came", case, "another body");
    }
}

/// Whether the upstream got what the caller sent: but for the model's name, which the gateway replaces.
fn is_same(sent: &[u8], got: &[u8]) -> bool {
    let read = |bytes: &[u8]| -> Option<Value> {
        let mut value: Value = serde_json::from_slice(bytes).ok()?;
        value.as_object_mut()?.remove("model");
        Some(value)
    };
    match (read(sent), read(got)) {
        (Some(sent), Some(got)) => sent == got,
        // What this reader cannot decode, such as lone surrogates, is compared as bytes behind the model's name.
        _ => sent == got,
    }
}
