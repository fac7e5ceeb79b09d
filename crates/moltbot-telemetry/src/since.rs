//! Points in time as people write them.

use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

use crate::error::TelemetryError;

/// Reads how far back, or since when: `90s`, `1h 30m`, `7d`, `2026-01-31` (its beginning in UTC) or
/// `2026-01-31T12:00:00Z`.
///
/// # Errors
/// It is none of these, or lies before the calendar begins.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use moltbot_telemetry::since;
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 100);
/// assert_eq!(since("30d", now)?, now - Duration::from_secs(86_400 * 30));
/// # Ok::<(), moltbot_telemetry::TelemetryError>(())
/// ```
pub fn since(text: &str, now: SystemTime) -> Result<SystemTime, TelemetryError> {
    let wrong = || TelemetryError::Since(text.to_owned());
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.into());
    }
    if let Ok(date) = text.parse::<Date>() {
        let start = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
        return Ok(start.timestamp().into());
    }
    let back: Span = text.parse().map_err(|_| wrong())?;
    let back = back
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    let back = Duration::try_from(back).map_err(|_| wrong())?;
    now.checked_sub(back).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_dates_and_times_are_understood() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_860_800);
        let ago = |text| {
            now.duration_since(since(text, now).unwrap())
                .unwrap()
                .as_secs()
        };
        assert_eq!(ago("90s"), 90);
        assert_eq!(ago("1h30m"), 5_400);
        assert_eq!(ago("2w"), 14 * 86_400);
        assert_eq!(ago("2026-01-31"), 43_200);
        assert_eq!(ago("2026-01-31T11:59:00Z"), 60);
        assert_eq!(ago("2026-01-31T13:59:00+02:00"), 60);
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for wrong in [
            "",
            "yesterday",
            "5",
            "-1h",
            "1mo",
            "9999999999999d",
            "2026-02-30",
        ] {
            let error = since(wrong, SystemTime::now()).unwrap_err().to_string();
            assert!(error.contains("7d"), "{wrong}: {error}");
        }
    }
}
