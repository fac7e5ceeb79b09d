//! JSON that is none, or none that can be answered: hand-made, and by mutation of a good body.

use serde::de::IgnoredAny;

use super::{Expect, Maker};
use crate::lab::Dice;
use Expect::{Either, Refused};

/// Bodies as a whole; `{id}` keeps the nonce.
#[rustfmt::skip] // a row a case
const BODIES: &[(&str, Expect, &str)] = &[
    ("empty", Refused, ""),
    ("blanks", Refused, "   "),
    ("null", Refused, "null"),
    ("a number", Refused, "7"),
    ("a string", Refused, "\"{id}\""),
    ("a list", Refused, "[{\"model\":\"lab\",\"id\":\"{id}\"}]"),
    ("an empty object", Refused, "{}"),
    ("no messages", Either, "{\"model\":\"lab\",\"id\":\"{id}\"}"),
    ("no model", Refused, "{\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("model twice", Refused, "{\"model\":\"lab\",\"model\":\"lab\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("model twice, once escaped", Refused, "{\"model\":\"lab\",\"\\u006dodel\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("stream twice", Refused, "{\"model\":\"lab\",\"stream\":false,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("messages twice", Either, "{\"model\":\"lab\",\"messages\":[],\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("an unknown model", Refused, "{\"model\":\"nobody\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("an empty model", Refused, "{\"model\":\"\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("a model in capitals", Refused, "{\"model\":\"LAB\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("a model with NUL", Refused, "{\"model\":\"lab\\u0000\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("an experiment that is none", Refused, "{\"model\":\"experiment:none\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("two values", Refused, "{\"model\":\"lab\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}{}"),
    ("a comment", Refused, "{\"model\":\"lab\",/**/\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("a trailing comma", Refused, "{\"model\":\"lab\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}],}"),
    ("single quotes", Refused, "{'model':'lab','messages':[{'role':'user','content':'{id}'}]}"),
    ("NaN", Refused, "{\"model\":\"lab\",\"temperature\":NaN,\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("1e999", Either, "{\"model\":\"lab\",\"temperature\":1e999,\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("40 digits", Either, "{\"model\":\"lab\",\"seed\":1234567890123456789012345678901234567890,\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("a lone surrogate", Either, "{\"model\":\"lab\",\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800 {id}\"}]}"),
    ("a lone surrogate in the model", Refused, "{\"model\":\"lab\\ud800\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("a line end in a string", Refused, "{\"model\":\"lab\",\"messages\":[{\"role\":\"user\",\"content\":\"a\nb {id}\"}]}"),
    ("a BOM", Either, "\u{feff}{\"model\":\"lab\",\"messages\":[{\"role\":\"user\",\"content\":\"{id}\"}]}"),
    ("a form", Refused, "model=lab&messages={id}"),
    ("XML", Refused, "<model>lab</model><id>{id}</id>"),
];

/// Values that a field does not expect.
const VALUES: &[&str] = &[
    "null",
    "true",
    "-1",
    "1e400",
    "\"x\"",
    "[]",
    "{}",
    "[[[]]]",
    "\"\"",
    "99999999999999999999",
];
/// Fields that are read on the way, or might be.
const FIELDS: &[&str] = &[
    "stream",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "temperature",
    "user",
    "n",
    "store",
    "stream_options",
    "metadata",
];

/// Tokens that break JSON wherever they stand outside of a string.
const TOKENS: &[&str] = &[
    "\0", "{", "}", "[", "]", ",", ":", "\"", "\\", "\u{feff}", "x", "\u{b}",
];

pub(super) fn add(maker: &mut Maker, density: usize, seed: u64) {
    for (name, expect, body) in BODIES {
        let body = body.replace("{id}", &format!("nonce:{0} id:{0}.", maker.nonce()));
        maker.add_body(*name, *expect, body.into_bytes());
    }
    for field in FIELDS {
        for value in VALUES {
            let good = maker.body();
            let body = match *field {
                "messages" => format!(
                    "{{\"model\":\"lab\",\"messages\":{value},\"id\":\"{}.\"}}",
                    maker.nonce()
                ),
                field => good.replacen('{', &format!("{{\"{field}\":{value},"), 1),
            };
            maker.add_body(format!("{field}: {value}"), Either, body.into_bytes());
        }
    }
    for value in VALUES.iter().filter(|value| !value.starts_with('"')) {
        let body = maker.body().replacen("\"lab\"", value, 1);
        maker.add_body(format!("model: {value}"), Refused, body.into_bytes());
    }
    deep(maker);
    mutations(maker, density, seed);
}

fn deep(maker: &mut Maker) {
    for depth in [100, 1_000, 10_000, 200_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = maker
                .body()
                .replacen('{', &format!("{{\"metadata\":{value},"), 1);
            let expect = if body.len() > 1 << 20 {
                Refused
            } else {
                Either
            };
            maker.add_body(
                format!("{depth} levels of {open}"),
                expect,
                body.into_bytes(),
            );
        }
        let open = format!(
            "{{\"id\":\"{}.\",\"model\":\"lab\",\"messages\":{}",
            maker.nonce(),
            "[".repeat(depth)
        );
        maker.add_body(
            format!("{depth} levels that are not closed"),
            Refused,
            open.into_bytes(),
        );
    }
    for (name, bytes) in [
        ("a stray byte", &b"\xff"[..]),
        ("an overlong slash", b"\xc0\xaf"),
        ("a surrogate in UTF-8", b"\xed\xa0\x80"),
    ] {
        let body = maker.body();
        let at = body.find("nonce:").unwrap_or_default();
        let mut body = body.into_bytes();
        body.splice(at..at, bytes.iter().copied());
        maker.add_body(name, Refused, body);
    }
    let wide: Vec<u8> = maker
        .body()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    maker.add_body("UTF-16", Refused, wide);
}

/// Cuts and insertions, at places that the seed decides. Where the result is JSON all the same, it may be served.
fn mutations(maker: &mut Maker, density: usize, seed: u64) {
    let mut dice = Dice::new(seed);
    for _ in 0..60 * density {
        let body = maker.body();
        let end = 1 + dice.below(body.len() as u64 - 1) as usize;
        let cut = body.as_bytes()[..end].to_vec();
        maker.add_body(format!("cut at {end}"), Refused, cut);
    }
    for token in TOKENS {
        for _ in 0..8 * density {
            let mut body = maker.body();
            let at = dice.below(body.len() as u64 + 1) as usize;
            body.insert_str(at, token);
            let body = body.into_bytes();
            let expect = match serde_json::from_slice::<IgnoredAny>(&body) {
                Ok(_) => Either,
                Err(_) => Refused,
            };
            maker.add_body(format!("{token:?} at {at}"), expect, body);
        }
    }
}
