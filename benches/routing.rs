//! What it costs to know whom to ask: health, choice, and the whole path around an upstream that answers at once.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use moltbot_router::health::{Health, HealthKey, TargetHealth};
use moltbot_router::pick::{Candidate, LeastInflight, LeastLatency, Pick, Weighted};
use moltbot_router::tier::{Place, Role, Tiers};
use moltbot_router::{
    Budgets, FailoverSettings, Limit, Route, RouteSettings, RouteTarget, Table, Timeouts, again,
    deadline, failover, permits, times,
};
use moltbot_types::call::CallParts;
use moltbot_types::reply::{Ending, Hold};
use moltbot_types::{
    Call, CallError, CallService, Caller, Head, Layered, Next, Operation, Plain, Remembered, Reply,
    RequestId, boxed,
};
use moltbot_wire::OPENAI;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tower::ServiceBuilder;

fn target(health: &Health, index: usize) -> Arc<TargetHealth> {
    health.target(&HealthKey {
        address: format!("http://10.0.0.1:{index}").into(),
        model: "m".into(),
        credential: None,
    })
}

fn candidates(number: usize) -> Vec<Candidate> {
    let health = Health::default();
    (0..number)
        .map(|index| Candidate {
            index,
            health: target(&health, index),
            weight: 1.0,
        })
        .collect()
}

fn pick(c: &mut Criterion) {
    let strategies: [(&str, &dyn Pick); 3] = [
        ("weighted", &Weighted),
        ("least_latency", &LeastLatency),
        ("least_inflight", &LeastInflight),
    ];
    for (name, pick) in strategies {
        let mut group = c.benchmark_group(format!("pick/{name}"));
        for number in [1, 10, 100, 1_000] {
            let candidates = candidates(number);
            let now = Instant::now();
            group.bench_function(BenchmarkId::from_parameter(number), |b| {
                b.iter(|| pick.pick(black_box(&candidates), &[], now));
            });
        }
    }
    let two_tiers = candidates(1_000).into_iter().map(|candidate| {
        let role = match candidate.index % 2 {
            0 => Role::Primary,
            _ => Role::Standby,
        };
        (Place { region: None, role }, candidate)
    });
    let tiers = Tiers::new(two_tiers, None);
    c.bench_function("pick/two tiers of 500", |b| {
        b.iter(|| tiers.choose(&LeastLatency, &[], Instant::now()));
    });
}

fn health(c: &mut Criterion) {
    let health = target(&Health::default(), 0);
    c.bench_function("health/call", |b| {
        b.iter(|| {
            if let Ok(mut admission) = black_box(&health).admit() {
                admission.answered();
                admission.end(&Ending::Complete, None);
            }
        });
    });
    c.bench_function("health/cancelled call", |b| {
        b.iter(|| black_box(&health).admit().is_ok());
    });
}

/// An upstream that answers at once.
#[derive(Clone)]
struct Instantly;

impl Next for Instantly {
    async fn call(&self, _: Call) -> Result<Reply, CallError> {
        Ok(Reply::whole(&OPENAI, Bytes::from_static(b"{}")))
    }
}

fn path(targets: usize) -> CallService {
    let health = Health::default();
    let budgets: Arc<Budgets> = Arc::default();
    let targets = (0..targets)
        .map(|index| RouteTarget {
            id: format!("m/{index}").into(),
            place: Place::default(),
            weight: 1.0,
            credential: None,
            health: target(&health, index),
            service: boxed(
                ServiceBuilder::new()
                    .layer(Layered::layer(again(Arc::clone(&budgets))))
                    .layer(Layered::layer(permits(
                        Arc::new(Limit::new(64)),
                        Duration::from_millis(100),
                    )))
                    .layer(Layered::layer(times(Timeouts::default())))
                    .service(Instantly),
            ),
        })
        .collect();
    let table: Table = [Route::new("m", targets, RouteSettings::default())]
        .into_iter()
        .collect();
    let table = Arc::new(table);
    let end = failover(Arc::clone(&table), budgets, FailoverSettings::default());
    boxed(
        ServiceBuilder::new()
            .layer(Layered::layer(deadline(table)))
            .service(end),
    )
}

fn call() -> Call {
    Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller::anonymous(),
        head: Head {
            operation: Operation::Chat,
            model: "m".into(),
            model_at: None,
            stream: false,
            tools: false,
            user: None,
            max_tokens: None,
            limited: false,
            store: false,
            size: 0,
        },
        body: Bytes::new(),
        dialect: &OPENAI,
        headers: HeaderMap::new(),
        query: None,
        filtered: false,
        remembered: Remembered::default(),
        begun: Instant::now(),
        deadline: None,
        skills: moltbot_types::Skills::Off,
        trail: Arc::default(),
    })
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

async fn through(path: impl Next) {
    if let Ok(reply) = path.call(call()).await {
        let (_, _, body, mut holds) = reply.into_parts();
        black_box(body);
        holds.end(&Ending::Complete);
    }
}

fn whole_path(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("path");
    group.bench_function("none", |b| {
        b.to_async(&runtime).iter(|| through(Instantly));
    });
    for targets in [1, 3, 1_000] {
        let path = Plain::new(path(targets));
        group.bench_function(BenchmarkId::from_parameter(targets), |b| {
            b.to_async(&runtime).iter(|| through(path.clone()));
        });
    }
}

criterion_group!(benches, pick, health, whole_path);
criterion_main!(benches);
