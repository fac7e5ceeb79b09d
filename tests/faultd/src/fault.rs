//! What can go wrong with an answer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A way in which an upstream fails one request.
///
/// A closed port is no fault of a request: see [`Server::close`](crate::Server::close) and [`Rhythm`](crate::Rhythm).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is reset before the request is read; right after accept where the connection is new.
    Reset,
    /// The request is read, then nothing comes.
    HangBeforeHeaders,
    /// Status and headers come, then nothing.
    HangAfterHeaders,
    /// A part of the content comes, then nothing.
    HangMidway,
    /// The connection is reset after a part of the content.
    ResetMidway,
    /// The connection ends in good order after a part of the content, without a terminal event.
    EndEarly,
    /// The body ends before the length that its head promised; of a stream, before any content.
    Truncated,
    /// An error status with an error body: 500, 502, 503, 504, 529.
    Status(u16),
    /// 429, with its hint in one of the forms that occur.
    RateLimited(Hint),
    /// 401.
    Unauthorized,
    /// 400: the prompt is longer than the model's context.
    ContextWindow,
    /// 400: the prompt breaks the content policy.
    ContentPolicy,
    /// 200 with a body that is no JSON; of a stream, every event.
    BadJson,
    /// 200 with a page of HTML.
    BadType,
    /// 200 with a body of 20 MiB; of a stream, in one event.
    Huge,
    /// 200 with an error for a body; of a stream, for its first event.
    ErrorInside,
    /// One malformed event in a good stream. A whole answer is good.
    BadEvent,
    /// A good answer, byte by byte.
    Dribble,
    /// A good answer that tells of a negative and an absurd usage.
    WrongUsage,
}

/// How a 429 says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hint {
    /// `Retry-After: 1`.
    Seconds,
    /// `retry-after-ms: 200`.
    Millis,
    /// `Retry-After` with a date one second ahead, and a `Date`.
    Date,
    /// Not at all.
    None,
    /// `Retry-After` with 40 digits.
    Garbage,
    /// By `insufficient_quota`: the account has no money left.
    Money,
}

impl Hint {
    /// The pause that it asks for.
    pub(crate) fn pause(self) -> Option<Duration> {
        match self {
            Self::Seconds | Self::Date => Some(Duration::from_secs(1)),
            Self::Millis => Some(Duration::from_millis(200)),
            Self::None | Self::Garbage | Self::Money => None,
        }
    }
}

impl Fault {
    /// All there are, with their names.
    pub const ALL: [(&str, Self); 28] = [
        ("reset", Self::Reset),
        ("hang-before-headers", Self::HangBeforeHeaders),
        ("hang-after-headers", Self::HangAfterHeaders),
        ("hang-midway", Self::HangMidway),
        ("reset-midway", Self::ResetMidway),
        ("end-early", Self::EndEarly),
        ("truncated", Self::Truncated),
        ("500", Self::Status(500)),
        ("502", Self::Status(502)),
        ("503", Self::Status(503)),
        ("504", Self::Status(504)),
        ("529", Self::Status(529)),
        ("429-seconds", Self::RateLimited(Hint::Seconds)),
        ("429-ms", Self::RateLimited(Hint::Millis)),
        ("429-date", Self::RateLimited(Hint::Date)),
        ("429-none", Self::RateLimited(Hint::None)),
        ("429-garbage", Self::RateLimited(Hint::Garbage)),
        ("429-money", Self::RateLimited(Hint::Money)),
        ("401", Self::Unauthorized),
        ("400-context", Self::ContextWindow),
        ("400-policy", Self::ContentPolicy),
        ("bad-json", Self::BadJson),
        ("bad-type", Self::BadType),
        ("huge", Self::Huge),
        ("error-inside", Self::ErrorInside),
        ("bad-event", Self::BadEvent),
        ("dribble", Self::Dribble),
        ("wrong-usage", Self::WrongUsage),
    ];

    /// Its name in mixes, counts and reports.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, fault)| *fault == self);
        named.map_or("status", |(name, _)| name)
    }

    /// Whether a client of the upstream gets a good answer all the same.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::BadEvent | Self::Dribble | Self::WrongUsage)
    }

    /// Whether it strikes after content of a stream went out, when nobody can take another way any more.
    pub fn is_late(self) -> bool {
        matches!(self, Self::HangMidway | Self::ResetMidway | Self::EndEarly)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no fault has.
#[derive(Debug, thiserror::Error)]
#[error("there is no fault `{0}`; there are: {known}", known = Fault::ALL.map(|(name, _)| name).join(", "))]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let named = Self::ALL.iter().find(|(known, _)| *known == name);
        named
            .map(|(_, fault)| *fault)
            .ok_or_else(|| UnknownFault(name.to_owned()))
    }
}
