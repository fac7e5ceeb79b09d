//! What is compared: success, latency, first token, cost, tokens, or what people fed back.

use std::fmt::Debug;
use std::sync::Arc;

use crate::exposure::Outcome;

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// What values look like; the statistics follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Between 0 and 1.
    Share,
    /// Any amount.
    Amount,
}

/// A metric: a value of a call, and what it means.
pub trait Metric: Debug + Send + Sync + 'static {
    /// Its name in settings and reports.
    fn name(&self) -> &str;

    /// What values look like.
    fn scale(&self) -> Scale;

    /// Which way is good.
    fn better(&self) -> Better;

    /// The value of a call in the metric's own unit; `None` where the call has none.
    fn value(&self, outcome: &Outcome) -> Option<f64>;

    /// A difference between two arms in words: what the arm does, "1.8 to 3.1 points more often". `less` and `more`
    /// are its ends, of one sign.
    fn words(&self, less: f64, more: f64) -> String;
}

/// The metric of that name: one that every call has, else one that is fed back.
///
/// ```
/// use moltbot_abtest::metric::{Better, named};
/// assert_eq!(named("latency").better(), Better::Lower);
/// assert_eq!(named("thumbs").better(), Better::Higher);
/// ```
pub fn named(name: &str) -> Arc<dyn Metric> {
    match OfCall::ALL.into_iter().find(|metric| metric.name() == name) {
        Some(metric) => Arc::new(metric),
        None => Arc::new(Feedback(name.into())),
    }
}

/// The metrics that every call has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfCall {
    /// Whether the caller got a whole answer of a status below 400.
    Success,
    /// Milliseconds to the last byte.
    Latency,
    /// Milliseconds to the first content of a stream.
    FirstToken,
    /// USD.
    Cost,
    /// Tokens in plus out.
    Tokens,
}

impl OfCall {
    const ALL: [Self; 5] = [
        Self::Success,
        Self::Latency,
        Self::FirstToken,
        Self::Cost,
        Self::Tokens,
    ];
}

impl Metric for OfCall {
    fn name(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Latency => "latency",
            Self::FirstToken => "first_token",
            Self::Cost => "cost",
            Self::Tokens => "tokens",
        }
    }

    fn scale(&self) -> Scale {
        match self {
            Self::Success => Scale::Share,
            _ => Scale::Amount,
        }
    }

    fn better(&self) -> Better {
        match self {
            Self::Success => Better::Higher,
            _ => Better::Lower,
        }
    }

    fn value(&self, outcome: &Outcome) -> Option<f64> {
        match self {
            Self::Success => Some(f64::from(u8::from(outcome.success))),
            Self::Latency => Some(outcome.latency.as_secs_f64() * 1e3),
            Self::FirstToken => outcome.first_token.map(|time| time.as_secs_f64() * 1e3),
            Self::Cost => Some(outcome.cost),
            Self::Tokens => Some((outcome.usage.input + outcome.usage.output) as f64),
        }
    }

    fn words(&self, less: f64, more: f64) -> String {
        let up = less + more > 0.0;
        let either = |yes: &'static str, no: &'static str| if up { yes } else { no };
        match self {
            Self::Success => {
                let range = range(less * 100.0, more * 100.0, 1);
                format!("answers {range} points {} often", either("more", "less"))
            }
            Self::Latency => {
                let range = range(less, more, 0);
                format!("answers {range} ms {}", either("slower", "faster"))
            }
            Self::FirstToken => {
                let range = range(less, more, 0);
                format!("begins {range} ms {}", either("later", "sooner"))
            }
            Self::Cost => {
                let range = range(less, more, 6);
                format!("costs {range} USD a call {}", either("more", "less"))
            }
            Self::Tokens => {
                let range = range(less, more, 0);
                format!("takes {range} tokens a call {}", either("more", "fewer"))
            }
        }
    }
}

/// A score between 0 and 1 that is fed back by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback(Arc<str>);

impl Metric for Feedback {
    fn name(&self) -> &str {
        &self.0
    }

    fn scale(&self) -> Scale {
        Scale::Share
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn value(&self, _: &Outcome) -> Option<f64> {
        None
    }

    fn words(&self, less: f64, more: f64) -> String {
        let range = range(less, more, 3);
        let way = if less + more > 0.0 { "higher" } else { "lower" };
        format!("has a {} that is {range} {way}", self.0)
    }
}

/// "1.8 to 3.1", the smaller size first and signs left out.
fn range(a: f64, b: f64, digits: usize) -> String {
    let (low, high) = (a.abs().min(b.abs()), a.abs().max(b.abs()));
    let text = |value: f64| format!("{value:.digits$}");
    match text(low) == text(high) {
        true => text(high),
        false => format!("{} to {}", text(low), text(high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_read_like_a_sentence() {
        for (metric, ends, words) in [
            (
                "success",
                (0.018, 0.031),
                "answers 1.8 to 3.1 points more often",
            ),
            (
                "success",
                (-0.031, -0.018),
                "answers 1.8 to 3.1 points less often",
            ),
            ("latency", (-180.2, -120.4), "answers 120 to 180 ms faster"),
            ("first_token", (12.0, 20.0), "begins 12 to 20 ms later"),
            (
                "cost",
                (-0.002, -0.001),
                "costs 0.001000 to 0.002000 USD a call less",
            ),
            ("tokens", (5.0, 5.0), "takes 5 tokens a call more"),
            (
                "thumbs",
                (0.02, 0.05),
                "has a thumbs that is 0.020 to 0.050 higher",
            ),
        ] {
            assert_eq!(named(metric).words(ends.0, ends.1), words);
        }
    }
}
