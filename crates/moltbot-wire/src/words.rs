//! Cleans an upstream's words before people or logs see them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Most characters of a message that are kept.
const LONGEST: usize = 1000;

/// Patterns of what must not leave, each with what stands in its place. Order matters: wide ones first.
static MASKS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>`)\]}]+"#, "[address]"),
        (r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=*-]{8,}", "$1 [secret]"),
        (
            r"\b(?:sk-|pk-|rk_|mb_|gsk_|xai-|nvapi-|hf_|ghp_|glpat-|AIza|AKIA|eyJ)[A-Za-z0-9_.*-]{6,}",
            "[secret]",
        ),
        (r"\b[0-9a-fA-F]{32,}\b", "[secret]"),
        (r#"(?i)\bhost=['"][^'"]*['"]"#, "host=[address]"),
        (
            r"(?i)\b(?:[a-z0-9-]+\.)+[a-z0-9-]+:[0-9]{2,5}\b",
            "[address]",
        ),
        (r"(?i)\b[a-z][a-z0-9-]*:[0-9]{4,5}\b", "[address]"),
        (r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b", "[address]"),
        (r"\[[0-9a-fA-F:]*::?[0-9a-fA-F:]*\](?::[0-9]+)?", "[address]"),
    ]
    .into_iter()
    .filter_map(|(pattern, mask)| Some((Regex::new(pattern).ok()?, mask)))
    .collect()
});

/// Removes addresses and secrets, makes it one line, and shortens it.
pub(crate) fn sanitise(text: &str) -> String {
    // Masks never make a text much longer, and a longer look would cost more than it shows.
    let mut look: String = text.chars().take(4 * LONGEST).collect();
    for (pattern, mask) in MASKS.iter() {
        if let Cow::Owned(masked) = pattern.replace_all(&look, *mask) {
            look = masked;
        }
    }
    let mut line = String::with_capacity(look.len().min(4 * LONGEST));
    for word in look.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() && !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((cut, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// The words of a body that is no JSON: `None` for pages, binary data and nothing.
pub(crate) fn plain(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let page = text.starts_with('<');
    let broken = text.starts_with(['{', '[']);
    let words = (!page && !broken).then(|| sanitise(text))?;
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_secrets_do_not_pass() {
        let cases = [
            (
                "see https://platform.example.com/keys?a=b.",
                "see [address]",
            ),
            (
                "Incorrect API key: sk-proj-****abcd.",
                "Incorrect API key: [secret]",
            ),
            (
                "Authorization: Bearer abcdef.ghijkl",
                "Authorization: Bearer [secret]",
            ),
            (
                "cannot reach 10.0.0.7:8000 now",
                "cannot reach [address] now",
            ),
            (
                "dial vllm-0.models.svc:8000: refused",
                "dial [address]: refused",
            ),
            ("localhost:8080 and node-3:9000", "[address] and [address]"),
            (
                "HTTPConnectionPool(host='vllm', port=8000)",
                "HTTPConnectionPool(host=[address], port=8000)",
            ),
            ("[fd00::1]:8000 refused", "[address] refused"),
            ("token 0123456789abcdef0123456789abcdef", "token [secret]"),
        ];
        for (said, shown) in cases {
            assert_eq!(sanitise(said), shown);
        }
    }

    #[test]
    fn ordinary_words_pass() {
        for text in [
            "This model's maximum context length is 8192 tokens.",
            "messages.0.content: field required (line 12:3)",
            "The model `gpt-3.5-turbo` does not exist",
            "请求参数错误",
        ] {
            assert_eq!(sanitise(text), text);
        }
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        assert_eq!(sanitise("a\n  b\u{7}c"), "a b c");
        assert_eq!(sanitise(&"é".repeat(5000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn every_mask_is_a_pattern() {
        assert_eq!(MASKS.len(), 9);
    }
}
