//! Bodies in a form that is equal where they mean the same: keys in order, no blanks, one spelling of a string.

use std::borrow::Cow;

use crate::json::{decode, each_element, each_member};

/// Deepest nesting; each level is walked over once more than the one around it.
const DEPTH: usize = 32;

/// The members of the object `body` in order, but for those that `skip` names. Numbers keep their spelling, and of a key that
/// is given twice both values count. `None` where the body is broken or nested too deeply.
pub(crate) fn canonical(body: &[u8], skip: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    object(body, &skip, DEPTH, &mut out)?;
    Some(out)
}

fn object(text: &[u8], skip: &dyn Fn(&str) -> bool, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut members: Vec<(Cow<'_, str>, &[u8])> = Vec::new();
    each_member(text, |key, value| {
        let key = String::from_utf8_lossy(key).into_owned();
        if !skip(&key) {
            members.push((key.into(), value));
        }
    })
    .ok()?;
    members.sort_by(|(left, _), (right, _)| left.cmp(right));
    out.push(b'{');
    for (key, text) in members {
        string(&key, out);
        out.push(b':');
        value(text, depth, out)?;
        out.push(b',');
    }
    out.push(b'}');
    Some(())
}

fn value(text: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    match text.first()? {
        b'{' => object(text, &|_| false, depth.checked_sub(1)?, out),
        b'[' => {
            let depth = depth.checked_sub(1)?;
            let mut whole = Some(());
            out.push(b'[');
            each_element(text, |element| {
                whole = whole.and_then(|()| value(element, depth, out));
                out.push(b',');
            })
            .ok()?;
            out.push(b']');
            whole
        }
        b'"' => {
            match decode(text) {
                Some(text) => string(&text, out),
                None => out.extend_from_slice(text),
            }
            Some(())
        }
        _ => {
            out.extend_from_slice(text);
            Some(())
        }
    }
}

/// A string with its length before it: no text can pretend to be the rest of a body.
fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(body: &str) -> Option<Vec<u8>> {
        canonical(body.as_bytes(), |key| key == "user")
    }

    #[test]
    fn order_blanks_and_spelling_do_not_matter_and_all_else_does() {
        let one = of(r#"{"a": [1, {"x": "\u4f60", "y": null}], "b": 2, "user": "u"}"#);
        assert_eq!(one, of("{\"b\":2,\n\"a\":[1,{\"y\":null,\"x\":\"你\"}]}"));
        for other in [
            r#"{"a":[1,{"y":null,"x":"你"}],"b":3}"#,
            r#"{"a":[{"y":null,"x":"你"},1],"b":2}"#,
            r#"{"a":[1,{"y":null,"x":"你"}],"b":2,"c":0}"#,
            r#"{"a":[1,{"y":null,"x":"你","user":"u"}],"b":2}"#,
            r#"{"a":[1,{"y":null,"x":"你"}],"b":2,"b":2}"#,
        ] {
            assert_ne!(one, of(other), "{other}");
        }
    }

    #[test]
    fn what_is_broken_or_very_deep_has_no_form() {
        assert_eq!(of(r#"{"a": }"#), None);
        assert_eq!(
            of(&format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100))),
            None
        );
    }

    proptest! {
        #[test]
        fn only_equal_texts_have_equal_forms(a in ".{0,12}", b in ".{0,12}", c in ".{0,12}", d in ".{0,12}") {
            let body = |x: &str, y: &str| of(&serde_json::json!({"k": [x, y]}).to_string());
            prop_assert_eq!(body(&a, &b) == body(&c, &d), (a, b) == (c, d));
        }
    }
}
