//! What it costs to pick an arm, to take an outcome and judge, and to report over a million rows.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use moltbot_abtest::assign::{Salt, Split};
use moltbot_abtest::metric::named;
use moltbot_abtest::stats::cluster::{Cluster, Unit};
use moltbot_abtest::verdict::{ALPHA, Judge};
use moltbot_abtest::{By, Experiment, Exposure, Guard, Memory, Outcome, Row, Settings};
use moltbot_types::{RequestId, Usage, Workspace};

fn settings(sample_size: u64) -> Settings {
    Settings {
        name: "model-comparison".to_owned(),
        models: vec!["model-a".into(), "model-b".into()],
        sample_size,
        guards: vec![Guard {
            metric: "latency".to_owned(),
            margin: 500.0,
        }],
        ..Settings::default()
    }
}

fn outcome(row: &Exposure, index: u64) -> Outcome {
    Outcome {
        request: RequestId::new(),
        unit: row.unit,
        success: !index.is_multiple_of(11),
        latency: Duration::from_micros(200_000 + index * 7919 % 900_000),
        first_token: Some(Duration::from_millis(80)),
        usage: Usage {
            input: 400,
            output: 90,
            estimated: false,
        },
        cost: 0.0021,
        fallback: None,
    }
}

fn assign(c: &mut Criterion) {
    let salt = Salt::new(&Workspace::default(), "model-comparison");
    let split = Split::new(&[1.0, 1.0]);
    c.bench_function("assign a user", |b| {
        b.iter(|| split.arm(salt.user(black_box("user-2718281828"))));
    });
    let test = Experiment::open(settings(1000), Arc::new(Memory::default())).expect("settings");
    let id = RequestId::new();
    c.bench_function("pick the arm of a known user", |b| {
        b.iter(|| test.pick(By::Name, Some(black_box("ann")), id, |_| true));
    });
}

fn judge(c: &mut Criterion) {
    let judge = Judge::new(&*named("success"), None, 20_000.0);
    let mut arms = [Cluster::default(); 2];
    for index in 0..20_000_usize {
        let sum = f64::from(u8::from(!index.is_multiple_of(11)));
        arms[index % 2].replace(Unit::default(), Unit { count: 1.0, sum });
    }
    c.bench_function("take a value and judge", |b| {
        b.iter(|| {
            arms[0].replace(
                Unit::default(),
                Unit {
                    count: 1.0,
                    sum: 1.0,
                },
            );
            judge.estimate(&[(arms[0], arms[1])], ALPHA)
        });
    });
    let test =
        Experiment::open(settings(1_000_000), Arc::new(Memory::default())).expect("settings");
    let mut user = 0_u64;
    c.bench_function("pick, record and watch a guard", |b| {
        b.iter(|| {
            user += 1;
            let name = (user % 5000).to_string();
            let pick = test
                .pick(By::Name, Some(&name), RequestId::new(), |_| true)
                .expect("memory");
            let row = Exposure {
                unit: pick.unit.expect("a unit"),
                arm: 0,
                epoch: 0,
            };
            test.record(outcome(&row, user)).expect("memory");
        });
    });
}

fn report(c: &mut Criterion) {
    const UNITS: u64 = 500_000; // one exposure and one outcome each: a million rows
    let settings = settings(UNITS);
    let salt = Salt::new(&settings.workspace, &settings.name);
    let split = Split::new(&[1.0, 1.0]);
    let mut rows = Vec::new();
    for user in 0..UNITS {
        let unit = salt.user(&user.to_string());
        let arm = split.arm(unit) as u16;
        let exposure = Exposure {
            unit,
            arm,
            epoch: 0,
        };
        rows.push(Row::Exposure(exposure));
        rows.push(Row::Outcome(outcome(&exposure, user)));
    }
    let store = Arc::new(Memory::with(rows));
    let mut group = c.benchmark_group("a million rows");
    group.sample_size(10);
    let open = || Experiment::open(settings.clone(), store.clone()).expect("rows");
    group.bench_function("recompute and report", |b| b.iter(|| open().report()));
    let test = open();
    group.bench_function("report", |b| {
        b.iter_batched(|| (), |()| test.report(), BatchSize::SmallInput)
    });
    group.bench_function("page", |b| b.iter(|| test.html()));
    group.finish();
}

criterion_group!(benches, assign, judge, report);
criterion_main!(benches);
