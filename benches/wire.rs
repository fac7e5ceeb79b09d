//! What the wire costs a call: reading the facts of a body, splicing it, marking frames.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use moltbot_types::{Dialect, Edit, Operation};
use moltbot_wire::OPENAI;

const SIZES: [(&str, usize); 3] = [("1 KB", 1 << 10), ("64 KB", 1 << 16), ("1 MB", 1 << 20)];

/// A text of everyday prose, and one of JSON within a string, where every second word is quoted.
const TEXTS: [(&str, &str); 2] = [
    (
        "prose",
        "The quick brown fox jumps over the lazy dog, again. ",
    ),
    (
        "quotes",
        r#"{\"name\": \"fox\",\n \"jumps\": [\"over\", \"dog\"]} "#,
    ),
];

/// A chat body of about `size` bytes, its messages in the middle.
fn body(size: usize, text: &str) -> Bytes {
    let text = text.repeat(size / text.len());
    format!(
        r#"{{"model":"primary-model","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{text}"}}],"temperature":0.2,"stream":true,"user":"u-17"}}"#
    )
    .into()
}

fn peek(c: &mut Criterion) {
    let mut group = c.benchmark_group("peek");
    for (size_name, size) in SIZES {
        for (kind, text) in TEXTS {
            let body = body(size, text);
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_with_input(BenchmarkId::new(kind, size_name), &body, |b, body| {
                b.iter(|| OPENAI.peek(Operation::Chat, black_box(body)));
            });
        }
    }
    // A key far from both ends makes a body that needs the near search and the full scan.
    let far = body(1 << 16, TEXTS[1].1);
    let half = String::from_utf8_lossy(&far).replace(
        r#""messages""#,
        &format!(
            r#""metadata":{{"x":"{}","user":1}},"messages""#,
            "y".repeat(1 << 14)
        ),
    );
    group.bench_function("quotes/64 KB, a far key", |b| {
        b.iter(|| OPENAI.peek(Operation::Chat, black_box(half.as_bytes())));
    });
    group.finish();
}

fn splice(c: &mut Criterion) {
    let mut group = c.benchmark_group("splice");
    let model = Edit::Model(r#""gpt-4o-mini""#.into());
    let default = |name: &str, value: &str| Edit::Default {
        name: name.into(),
        value: value.into(),
    };
    let both = [
        model.clone(),
        default("max_tokens", "2048"),
        default("stop_sequences", r#"["\n"]"#),
    ];
    for (size_name, size) in SIZES {
        let body = body(size, TEXTS[0].1);
        let Ok(head) = OPENAI.peek(Operation::Chat, &body) else {
            continue;
        };
        for (name, edits) in [("model", &both[..1]), ("model and defaults", &both[..])] {
            group.bench_with_input(BenchmarkId::new(name, size_name), &body, |b, body| {
                b.iter(|| OPENAI.splice(&head, black_box(body), edits));
            });
        }
    }
    group.finish();
}

/// A stream of a hundred content frames; `tail` stands behind the choices of each.
fn frames(tail: impl Fn(usize) -> String) -> Bytes {
    (0..100)
        .map(|i| {
            format!(
                "data: {{\"id\":\"chatcmpl-7f3a\",\"object\":\"chat.completion.chunk\",\"created\":1730000000,\"model\":\"gpt-4o-mini\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{i}\"}},\"logprobs\":null,\"finish_reason\":null}}]{}}}\n\n",
                tail(i)
            )
        })
        .collect::<String>()
        .into()
}

fn stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("100 frames");
    group.throughput(Throughput::Elements(100));
    let alike = frames(|_| String::new());
    let padded = frames(|i| format!(",\"obfuscation\":\"{}\"", "x".repeat(i % 9)));
    for (name, text) in [("alike", &alike), ("alike but for padding", &padded)] {
        for (pieces, size) in [("one piece", text.len()), ("pieces of 1,400 bytes", 1400)] {
            group.bench_function(BenchmarkId::new(name, pieces), |b| {
                b.iter(|| {
                    let mut stream = OPENAI.splitter(Operation::Chat, 1 << 20);
                    let mut at = 0;
                    while at < text.len() {
                        let end = text.len().min(at + size);
                        let _ = black_box(stream.push(text.slice(at..end)));
                        at = end;
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, peek, splice, stream);
criterion_main!(benches);
