//! Finds the texts of a JSON body in one walk: every string value, but for those whose key says that they are something else.

use std::ops::Range;

use moltbot_types::{CallError, Kind, Text};

use crate::json::{decode, skip_blanks, skip_string};

/// The strings of `body` whose key `skip` does not name, and the numbers too where `numbers` asks for them.
///
/// # Errors
/// `BadRequest` for a string that does not end or can't be decoded.
pub(crate) fn strings<'a>(
    body: &'a [u8],
    skip: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Text<'a>>, CallError> {
    let mut found = Vec::new();
    walk(body, |key, at, is_string| {
        if is_string && !skip(key) {
            let text = decode(&body[at.clone()]).ok_or_else(|| unreadable(at.start))?;
            found.push(Text { at, text });
        }
        Ok(())
    })?;
    Ok(found)
}

/// The strings and numbers of a text that is a JSON object or array; `None` where it is none.
///
/// Tools get their arguments and give their results so, as JSON within a string.
pub fn within(text: &str) -> Option<Vec<Text<'_>>> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut found = Vec::new();
    let body = text.as_bytes();
    walk(body, |_, at, is_string| {
        let text = match is_string {
            true => decode(&body[at.clone()]).ok_or_else(|| unreadable(at.start))?,
            false => String::from_utf8_lossy(&body[at.clone()]),
        };
        found.push(Text { at, text });
        Ok(())
    })
    .ok()?;
    Some(found)
}

/// Calls `each` with the key and the place of every string and number that is a value; the values of an
/// array have the key of the array.
fn walk(
    body: &[u8],
    mut each: impl FnMut(&[u8], Range<usize>, bool) -> Result<(), CallError>,
) -> Result<(), CallError> {
    let mut keys: Vec<Range<usize>> = Vec::new();
    let mut key = 0..0;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                let end = skip_string(body, at).map_err(|broken| unreadable(broken.at))?;
                if body.get(skip_blanks(body, end)) == Some(&b':') {
                    key = at + 1..end - 1;
                } else {
                    each(&body[key.clone()], at..end, true)?;
                }
                at = end;
            }
            b'{' | b'[' => {
                keys.push(key.clone());
                at += 1;
            }
            b'}' | b']' => {
                key = keys.pop().unwrap_or(0..0);
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let end = at + body[at..].iter().take_while(|byte| part(byte)).count();
                each(&body[key.clone()], at..end, false)?;
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn unreadable(at: usize) -> CallError {
    let message = format!("a text can't be decoded: at byte {at}");
    CallError::new(Kind::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_value_is_found_with_its_place() {
        let body = br#"{"a": "x", "skip": ["no"], "b": [{"c": "\u4f60"}, "y"], "n": 5}"#;
        let found = strings(body, |key| key == b"skip").unwrap();
        let texts: Vec<&str> = found.iter().map(|text| &*text.text).collect();
        assert_eq!(texts, ["x", "你", "y"]);
        assert_eq!(&body[found[1].at.clone()], br#""\u4f60""#);
    }

    #[test]
    fn what_stands_in_an_array_has_the_key_of_the_array() {
        let found = strings(br#"{"k": [["a"], {"z": "b"}, "c"]}"#, |key| key == b"k").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "b");
    }

    #[test]
    fn json_within_a_text_is_read_with_its_numbers() {
        let found = within(r#" {"phone": 13812345678, "ok": true, "to": "x"}"#).unwrap();
        let texts: Vec<&str> = found.iter().map(|text| &*text.text).collect();
        assert_eq!(texts, ["13812345678", "x"]);
        assert!(within("[not json").is_none() && within("plain").is_none());
    }

    #[test]
    fn a_lone_surrogate_is_refused_where_it_must_be_decoded() {
        assert!(strings(br#"{"a": "\ud83d"}"#, |_| false).is_err());
        assert!(strings(br#"{"a": "\ud83d"}"#, |_| true).unwrap().is_empty());
    }
}
