//! How old a signed post may be.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::channel::Refused;

/// How far a timestamp may lie from now, in seconds, either way.
const WINDOW: u64 = 300;

/// Refuses a timestamp, in seconds, that is no number or too far from now.
pub(super) fn fresh(timestamp: &str, now: SystemTime) -> Result<(), Refused> {
    let now = now.duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let Ok(timestamp) = timestamp.parse::<u64>() else {
        return Err(Refused::untrusted("the timestamp is no number of seconds"));
    };
    if now.abs_diff(timestamp) > WINDOW {
        return Err(Refused::untrusted(
            "the timestamp is more than 300 s from now",
        ));
    }
    Ok(())
}
