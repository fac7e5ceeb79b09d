//! Masks what looks like a secret in free text that goes to a line.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in a secret's place.
const MASK: &str = "[redacted]";

/// Shapes that are secrets wherever they stand. The group `lead` is kept.
const SHAPES: &str = concat!(
    r"(?P<lead>\b(?:mb|sk|pk|rk|whsec|gh[pousr]|github_pat|glpat|hf|gsk|xai)[_-])[A-Za-z0-9_-]{8,}=*",
    r"|(?P<slack>\bxox[a-z]-)[A-Za-z0-9-]{8,}",
    r"|(?P<google>\bAIza)[A-Za-z0-9_-]{20,}",
    r"|(?P<amazon>\b(?:AKIA|ASIA))[A-Z0-9]{16}\b",
    r"|(?P<jwt>\beyJ)[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*",
    r"|(?P<scheme>(?i:\b(?:bearer|basic)\s+))[A-Za-z0-9._~+/-]{6,}=*",
    r"|(?P<url>://)[^\s/?#@]+@",
);

/// What may be a secret where the words before announce one.
const TOKEN: &str = r"[A-Za-z0-9+/_.~*-]{6,}=*";
/// Words that announce one, somewhere before it.
const BESIDE: &str = r"(?i)(?:key|token|password|passwd|secret)\b[^\n]*$";
/// Words that set one, right before it.
const SET: &str = r#"(?i)(?:key|token|password|passwd|secret)["'\s]*[:=]["'\s]*$"#;
/// Bytes before a token in which a word can announce it.
const NEAR: usize = 40;

static SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(SHAPES).ok());
static NAMED: LazyLock<Option<[Regex; 3]>> = LazyLock::new(|| {
    let make = |pattern| Regex::new(pattern).ok();
    Some([make(TOKEN)?, make(BESIDE)?, make(SET)?])
});

/// Gives `text` with secrets masked: `mb_…`, `sk-…` and the shapes of well-known vendors, what follows
/// `Bearer` and `Basic`, user and password of addresses, and long tokens beside the words key, token,
/// password and secret.
///
/// ```
/// use moltbot_telemetry::redact;
/// let text = "401 from https://me:hunter2@example.com: Incorrect API key provided: abcdef0123456789";
/// assert_eq!(
///     redact(text),
///     "401 from https://[redacted]@example.com: Incorrect API key provided: [redacted]"
/// );
/// ```
pub fn redact(text: &str) -> Cow<'_, str> {
    let (Some(shape), Some([token, beside, set])) = (&*SHAPE, &*NAMED) else {
        return Cow::Borrowed(MASK); // A text that can't be checked is not shown.
    };
    let shaped = shape.replace_all(text, |found: &Captures<'_>| {
        let lead = found.iter().skip(1).flatten().next();
        let at = if found[0].ends_with('@') { "@" } else { "" };
        format!("{}{MASK}{at}", lead.map_or("", |lead| lead.as_str()))
    });
    let named = token.replace_all(&shaped, |found: &Captures<'_>| {
        let value = &found[0];
        let start = found.get(0).map_or(0, |value| value.start());
        let before = &shaped[shaped.floor_char_boundary(start.saturating_sub(NEAR))..start];
        let digits = value.bytes().any(|byte| byte.is_ascii_digit());
        let secret =
            digits && (set.is_match(before) || value.len() >= 16 && beside.is_match(before));
        if secret { MASK } else { value }.to_owned()
    });
    match named {
        Cow::Owned(clean) => Cow::Owned(clean),
        Cow::Borrowed(_) => shaped,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_caller_key_survives_in_no_text(
            before in "(?s).{0,60}", secret in "[A-Za-z0-9_-]{43}", after in "(?s).{0,60}",
        ) {
            let text = format!("{before} mb_{secret} {after}");
            prop_assert!(!redact(&text).contains(&secret));
        }

        #[test]
        fn a_token_beside_its_name_survives_in_no_text(
            before in "(?s).{0,60}", name in "api[-_ ]key|token|Password|SECRET",
            between in "( provided)?:? ?\"?", secret in "[A-Za-z]{10}[0-9][A-Za-z0-9]{10}",
        ) {
            let text = format!("{before} {name} {between}{secret}");
            prop_assume!(!between.is_empty());
            prop_assert!(!redact(&text).contains(&secret), "{text}");
        }
    }

    #[test]
    fn secrets_of_known_shapes_are_masked() {
        for (text, clean) in [
            ("key mb_0123456789abcdef failed", "key mb_[redacted] failed"),
            ("sk-proj-abcDEF123456_-x", "sk-[redacted]"),
            (
                "authorization: Bearer abc.def-123",
                "authorization: Bearer [redacted]",
            ),
            ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
            ("http://u:p@host/v1", "http://[redacted]@host/v1"),
            ("http://token@host/v1", "http://[redacted]@host/v1"),
            ("AIzaSyA1234567890abcdefghijk_l", "AIza[redacted]"),
            ("password=hunter2", "password=[redacted]"),
            (
                r#"{"api_key":"abc123def456"}"#,
                r#"{"api_key":"[redacted]"}"#,
            ),
            ("client_secret: 0a1b2c3d4e5f", "client_secret: [redacted]"),
            (
                "the token was 0123456789abcdef0123",
                "the token was [redacted]",
            ),
        ] {
            assert_eq!(redact(text), clean);
        }
    }

    #[test]
    fn plain_words_stay() {
        for text in [
            "no first token within 30 s",
            "the API key is not known",
            "models.yaml:12: key \"timeouts.first_token\" must be a duration",
            "http://127.0.0.1:8000/v1 refused the connection",
            "this model's maximum context length is 8192 tokens, your prompt has 9000",
            "max_tokens: 2048",
            "mail me@example.com",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
