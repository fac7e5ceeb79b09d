//! Telegram's HTML: what is seen of a text, or what is wrong with it.

/// The tags that Telegram takes.
const TAGS: [&str; 14] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "a",
    "code",
    "pre",
    "blockquote",
    "span",
];
/// The entities that Telegram takes by name.
const ENTITIES: [(&str, char); 4] = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')];

/// What is seen of a text.
///
/// # Errors
/// Telegram's words for what is wrong.
pub(crate) fn seen(html: &str) -> Result<String, String> {
    let mut seen = String::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        seen.push_str(&rest[..at]);
        let offset = html.len() - rest.len() + at;
        if rest[at..].starts_with('&') {
            let (character, length) = entity(&rest[at + 1..]);
            seen.push(character);
            rest = &rest[at + 1 + length..];
            continue;
        }
        let Some(end) = rest[at..].find('>') else {
            return Err(format!("Unclosed start tag at byte offset {offset}"));
        };
        let tag = &rest[at + 1..at + end];
        rest = &rest[at + end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last.as_deref() != Some(name.trim()) {
                return Err(format!("Unexpected end tag at byte offset {offset}"));
            }
            continue;
        }
        let name = tag
            .split([' ', '\n'])
            .next()
            .unwrap_or("")
            .to_ascii_lowercase();
        if !TAGS.contains(&name.as_str()) {
            return Err(format!(
                "Unsupported start tag \"{name}\" at byte offset {offset}"
            ));
        }
        open.push(name);
    }
    seen.push_str(rest);
    match open.pop() {
        Some(name) => Err(format!(
            "Can't find end tag corresponding to start tag \"{name}\""
        )),
        None => Ok(seen),
    }
}

/// The character that an `&` begins, and the bytes behind the `&` that it takes.
fn entity(after: &str) -> (char, usize) {
    for (name, character) in ENTITIES {
        if let Some(rest) = after.strip_prefix(name) {
            return (character, name.len() + usize::from(rest.starts_with(';')));
        }
    }
    let number = after
        .strip_prefix('#')
        .and_then(|after| after.split_once(';'));
    let number = number.and_then(|(digits, _)| Some((digits.parse().ok()?, digits.len() + 2)));
    let found = number.and_then(|(code, length)| Some((char::from_u32(code)?, length)));
    found.unwrap_or(('&', 0))
}

#[cfg(test)]
mod tests {
    use super::seen;

    #[test]
    fn tags_are_not_seen_and_must_close() {
        assert_eq!(
            seen("<b>a &lt; b</b> &amp; c & d").unwrap(),
            "a < b & c & d"
        );
        for wrong in ["<b>x", "x</b>", "<b><i>x</b></i>", "<p>x</p>", "a < b"] {
            assert!(seen(wrong).is_err(), "{wrong}");
        }
    }
}
