//! Times and sizes as people write them: `5s`, `7d`, `32MiB`, or plain milliseconds and bytes.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A hundred years: anything longer is a slip, and would overflow clocks.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The time that a value of [`Params::fields`](crate::config::Params) means: a text such as `5s`, or milliseconds.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(moltbot_config::time_of(&"5s".into()), Some(Duration::from_secs(5)));
/// assert_eq!(moltbot_config::time_of(&20.into()), Some(Duration::from_millis(20)));
/// assert_eq!(moltbot_config::time_of(&"soon".into()), None);
/// ```
pub fn time_of(value: &serde_json::Value) -> Option<Duration> {
    match value {
        serde_json::Value::String(text) => parse_time(text),
        number => parse_time(&number.as_u64()?.to_string()),
    }
}

/// Reads `500ms`, `5s`, `10m`, `1h30m`, `7d` or plain milliseconds.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let time = match text.parse::<u64>() {
        Ok(ms) => Duration::from_millis(ms),
        Err(_) => {
            let span: jiff::Span = text.parse().ok()?;
            let days = jiff::SpanRelativeTo::days_are_24_hours();
            Duration::try_from(span.to_duration(days).ok()?).ok()?
        }
    };
    (time <= LONGEST).then_some(time)
}

/// Writes a time in the largest unit that tells it exactly.
pub(crate) fn write_time(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    units
        .into_iter()
        .find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit))
        .map_or_else(
            || format!("{ms}ms"),
            |(unit, name)| format!("{}{name}", ms / unit),
        )
}

/// Reads `32MiB` (binary), `32MB` (decimal) or plain bytes.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.starts_with('-') {
        return None;
    }
    text.parse::<bytesize::ByteSize>()
        .ok()
        .map(|size| size.as_u64())
}

/// Writes a size in the largest binary unit that tells it exactly.
pub(crate) fn write_size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    units
        .into_iter()
        .find(|(bits, _)| bytes > 0 && bytes.trailing_zeros() >= *bits)
        .map_or_else(
            || bytes.to_string(),
            |(bits, name)| format!("{}{name}", bytes >> bits),
        )
}

/// The schema of a time.
pub(crate) struct Time;

/// The schema of a time above zero.
pub(crate) struct PositiveTime;

/// The schema of a size.
pub(crate) struct Size;

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "format": "time", "minimum": 0})
    }
}

impl JsonSchema for PositiveTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PositiveTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "format": "time-above-zero", "minimum": 1})
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "format": "size", "minimum": 1})
    }
}

/// A number or a text, as the file has it.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

/// `#[serde(with)]` for times.
pub(crate) mod time {
    use super::{Duration, Written};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::write_time(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        match Written::deserialize(d)? {
            Written::Number(ms) => super::parse_time(&ms.to_string()),
            Written::Text(text) => super::parse_time(&text),
        }
        .ok_or_else(|| D::Error::custom("not a time"))
    }
}

/// `#[serde(with)]` for times that may be absent.
pub(crate) mod some_time {
    use super::Duration;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::time::serialize(time, s),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::time::deserialize(d).map(Some)
    }
}

/// `#[serde(with)]` for sizes.
pub(crate) mod size {
    use super::Written;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::write_size(*bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        match Written::deserialize(d)? {
            Written::Number(bytes) => Some(bytes),
            Written::Text(text) => super::parse_size(&text),
        }
        .ok_or_else(|| D::Error::custom("not a size"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_unit_and_as_milliseconds() {
        for (text, ms) in [
            ("5000", 5000),
            ("100ms", 100),
            ("5s", 5000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("0", 0),
        ] {
            assert_eq!(parse_time(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "5 apples",
            "-5s",
            "1e3",
            "9999999d",
            "99999999999999999",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary_with_an_i_and_decimal_without() {
        assert_eq!(parse_size("32MiB"), Some(32 << 20));
        assert_eq!(parse_size("32MB"), Some(32_000_000));
        assert_eq!(parse_size("1024"), Some(1024));
        assert_eq!(parse_size("-1"), None);
        assert_eq!(parse_size("big"), None);
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for ms in [0, 1, 999, 1000, 60_000, 90_000, 3_600_000, 604_800_000] {
            let time = Duration::from_millis(ms);
            assert_eq!(parse_time(&write_time(time)), Some(time));
        }
        for bytes in [0, 1, 1000, 1024, 32 << 20, 3 << 30] {
            assert_eq!(parse_size(&write_size(bytes)), Some(bytes));
        }
    }
}
