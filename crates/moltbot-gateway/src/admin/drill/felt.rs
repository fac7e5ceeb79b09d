//! What the calls of a phase felt, as figures.

use std::collections::BTreeMap;
use std::time::Duration;

use moltbot_types::admin::{DrillPhase, DrillServed};

use super::{CALL, Call};

/// The figures of a phase.
pub(super) fn felt(phase: &str, calls: &[Call]) -> DrillPhase {
    let mut errors = calls.iter().filter_map(|call| match &call.probed {
        None => Some(format!("no answer within {} s", CALL.as_secs())),
        Some(probed) => Some(probed.answer.as_ref().err()?.to_string()),
    });
    let error = errors.next();
    let probed = || calls.iter().filter_map(|call| call.probed.as_ref());
    let answered = probed().filter(|probed| probed.answer.is_ok());
    let mut times: Vec<Duration> = answered.map(|probed| probed.took).collect();
    times.sort_unstable();
    let mut served = BTreeMap::new();
    for target in calls.iter().filter_map(Call::served) {
        *served.entry(target).or_default() += 1;
    }
    DrillPhase {
        phase: phase.to_owned(),
        calls: calls.len(),
        errors: usize::from(error.is_some()) + errors.count(),
        error,
        attempts: probed().map(|probed| probed.tried.attempts.len()).sum(),
        p50_ms: percentile(&times, 50).map(millis),
        p99_ms: percentile(&times, 99).map(millis),
        served: served
            .into_iter()
            .map(|(target, calls)| DrillServed { target, calls })
            .collect(),
    }
}

/// The nearest-rank percentile of times in order.
fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).copied()
}

pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        let at = |percent| percentile(&times, percent).map(millis);
        assert_eq!((at(50), at(99)), (Some(10.0), Some(20.0)));
        assert_eq!(percentile(&times[..1], 50), Some(times[0]));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn a_call_without_an_answer_is_an_error() {
        let call = Call {
            ended: tokio::time::Instant::now(),
            probed: None,
        };
        let phase = felt("during", &[call]);
        assert_eq!((phase.calls, phase.errors, phase.p50_ms), (1, 1, None));
        assert_eq!(phase.error.as_deref(), Some("no answer within 30 s"));
    }
}
