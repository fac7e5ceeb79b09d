//! How much a line matters.

use std::fmt;
use std::str::FromStr;

use crate::TelemetryError;

/// How much a line matters; later ones are worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// What a developer asks for.
    Debug,
    /// What happened as it should.
    #[default]
    Info,
    /// Something went wrong and was made good, or soon will matter.
    Warn,
    /// Someone did not get what they asked for.
    Error,
}

impl Level {
    const ALL: [Self; 5] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
    ];

    /// Its word in lines: `info`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    pub(crate) fn from_index(index: u8) -> Self {
        Self::ALL
            .get(usize::from(index))
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Level {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        Self::ALL
            .into_iter()
            .find(|level| level.word().eq_ignore_ascii_case(text))
            .ok_or_else(|| TelemetryError::Level(text.to_owned()))
    }
}
