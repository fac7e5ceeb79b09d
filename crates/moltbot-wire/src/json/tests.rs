use proptest::prelude::*;

use super::*;

fn whole(text: &[u8]) -> Result<(), Broken> {
    let end = skip_value(text, skip_blanks(text, 0))?;
    match skip_blanks(text, end) {
        end if end == text.len() => Ok(()),
        end => Err(Broken::new(end, "something follows")),
    }
}

#[test]
fn fm_50_deep_nesting_is_refused_where_it_becomes_too_deep() {
    let fits = format!("{}1{}", "[".repeat(512), "]".repeat(512));
    assert_eq!(whole(fits.as_bytes()), Ok(()));
    let deep = "{\"a\":".repeat(10_000);
    assert_eq!(whole(deep.as_bytes()).unwrap_err().at, 512 * 5);
}

#[test]
fn numbers_of_any_size_are_numbers() {
    for number in ["1e999", "-0", "0.5E-7", &"9".repeat(40)] {
        assert_eq!(whole(number.as_bytes()), Ok(()), "{number}");
    }
    for broken in ["01", "-", "1.", "1e", "+1", ".5", "NaN"] {
        assert!(whole(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn lone_surrogates_pass_but_are_not_decoded() {
    assert_eq!(whole(br#""a\ud800b""#), Ok(()));
    assert_eq!(decode(br#""a\ud800b""#), None);
    assert_eq!(decode(br#""\ud83d\ude00""#).unwrap(), "\u{1F600}");
}

#[test]
fn a_column_counts_characters() {
    assert_eq!(line_column("{\n \"é\" x".as_bytes(), 8), (2, 6));
}

#[test]
fn keys_are_the_same_however_they_are_spelt() {
    let names = ["user", "model"];
    assert_eq!(which(br#""mod\u0065l""#, &names), Some(1));
    assert_eq!(which(br#""model""#, &names), Some(1));
    assert_eq!(which(br#""models""#, &names), None);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((".{0,6}", inner), 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn all_valid_json_is_taken_and_no_prefix_of_an_object(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(whole(text.as_bytes()), Ok(()));
        let wrapped = format!("{{\"a\":{text}}}");
        for end in 0..wrapped.len() {
            let broken = whole(&wrapped.as_bytes()[..end]).unwrap_err();
            prop_assert_eq!(broken.at, end);
        }
    }

    #[test]
    fn what_is_taken_is_what_a_reference_parser_takes(text in r#"[\[\]{}",:0-9.eE+\-a-z\\ \n]{0,24}"#) {
        let ours = whole(text.as_bytes()).is_ok();
        let reference = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        // Control characters within strings are left to the upstream.
        prop_assert!(ours == reference || text.contains('\n'), "{text:?}: {ours}");
    }
}
