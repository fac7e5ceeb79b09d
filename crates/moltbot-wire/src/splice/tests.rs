use proptest::prelude::*;

use super::*;

fn apply(splice: &Splice<'_>, body: &str) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    String::from_utf8(splice.apply(&body).unwrap().join().to_vec()).unwrap()
}

#[test]
fn an_empty_object_gets_no_comma_too_many() {
    let splice = Splice {
        replace: None,
        insert: vec![("a", "1"), ("b", "[2]")],
    };
    assert_eq!(apply(&splice, "{}"), r#"{"a":1,"b":[2]}"#);
    assert_eq!(apply(&splice, " { }"), r#" {"a":1,"b":[2] }"#);
    assert_eq!(apply(&splice, r#"{"c":3}"#), r#"{"a":1,"b":[2],"c":3}"#);
}

#[test]
fn without_a_change_the_body_is_the_one_it_was() {
    let body = Bytes::from(vec![b'{', b'}']);
    let same = Splice::default().apply(&body).unwrap().join();
    assert_eq!(same.as_ptr(), body.as_ptr());
}

#[test]
fn what_stays_of_a_long_body_is_not_copied() {
    let body = Bytes::from(format!(
        r#"{{"prompt":"{}","model":"m"}}"#,
        "x".repeat(SHORT)
    ));
    let at = body.len() - 4..body.len() - 1;
    let splice = Splice {
        replace: Some((at, "\"other\"")),
        insert: vec![("a", "1")],
    };
    let pieces: Vec<_> = splice.apply(&body).unwrap().into_iter().collect();
    let [first, prompt, model, last] = pieces.as_slice() else {
        panic!("{} pieces", pieces.len());
    };
    assert_eq!((first, model), (&"{\"a\":1,".into(), &"\"other\"".into()));
    assert_eq!(prompt.as_ptr(), body[1..].as_ptr());
    assert_eq!(last.as_ptr(), body[body.len() - 1..].as_ptr());
}

#[test]
fn a_range_outside_the_object_is_refused() {
    let body = Bytes::from_static(b"{}");
    for range in [0..1, 1..9, 5..6] {
        let splice = Splice {
            replace: Some((range, "x")),
            insert: Vec::new(),
        };
        assert!(splice.apply(&body).is_err());
    }
}

proptest! {
    #[test]
    fn taking_the_changes_back_gives_the_body_byte_for_byte(
        before in "[ \n]{0,3}",
        model in "[a-z]{1,8}",
        prompt in "[a-zé ]{0,40}",
        times in prop_oneof![Just(1_usize), Just(300)],
        value in "[1-9][0-9]{0,3}",
    ) {
        let prompt = prompt.repeat(times);
        let body = format!("{before}{{\"prompt\": \"{prompt}\" ,\"model\":\"{model}\"}} ");
        let from = body.rfind(&format!("\"{model}\"")).unwrap();
        let splice = Splice {
            replace: Some((from..from + model.len() + 2, "\"other\"")),
            insert: vec![("max_tokens", &value)],
        };
        let edited = apply(&splice, &body);
        serde_json::from_str::<serde_json::Value>(&edited).unwrap();
        let inserted = format!("\"max_tokens\":{value},");
        let back = edited
            .replacen(&inserted, "", 1)
            .replacen("\"other\"", &format!("\"{model}\""), 1);
        prop_assert_eq!(back, body);
    }
}
