//! Keys that tell by their form what they are.

use std::ops::Range;

use super::begins;
use crate::window::{More, Window, is_word};

/// Longest key that is looked at; what follows it is text again.
const LONGEST: usize = 2048;

/// The form of a kind of key.
#[derive(Debug)]
pub(super) struct Shape {
    /// How it begins.
    pub(super) prefix: &'static str,
    /// How many bytes follow.
    size: Range<usize>,
    /// Which bytes they are.
    of: Of,
}

/// What a key is made of.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// Capitals and digits.
    Capitals,
    /// Letters and digits.
    Letters,
    /// Letters, digits, `_` and `-`.
    UrlSafe,
    /// As before; a digit and a letter among them, and a part of 16 without `-`: `sk-` begins words too.
    Random,
    /// Three parts with dots between them, the first two JSON objects.
    Jwt,
    /// A path below `hooks.slack.com`.
    Path,
}

const fn shape(prefix: &'static str, size: Range<usize>, of: Of) -> Shape {
    Shape { prefix, size, of }
}

/// The forms, by who issues the keys.
pub(super) static SHAPES: [Shape; 49] = [
    // AWS
    shape("AKIA", 16..17, Of::Capitals),
    shape("ASIA", 16..17, Of::Capitals),
    shape("ABIA", 16..17, Of::Capitals),
    shape("ACCA", 16..17, Of::Capitals),
    // GitHub
    shape("ghp_", 36..LONGEST, Of::Letters),
    shape("gho_", 36..LONGEST, Of::Letters),
    shape("ghu_", 36..LONGEST, Of::Letters),
    shape("ghs_", 36..LONGEST, Of::Letters),
    shape("ghr_", 36..LONGEST, Of::Letters),
    shape("github_pat_", 40..LONGEST, Of::UrlSafe),
    // OpenAI, Anthropic and those who took their form over
    shape("sk-", 20..LONGEST, Of::Random),
    shape("sk-ant-", 20..LONGEST, Of::UrlSafe),
    shape("sk-proj-", 20..LONGEST, Of::UrlSafe),
    shape("sk-svcacct-", 20..LONGEST, Of::UrlSafe),
    shape("sk-admin-", 20..LONGEST, Of::UrlSafe),
    shape("sk-or-v1-", 32..LONGEST, Of::Letters),
    shape("gsk_", 40..LONGEST, Of::Letters),
    shape("xai-", 40..LONGEST, Of::Letters),
    shape("hf_", 30..LONGEST, Of::Letters),
    shape("nvapi-", 40..LONGEST, Of::UrlSafe),
    // Google
    shape("AIza", 35..36, Of::UrlSafe),
    shape("GOCSPX-", 28..29, Of::UrlSafe),
    shape("ya29.", 20..LONGEST, Of::UrlSafe),
    // Slack
    shape("xoxa-", 10..LONGEST, Of::UrlSafe),
    shape("xoxb-", 10..LONGEST, Of::UrlSafe),
    shape("xoxe-", 10..LONGEST, Of::UrlSafe),
    shape("xoxe.xoxb-", 10..LONGEST, Of::UrlSafe),
    shape("xoxe.xoxp-", 10..LONGEST, Of::UrlSafe),
    shape("xoxp-", 10..LONGEST, Of::UrlSafe),
    shape("xoxr-", 10..LONGEST, Of::UrlSafe),
    shape("xoxs-", 10..LONGEST, Of::UrlSafe),
    shape("xapp-", 10..LONGEST, Of::UrlSafe),
    shape("hooks.slack.com/services/", 30..LONGEST, Of::Path),
    // Stripe, and webhooks in the standard form
    shape("sk_live_", 16..LONGEST, Of::Letters),
    shape("sk_test_", 16..LONGEST, Of::Letters),
    shape("rk_live_", 16..LONGEST, Of::Letters),
    shape("rk_test_", 16..LONGEST, Of::Letters),
    shape("whsec_", 24..LONGEST, Of::Path),
    // GitLab
    shape("glpat-", 20..LONGEST, Of::UrlSafe),
    shape("gldt-", 20..LONGEST, Of::UrlSafe),
    shape("glrt-", 20..LONGEST, Of::UrlSafe),
    shape("glptt-", 20..LONGEST, Of::UrlSafe),
    shape("glcbt-", 20..LONGEST, Of::UrlSafe),
    // package registries
    shape("npm_", 36..37, Of::Letters),
    shape("pypi-AgE", 50..LONGEST, Of::UrlSafe),
    // ours
    shape("mb_", 32..LONGEST, Of::UrlSafe),
    // others
    shape("SG.", 22..LONGEST, Of::UrlSafe),
    shape("dop_v1_", 64..65, Of::Letters),
    shape("eyJ", 20..4 * LONGEST, Of::Jwt),
];

impl Shape {
    /// Where the key stands that begins at `at`, if one does.
    pub(super) fn look(
        &self,
        text: Window<'_>,
        floor: usize,
        at: usize,
    ) -> Result<Option<Range<usize>>, More> {
        let body = at + self.prefix.len();
        // the automaton does not tell capitals from small letters
        let exact = text.bytes()[at..body] == *self.prefix.as_bytes();
        if !exact || !begins(text, floor, at) {
            return Ok(None);
        }
        let end = text.run(body, self.size.end - 1, |byte| self.of.takes(byte))?;
        let fits = self.size.contains(&(end - body)) && self.of.fits(&text.bytes()[body..end]);
        let exactly = self.size.len() == 1;
        let goes_on = exactly && text.is(end, is_word)?;
        Ok((fits && !goes_on).then_some(at..end))
    }
}

impl Of {
    fn takes(self, byte: u8) -> bool {
        match self {
            Self::Capitals => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            Self::Letters => byte.is_ascii_alphanumeric(),
            Self::UrlSafe | Self::Random => is_word(byte) || byte == b'-',
            Self::Jwt => is_word(byte) || matches!(byte, b'-' | b'.'),
            Self::Path => is_word(byte) || matches!(byte, b'-' | b'/' | b'+' | b'='),
        }
    }

    fn fits(self, body: &[u8]) -> bool {
        match self {
            Self::Random => {
                let longest = body.split(|byte| *byte == b'-').map(<[u8]>::len).max();
                body.iter().any(u8::is_ascii_digit)
                    && body.iter().any(u8::is_ascii_alphabetic)
                    && longest.is_some_and(|longest| longest >= 16)
            }
            Self::Jwt => {
                let mut parts = body.split(|byte| *byte == b'.').map(<[u8]>::len);
                let mut next = |least| parts.next().is_some_and(|length| length >= least);
                next(7) && next(6) && next(3)
            }
            _ => true,
        }
    }
}
