use proptest::prelude::*;

use super::*;

fn head(body: &str) -> Head {
    peek(Operation::Chat, body.as_bytes()).unwrap()
}

fn refused(body: &str) -> (String, Option<String>) {
    let error = peek(Operation::Chat, body.as_bytes()).unwrap_err();
    assert_eq!(error.status(), 400);
    (error.message().to_owned(), error.field().map(str::to_owned))
}

fn default(name: &str, value: &str) -> Edit {
    Edit::Default {
        name: name.into(),
        value: value.into(),
    }
}

fn edited(body: &str, edits: &[Edit]) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    String::from_utf8(splice(&head(body), &bytes, edits).unwrap().join().to_vec()).unwrap()
}

#[test]
fn the_head_tells_the_facts() {
    let body = r#" {"model":"gpt\u002d4o","stream":true,"tools":[{}],"user":"u1","max_tokens":5,"store":true}"#;
    assert_eq!(
        head(body),
        Head {
            operation: Operation::Chat,
            model: "gpt-4o".into(),
            model_at: Some(10..23),
            stream: true,
            tools: true,
            user: Some("u1".into()),
            max_tokens: Some(5),
            limited: true,
            store: true,
            size: body.len(),
        }
    );
}

#[test]
fn what_is_absent_null_or_empty_is_none() {
    let bare = head(r#"{"model":"m"}"#);
    let empty = head(
        r#"{"model":"m","stream":null,"tools":[ ],"user":"","max_tokens":null,"store":false}"#,
    );
    assert_eq!(
        Head {
            size: bare.size,
            limited: false,
            ..empty
        },
        Head {
            model_at: Some(9..12),
            ..bare
        }
    );
}

#[test]
fn what_can_not_be_taken_names_its_field() {
    let field = |name: &str| Some(name.to_owned());
    for (body, want) in [
        (r#"{}"#, ("the body names no `model`", field("model"))),
        (
            r#"{"model":1}"#,
            ("`model` must be a string", field("model")),
        ),
        (
            r#"{"model":null}"#,
            ("`model` must be a string", field("model")),
        ),
        (r#"{"model":""}"#, ("`model` is empty", field("model"))),
        (
            r#"{"model":"a\ud800"}"#,
            (
                "`model` holds characters that can't be decoded",
                field("model"),
            ),
        ),
        (
            r#"{"model":"m","stream":"yes"}"#,
            ("`stream` must be true or false", field("stream")),
        ),
        (
            r#"{"model":"m","max_tokens":1e999}"#,
            (
                "`max_tokens` is a number beyond all bounds",
                field("max_tokens"),
            ),
        ),
    ] {
        assert_eq!(refused(body), (want.0.to_owned(), want.1), "{body}");
    }
}

#[test]
fn odd_values_elsewhere_are_left_to_the_upstream() {
    let long = "9".repeat(40);
    for value in [&long, "1e9", r#""\udc00""#, "-1", "{}"] {
        let found = head(&format!(
            r#"{{"model":"m","max_tokens":{value},"user":{value}}}"#
        ));
        assert_eq!((found.max_tokens, found.model.as_str()), (None, "m"));
    }
}

#[test]
fn embeddings_are_never_streamed_and_get_no_defaults() {
    let body = r#"{"model":"m","stream":true}"#;
    let head = peek(Operation::Embed, body.as_bytes()).unwrap();
    assert!(!head.stream);
    let bytes = Bytes::from_static(body.as_bytes());
    let same = splice(&head, &bytes, &[default("max_tokens", "1")]).unwrap();
    assert_eq!(same, bytes.into());
}

#[test]
fn a_default_yields_to_every_name_the_caller_used() {
    let edits = [
        default("max_tokens", "9"),
        default("stop_sequences", r#"["\n"]"#),
    ];
    assert_eq!(
        edited(r#"{"model":"m"}"#, &edits),
        r#"{"max_tokens":9,"stop":["\n"],"model":"m"}"#
    );
    for body in [
        r#"{"model":"m","max_completion_tokens":1,"stop":null}"#,
        r#"{"stop_sequences":[],"max_tokens":"many","model":"m"}"#,
    ] {
        assert_eq!(edited(body, &edits), body);
    }
}

#[test]
fn a_limit_of_another_thing_is_another_field() {
    assert_eq!(
        edited(
            r#"{"model":"m","max_tokens":1}"#,
            &[default("max_prompt_tokens", "5")]
        ),
        r#"{"max_prompt_tokens":5,"model":"m","max_tokens":1}"#
    );
}

#[test]
fn of_two_defaults_for_one_field_the_first_counts() {
    let edits = [default("temperature", "0"), default("temperature", "1")];
    assert_eq!(
        edited(r#"{"model":"m"}"#, &edits),
        r#"{"temperature":0,"model":"m"}"#
    );
}

#[test]
fn a_nested_key_does_not_hold_a_default_back() {
    let text = "x".repeat(20_000);
    let body =
        format!(r#"{{"model":"m","messages":[{{"content":"{text}"}}],"metadata":{{"stop":1}}}}"#);
    let out = edited(
        &body,
        &[default("stop", "[]"), Edit::Model(r#""n""#.into())],
    );
    assert_eq!(out, format!(r#"{{"stop":[],"model":"n",{}"#, &body[13..]));
}

proptest! {
    #[test]
    fn an_edit_moves_no_other_byte(
        model in "[a-z/:é-]{1,12}",
        text in "[ -~é]{0,60}",
        filler in 0usize..12_000,
        last: bool,
    ) {
        let text = serde_json::to_string(&format!("{text}{}", "y".repeat(filler))).unwrap();
        let body = if last {
            format!(r#"{{ "messages":[{{"role":"user","content":{text}}}], "model": "{model}" }}"#)
        } else {
            format!(r#"{{"model" :"{model}","messages":[{{"role":"user","content":{text}}}]}}"#)
        };
        let out = edited(&body, &[Edit::Model("\"up\"".into()), default("max_tokens", "7")]);
        let at = head(&out).model_at.unwrap();
        let mut back = out.clone();
        back.replace_range(at, &format!("\"{model}\""));
        prop_assert_eq!(back.replacen(r#""max_tokens":7,"#, "", 1), body);
        prop_assert_eq!(head(&out).max_tokens, Some(7));
    }
}
