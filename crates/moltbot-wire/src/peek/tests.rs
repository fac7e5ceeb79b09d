use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["model", "stream", "max_tokens"];

fn words(body: &str) -> String {
    locate(body.as_bytes(), &NAMES)
        .unwrap_err()
        .message()
        .to_owned()
}

/// A body whose middle is larger than what the near search reads.
fn large(before: &str, after: &str) -> String {
    let text = "word ".repeat(4 * NEAR / 5);
    format!(r#"{{{before}"messages":[{{"content":"{text}"}}]{after}}}"#)
}

#[test]
fn broken_json_is_told_with_its_place() {
    assert_eq!(
        words(r#"{"model": "gpt-4o" "stream":true}"#),
        "the body is not valid JSON: expected `,` or `}` at line 1 column 20"
    );
    assert_eq!(
        words("{\n  \"model\": \"m\",\n  \"stream\": tru\n}"),
        "the body is not valid JSON: expected `true`, `false` or `null` at line 3 column 16"
    );
    assert_eq!(
        words(r#"{"model":"m","#),
        "the body is not valid JSON: expected a key in double quotes, but the text ends at line 1 column 14"
    );
    assert_eq!(
        words(r#"{"model":"m"} {}"#),
        "the body is not valid JSON: something follows the value at line 1 column 15"
    );
    assert_eq!(words(" \n"), "the body is empty: send a JSON object");
    assert_eq!(
        words(r#"["model"]"#),
        "the body is JSON but no object: send `{…}`"
    );
}

#[test]
fn what_is_no_text_is_refused_wherever_it_stands() {
    assert_eq!(
        words("{\"model\":\"a\nb\"}"),
        "the body is not valid JSON: a control character in a string must be escaped at line 1 column 12"
    );
    for (before, after) in [("", ""), ("\"model\":\"m\",", ",\"stream\":true")] {
        for stray in [&b"\0"[..], b"\x0b", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"] {
            let mut body = large(before, after).into_bytes();
            let middle = body.len() / 2;
            body.splice(middle..middle, stray.iter().copied());
            let error = locate(&body, &NAMES).unwrap_err();
            assert!(error.message().contains("not valid JSON"), "{error}");
        }
    }
}

#[test]
fn fm_50_a_key_given_twice_is_refused_by_name() {
    for body in [
        r#"{"model":"a","x":1,"model":"b"}"#.to_owned(),
        r#"{"model":"a","mod\u0065l":"b"}"#.to_owned(),
        large(r#""model":"a","#, r#","model":"b""#),
        large(r#""model":"a","mod\u0065l":"b","#, ""),
        large("", r#","model":"b","model":"c""#),
    ] {
        let error = locate(body.as_bytes(), &NAMES).unwrap_err();
        assert_eq!(error.field(), Some("model"), "{}", error.message());
        assert!(error.message().contains("gives `model` twice"));
    }
}

#[test]
fn the_near_search_finds_keys_at_both_ends_and_leaves_nested_ones() {
    let body = large(
        r#""model":"a","metadata":{"stream":1},"#,
        r#","x":{"max_tokens":[]},"stream" : true"#,
    );
    let found = near(body.as_bytes(), &NAMES).unwrap().unwrap();
    assert_eq!(Ok(&found), full(body.as_bytes(), &NAMES).as_ref());
    assert!(found[0].is_some() && found[1].is_some() && found[2].is_none());
}

#[test]
fn a_key_far_from_both_ends_is_left_to_the_full_scan() {
    let body = large("", &large(r#","model":"m","#, "")[1..]);
    let body = body.replace("}}", "}");
    assert_eq!(near(body.as_bytes(), &["model"]), None);
}

#[test]
fn names_in_texts_are_no_keys() {
    let quoted = r#"{\"model\":\"x\",\"stream\":true}"#.repeat(NEAR / 8);
    let body = format!(r#"{{"model":"m","prompt":"{quoted}","stop":"model"}}"#);
    let found = near(body.as_bytes(), &NAMES).unwrap().unwrap();
    assert_eq!(found[0].as_ref().unwrap().value, 9);
    assert_eq!(found[1], None);
}

#[test]
fn the_near_search_knows_keys_however_they_are_spelt() {
    let accents = r"\u00e9\u003c\u0026".repeat(NEAR);
    for (spelt, index) in [
        (r"mod\u0065l", 0),
        (r"\u006d\u006f\u0064\u0065\u006c", 0),
        (r"max\u005Ftokens", 2),
    ] {
        let body = format!(r#"{{"prompt":"{accents}","{spelt}":1}}"#);
        let found = near(body.as_bytes(), &NAMES).unwrap().unwrap();
        assert!(found[index].is_some(), "{spelt}");
    }
}

/// Members that tempt: our keys and nearly our keys, with values that hold them again.
fn member() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("model"),
        Just("stream"),
        Just("max_tokens"),
        Just("models"),
        Just(r#"x\"model"#),
        Just(r"mod\u0065l"),
        Just(r"\u00e9"),
        Just("messages"),
    ];
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("null".to_owned()),
        Just(r#""model""#.to_owned()),
        Just(r#""\"model\":\"x\",""#.to_owned()),
        Just(r#""}]{[\\""#.to_owned()),
        (1usize..9000).prop_map(|n| format!("\"{}\"", "x".repeat(n))),
        (1usize..2000).prop_map(|n| format!("\"{}\"", r#"\"a\" "#.repeat(n))),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|list| format!("[{}]", list.join(" , "))),
            prop::collection::vec(inner, 0..3).prop_map(|list| {
                let members: Vec<_> = list.iter().map(|v| format!(r#""model" :{v}"#)).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    (key, value, 0usize..3)
        .prop_map(|(key, value, blanks)| format!("\"{key}\"{}:{value}", " ".repeat(blanks)))
}

proptest! {
    #[test]
    fn the_near_search_gives_the_full_scans_answer(
        mut members in prop::collection::vec(member(), 0..9),
        middle in any::<prop::sample::Index>(),
        blanks in 0usize..9000,
    ) {
        let filler = format!("\"filler\":\"{}\"", "z".repeat(SMALL));
        members.insert(middle.index(members.len() + 1), filler);
        let body = format!("{{{}{}}}", members.join(","), " ".repeat(blanks));
        if let Some(answer) = near(body.as_bytes(), &NAMES) {
            match (answer, full(body.as_bytes(), &NAMES)) {
                // Both refuse; which of several doubled keys is named may differ.
                (Err(Refusal::Twice(..)), Err(Refusal::Twice(..))) => {}
                (near, full) => prop_assert_eq!(near, full),
            }
        }
    }

    #[test]
    fn any_bytes_get_an_answer(body in prop::collection::vec(any::<u8>(), 0..200), pad: bool) {
        let mut body = body;
        if pad {
            body.splice(0..0, [b' '; SMALL]);
        }
        let _ = locate(&body, &NAMES).map_err(|error| assert!(!error.message().is_empty()));
    }

    #[test]
    fn a_large_body_that_was_cut_is_refused(cut in 0usize..20_000) {
        let body = large(r#""model":"m","#, r#","stream":true"#);
        let cut = cut.min(body.len() - 1);
        let cut = &body.as_bytes()[..cut];
        // A cut behind a brace looks like an end: what stands between the ends is not checked.
        let refused = locate(cut, &NAMES).is_err();
        let ends = cut.ends_with(b"}");
        prop_assert!(refused || ends);
    }
}
