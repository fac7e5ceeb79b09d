//! How fast filters look at ordinary text, of which nearly all texts consist.

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use moltbot_filters::{Engine, Name, Settings, WordSettings};
use moltbot_types::filter::{Action, Direction, Filter};

const ORDINARY: &str = include_str!("../tests/corpus/ordinary.txt");
const SIZE: usize = 256 * 1024;

fn engine() -> Engine {
    let words = (0..1000).map(|number| match number % 2 {
        0 => format!("禁词{number}"),
        _ => format!("badword{number}"),
    });
    let settings = Settings {
        pii: Some(Action::Count),
        secrets: Some(Action::Count),
        words: Some(WordSettings {
            words: words.collect(),
            action: Action::Count,
        }),
        safety: None,
    };
    Engine::new(&settings).expect("these filters can be built")
}

fn whole(c: &mut Criterion) {
    let engine = engine();
    let prose = |line: &&str| line.len() > 40 && !line.contains(['{', '=', '(', '<']);
    let lines = ORDINARY.lines().filter(prose);
    let (chinese, english): (Vec<&str>, Vec<&str>) = lines.partition(|line| !line.is_ascii());
    let all: Vec<&str> = ORDINARY.lines().collect();
    let texts = [
        ("chinese", chinese),
        ("english", english),
        ("mixed with code and numbers", all),
    ];
    let sets: [(&str, &[Name]); 4] = [
        ("pii", &[Name::Pii]),
        ("secrets", &[Name::Secrets]),
        ("words", &[Name::Words]),
        ("pii and secrets", &[Name::Pii, Name::Secrets]),
    ];
    let mut group = c.benchmark_group("whole");
    group.throughput(Throughput::Bytes(SIZE as u64));
    for (kind, lines) in &texts {
        let text = lines.join("\n").repeat(100);
        let text = [Cow::Borrowed(&text[..text.floor_char_boundary(SIZE)])];
        for (filters, names) in sets {
            let chain = engine.chain(names, &[]);
            group.bench_function(format!("{filters}, {kind}"), |b| {
                b.iter(|| black_box(chain.screen(Direction::Inbound, &text).now_or_never()));
            });
        }
    }
    group.finish();
}

fn streamed(c: &mut Criterion) {
    let engine = engine();
    let chain = engine.chain(&[], &[Name::Pii, Name::Secrets]);
    let words: Vec<&str> = ORDINARY.split_inclusive(' ').take(1000).collect();
    c.bench_function("streamed, 1000 pieces", |b| {
        b.iter(|| {
            let mut screen = chain.begin(Direction::Outbound);
            for word in &words {
                black_box(screen.push(word).now_or_never());
            }
            black_box(screen.finish().now_or_never());
        });
    });
}

criterion_group!(benches, whole, streamed);
criterion_main!(benches);
