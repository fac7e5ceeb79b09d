//! Times at which a skill runs: five fields of cron in a time zone.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the text of a skill that ran by time is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendTo {
    /// The channel's name.
    pub channel: String,
    /// The room or person, by the platform's id.
    pub to: String,
}

/// When a skill runs by time, and where its answer goes.
#[derive(Clone, Debug)]
pub struct Schedule {
    fields: String,
    cron: Cron,
    zone: TimeZone,
    zone_name: String,
    /// Where the text goes; dropped where nobody says so.
    pub send: Option<SendTo>,
}

impl Schedule {
    /// Reads five fields and the name of a zone.
    pub(super) fn new(fields: &str, zone_name: &str, send: Option<SendTo>) -> Result<Self, String> {
        let count = fields.split_whitespace().count();
        if count != 5 {
            return Err(format!(
                "has {count} fields, not five: minute, hour, day of the month, month, day of the week"
            ));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(fields);
        let cron = cron.map_err(|error| format!("is no time of cron: {error}"))?;
        let zone = TimeZone::get(zone_name)
            .map_err(|_| format!("no time zone `{zone_name}`; one is Asia/Shanghai"))?;
        Ok(Self {
            fields: fields.to_owned(),
            cron,
            zone,
            zone_name: zone_name.to_owned(),
            send,
        })
    }

    /// The first time after `now`; `None` where there is none, such as on 30 February.
    ///
    /// A time that a change of clocks leaves out comes just after it, one that comes twice counts the
    /// first time, and fields that repeat run by elapsed time.
    pub fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&now, false).ok()?;
        Some(next.timestamp())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.fields, self.zone_name)
    }
}
