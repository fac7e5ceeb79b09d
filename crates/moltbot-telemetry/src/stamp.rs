//! Time stamps, formatted once a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Length of `2026-01-31T12:00:00.000Z`.
const LENGTH: usize = 24;
const SECONDS_A_DAY: u64 = 86_400;

/// The last time stamp. A new one of the same second changes three digits.
pub(crate) struct Stamp {
    second: Option<u64>,
    text: [u8; LENGTH],
}

impl Stamp {
    pub(crate) const fn new() -> Self {
        Self {
            second: None,
            text: *b"1970-01-01T00:00:00.000Z",
        }
    }

    /// RFC 3339 in UTC with milliseconds.
    pub(crate) fn at(&mut self, time: SystemTime) -> &str {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != Some(since.as_secs()) {
            self.second = Some(since.as_secs());
            let whole = format(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
            if whole.len() == LENGTH {
                self.text.copy_from_slice(whole.as_bytes());
            }
        }
        let millis = since.subsec_millis();
        self.text[20] = b'0' + (millis / 100) as u8;
        self.text[21] = b'0' + (millis / 10 % 10) as u8;
        self.text[22] = b'0' + (millis % 10) as u8;
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The day that the last time stamp lies in.
    pub(crate) fn day(&self) -> Day {
        Day(self.second.unwrap_or_default() / SECONDS_A_DAY)
    }
}

fn format(second: i64) -> String {
    let time = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// A day in UTC, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(u64);

impl Day {
    pub(crate) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_secs() / SECONDS_A_DAY)
    }

    /// `2026-01-31`.
    pub(crate) fn text(self) -> String {
        let mut text = format((self.0 * SECONDS_A_DAY) as i64);
        text.truncate(10);
        text
    }

    /// Reads `2026-01-31`, nothing more and nothing less.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = text.parse().ok()?;
        let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        let day = Self(u64::try_from(start.as_second()).ok()? / SECONDS_A_DAY);
        (day.text() == text).then_some(day)
    }

    /// The moment at which it is over.
    pub(crate) fn end(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs((self.0 + 1) * SECONDS_A_DAY)
    }

    /// Whole days from this one to `later`.
    pub(crate) fn until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_has_milliseconds_and_follows_the_second() {
        let mut stamp = Stamp::new();
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(stamp.at(at(1_769_860_800_007)), "2026-01-31T12:00:00.007Z");
        assert_eq!(stamp.at(at(1_769_860_800_950)), "2026-01-31T12:00:00.950Z");
        assert_eq!(stamp.at(at(1_769_903_999_999)), "2026-01-31T23:59:59.999Z");
        assert_eq!(stamp.day().text(), "2026-01-31");
        stamp.at(at(1_769_904_000_000));
        assert_eq!(stamp.day().text(), "2026-02-01");
    }

    #[test]
    fn only_whole_dates_are_days() {
        let day = Day::parse("2026-01-31").unwrap();
        assert_eq!(day.text(), "2026-01-31");
        assert_eq!(day.until(Day::parse("2026-02-02").unwrap()), 2);
        for wrong in ["2026-1-31", "20260131", "2026-02-30", "2026-01-31T00", "x"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }
}
