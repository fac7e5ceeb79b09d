//! Where a caller stands, in the headers that OpenAI's clients know.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::meter::Standing;
use super::tenant::Standings;

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Writes where a caller stands over what an upstream said of our own account.
pub(super) fn write(headers: &mut HeaderMap, standings: &Standings) {
    for (names, standing) in [(REQUESTS, standings.requests), (TOKENS, standings.tokens)] {
        let Some(Standing {
            limit,
            remaining,
            reset,
        }) = standing
        else {
            continue;
        };
        let reset = HeaderValue::from_str(&words(reset)).ok();
        let values = [Some(limit.into()), Some(remaining.into()), reset];
        for (name, value) in names.into_iter().zip(values) {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

/// A time as OpenAI writes it: `0s`, `20ms`, `1.5s`, `6m0s`, `1h0m3s`.
fn words(time: Duration) -> String {
    // A caller that comes back a little late is served, one that comes early is not.
    let millis = time.as_nanos().div_ceil(1_000_000);
    if millis < 1000 && millis > 0 {
        return format!("{millis}ms");
    }
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        text += &format!("{hours}h");
    }
    if seconds >= 60 {
        text += &format!("{minutes}m");
    }
    text += &(seconds % 60).to_string();
    if millis > 0 {
        text += format!(".{millis:03}").trim_end_matches('0');
    }
    text + "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_does() {
        for (millis, text) in [
            (0, "0s"),
            (20, "20ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (59_951, "59.951s"),
            (360_000, "6m0s"),
            (3_603_000, "1h0m3s"),
            (86_400_000, "24h0m0s"),
        ] {
            assert_eq!(words(Duration::from_millis(millis)), text);
        }
        assert_eq!(words(Duration::from_nanos(1)), "1ms");
    }
}
