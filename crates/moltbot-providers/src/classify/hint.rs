//! How long an upstream asks to be left alone.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The wait that the headers ask for, at most `most`. The first of them that can be read counts;
/// nonsense is no hint.
pub(super) fn wait(headers: &HeaderMap, most: Duration, now: SystemTime) -> Option<Duration> {
    let millis = |name| one(headers, name).and_then(number).map(|n| n / 1000.0);
    let seconds = millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| one(headers, RETRY_AFTER.as_str()).and_then(number));
    let wait = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        None => {
            let until = date(headers, RETRY_AFTER.as_str())?;
            // the upstream's own clock tells its "now" better than ours
            let now = date(headers, DATE.as_str()).unwrap_or(now);
            until.duration_since(now).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(most))
}

/// A header's value; `None` where it is given twice, for then nobody knows which one was meant.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value.trim())
}

/// Digits with at most one point, short enough to be meant.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (plain && text.len() <= 16).then(|| text.parse().ok())?
}

fn date(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(one(headers, name)?).ok()
}

#[cfg(test)]
mod tests;
