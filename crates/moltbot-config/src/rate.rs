//! How much in which time, as people write it: `600/min`, `50/d`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units and their seconds, the shortest first.
const UNITS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];

/// A number of things in a time: `600/min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u64,
    /// In which time: a second, a minute, an hour or a day.
    pub per: Duration,
}

/// An amount of money in a time: `50/d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spend {
    /// US dollars; above 0.
    pub usd: f64,
    /// In which time: a second, a minute, an hour or a day.
    pub per: Duration,
}

/// Reads `10/s`, `10/min`, `10/h`, `10/d`.
pub(crate) fn parse(text: &str) -> Option<Rate> {
    let (count, per) = halves(text)?;
    let count = count.parse().ok().filter(|count| *count > 0)?;
    Some(Rate { count, per })
}

/// The same with a fraction.
pub(crate) fn parse_spend(text: &str) -> Option<Spend> {
    let (usd, per) = halves(text)?;
    let usd: f64 = usd.parse().ok()?;
    (usd.is_finite() && usd > 0.0).then_some(Spend { usd, per })
}

fn halves(text: &str) -> Option<(&str, Duration)> {
    let (count, unit) = text.trim().split_once('/')?;
    let (count, unit) = (count.trim_end(), unit.trim_start());
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    count
        .bytes()
        .all(plain)
        .then_some((count, Duration::from_secs(seconds)))
}

fn unit(per: Duration) -> &'static str {
    let unit = UNITS
        .into_iter()
        .find(|(_, seconds)| *seconds == per.as_secs());
    unit.map_or("s", |(name, _)| name)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, unit(self.per))
    }
}

impl fmt::Display for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.usd, unit(self.per))
    }
}

macro_rules! written {
    ($name:ident, $parse:ident, $format:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                $parse(&text).ok_or_else(|| D::Error::custom("not a rate"))
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "format": $format})
            }
        }
    };
}

written!(Rate, parse, "rate");
written!(Spend, parse_spend, "spend");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written_in_four_units() {
        for (text, count, seconds) in [
            ("10/s", 10, 1),
            ("600/min", 600, 60),
            ("1/h", 1, 3600),
            ("5/d", 5, 86_400),
        ] {
            let rate = parse(text).unwrap();
            assert_eq!((rate.count, rate.per.as_secs()), (count, seconds));
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!(parse_spend("0.5/h").unwrap().to_string(), "0.5/h");
        for wrong in [
            "", "10", "10/", "/s", "0/s", "-1/s", "1.5/s", "10/m", "10/week", "1e3/s", "10/s/s",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for wrong in ["0/d", "inf/d", "nan/d", "-1/d", "1"] {
            assert_eq!(parse_spend(wrong), None, "{wrong}");
        }
    }
}
