//! What it costs to tell of a call, and to know who made it.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use moltbot_auth::{Authenticate, CallerKey, Keys, Open, Pepper};
use moltbot_telemetry::{Declared, LogSettings, Telemetry, TelemetrySettings};
use moltbot_types::record::Level;
use moltbot_types::{
    Attempt, CallRecord, Caller, ModelName, Outcome, RequestId, Served, Tried, Usage, Workspace,
};
use tokio::time::Instant;

fn attempt(target: &str, outcome: Outcome, level: Option<Level>) -> Attempt {
    Attempt {
        model: "primary-model".into(),
        target: target.into(),
        outcome,
        reason: level.is_none().then_some("timeout"),
        level,
        took: Duration::from_millis(40),
    }
}

fn tried(attempts: Vec<Attempt>) -> Tried {
    Tried {
        served: attempts.last().map(|last| Served {
            model: last.model.clone(),
            target: last.target.clone(),
        }),
        attempts,
        ..Tried::default()
    }
}

/// Calls between which the log is written and samples are collected, neither of which is measured:
/// no daemon sees half a million calls a second.
fn parts(calls: u64) -> impl Iterator<Item = u64> {
    const PART: u64 = 10_000;
    (0..calls.div_ceil(PART)).map(move |part| PART.min(calls - part * PART))
}

fn record(c: &mut Criterion) {
    let home = tempfile::tempdir().expect("a folder for the log");
    let settings = TelemetrySettings {
        log: LogSettings {
            dir: home.path().to_owned(),
            ..LogSettings::default()
        },
        ..TelemetrySettings::default()
    };
    let telemetry = Telemetry::new(&settings).expect("a log");
    telemetry.metrics().declare(&[Declared {
        workspace: Workspace::default(),
        models: vec![(
            "primary-model".into(),
            vec!["east-a".into(), "west-b".into()],
        )],
    }]);
    let caller = Caller::anonymous();
    let model = ModelName::from("primary-model");
    let one = tried(vec![attempt("east-a", Outcome::Ok, None)]);
    let two = tried(vec![
        attempt("east-a", Outcome::Timeout, None),
        attempt("west-b", Outcome::Ok, Some(Level::Region)),
    ]);
    let mut group = c.benchmark_group("record");
    for (name, tried) in [("one attempt", &one), ("failover", &two)] {
        let call = CallRecord {
            id: RequestId::new(),
            caller: Some(&caller),
            model: Some(&model),
            known: true,
            tried,
            status: 200,
            latency: Duration::from_millis(850),
            first_token: Some(Duration::from_millis(120)),
            overhead: Some(Duration::from_micros(35)),
            usage: Some(Usage::estimate(400, 900)),
            experiment: None,
            skill: None,
            cost_nano: 0,
            error: None,
        };
        group.bench_function(name, |b| {
            b.iter_custom(|calls| {
                let mut took = Duration::ZERO;
                for part in parts(calls) {
                    let begun = Instant::now();
                    for _ in 0..part {
                        telemetry.calls().begin();
                        telemetry.calls().record(black_box(&call));
                    }
                    took += begun.elapsed();
                    telemetry.metrics().upkeep();
                    telemetry.log().flush(Duration::from_secs(60));
                }
                took
            });
        });
    }
    group.finish();
    assert_eq!(
        telemetry.log().dropped(),
        0,
        "lines were dropped, not written"
    );
}

fn authenticate(c: &mut Criterion) {
    let key = CallerKey::generate().expect("random bytes");
    let keys = Keys::new(Pepper::random().expect("random bytes"));
    keys.set_home(Some(&key));
    let mut headers = HeaderMap::new();
    let value = format!("Bearer {}", key.expose());
    headers.insert("authorization", value.parse().expect("a header"));
    headers.insert("host", "127.0.0.1:18789".parse().expect("a header"));
    let mut group = c.benchmark_group("authenticate");
    group.bench_function("key", |b| {
        b.iter(|| keys.authenticate(black_box(&headers), None));
    });
    let open = Open::new(["127.0.0.1:18789".parse().expect("an address")]);
    group.bench_function("open", |b| {
        b.iter(|| open.authenticate(black_box(&headers), None));
    });
    group.finish();
}

criterion_group!(benches, record, authenticate);
criterion_main!(benches);
