//! What is reported of a scenario, and the one table of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use moltbot_faultd::Server;
use tokio::time::Instant;

use crate::ask::{Answer, Outcome};
use crate::daemon::Process;
use crate::lab::{Lab, Size};

/// What came of the calls of a scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) offered: usize,
    pub(crate) complete: usize,
    /// Error statuses, by status, code and attempts.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Streams that were cut with an error event.
    pub(crate) cut: usize,
    pub(crate) lost: usize,
    pub(crate) wrong: usize,
    pub(crate) silent: usize,
    /// One example of each kind of damage.
    pub(crate) examples: BTreeMap<&'static str, String>,
    latencies: Vec<Duration>,
    lags: Vec<Duration>,
}

impl Tally {
    pub(crate) fn of<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            tally.offered += 1;
            tally.latencies.push(answer.latency);
            tally.lags.push(answer.lag);
            match &answer.outcome {
                Outcome::Complete => tally.complete += 1,
                Outcome::Cut => tally.cut += 1,
                Outcome::Refused(code) => {
                    let kind = format!("{} {code} after {}", answer.status, answer.attempts);
                    *tally.refused.entry(kind).or_default() += 1;
                }
                Outcome::Lost(why) => tally.damage("lost", why, |tally| &mut tally.lost),
                Outcome::Wrong(why) => tally.damage("wrong", why, |tally| &mut tally.wrong),
                Outcome::Silent(why) => tally.damage("silent", why, |tally| &mut tally.silent),
            }
        }
        tally.latencies.sort_unstable();
        tally.lags.sort_unstable();
        tally
    }

    fn damage(
        &mut self,
        kind: &'static str,
        why: &str,
        count: impl FnOnce(&mut Self) -> &mut usize,
    ) {
        *count(self) += 1;
        self.examples.entry(kind).or_insert_with(|| why.to_owned());
    }

    fn refusals(&self) -> usize {
        self.refused.values().sum()
    }

    /// Calls that had an answer: the right one, or an error that says so.
    fn answered(&self) -> usize {
        self.complete + self.refusals() + self.cut
    }

    /// The share of right answers, in percent, among calls that had a way to one: a stream that was cut after content had none.
    pub(crate) fn success(&self) -> f64 {
        100.0 * self.complete as f64 / (self.offered - self.cut).max(1) as f64
    }

    /// The latency that a share `q` of the calls kept to.
    pub(crate) fn quantile(&self, q: f64) -> Duration {
        quantile(&self.latencies, q)
    }

    /// So late at most did the generator send, but for one call in a hundred.
    fn lag(&self) -> Duration {
        quantile(&self.lags, 0.99)
    }
}

/// The value that a share `q` of sorted `values` keeps to; zero where there is none.
pub(crate) fn quantile(values: &[Duration], q: f64) -> Duration {
    let rank = (values.len() as f64 * q).ceil() as usize;
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Milliseconds, for people.
pub(crate) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ..10.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// The figures of one scenario.
pub(crate) struct Row {
    name: String,
    gateway: &'static str,
    faults: String,
    tally: Tally,
    /// Requests that upstreams received for each one offered, where their counts are of these calls alone.
    pub(crate) amplification: Option<f64>,
    executed_twice: usize,
    rss: f64,
    fds: usize,
    wall: Duration,
    facts: Vec<String>,
    missed: Vec<String>,
    judged: bool,
}

impl Row {
    /// The figures that all scenarios have. `begun` is when its load began.
    pub(crate) fn new(
        name: &str,
        gateway: &'static str,
        tally: Tally,
        upstreams: &[Server],
        process: &Process,
        begun: Instant,
    ) -> Self {
        let mut faults = BTreeMap::<_, u64>::new();
        let (mut requests, mut twice) = (0, 0);
        let mut executed = BTreeMap::<_, u32>::new();
        for server in upstreams {
            let counts = server.counts();
            requests += counts.requests;
            for (fault, count) in counts.faults {
                *faults.entry(fault).or_default() += count;
            }
            for (nonce, received) in server.nonces() {
                let answers = executed.entry(nonce).or_default();
                *answers += received.answers;
                twice += usize::from(received.answers > 0 && *answers > 1);
            }
        }
        let faults: Vec<_> = faults
            .iter()
            .map(|(fault, count)| format!("{fault} {count}"))
            .collect();
        let lag = tally.lag();
        let mut row = Self {
            name: name.to_owned(),
            gateway,
            faults: faults.join(", "),
            amplification: Some(requests as f64 / tally.offered.max(1) as f64),
            executed_twice: twice,
            rss: process.max_rss(),
            fds: process.fds(),
            wall: begun.elapsed(),
            facts: Vec::new(),
            missed: Vec::new(),
            judged: true,
            tally,
        };
        for (what, count) in [
            ("lost", row.tally.lost),
            ("wrong", row.tally.wrong),
            ("silent damage", row.tally.silent),
        ] {
            row.target(count == 0, format!("{what} 0"));
        }
        if lag > Duration::from_millis(50) {
            row.fact(format!(
                "the machine did not hold the rate: calls left up to {} ms late",
                ms(lag)
            ));
        }
        row
    }

    /// For comparison only: it has no targets.
    pub(crate) fn unjudged(mut self) -> Self {
        self.judged = false;
        self
    }

    pub(crate) fn fact(&mut self, fact: impl Into<String>) {
        self.facts.push(fact.into());
    }

    /// A target; where it is missed, `words` says what should have been.
    pub(crate) fn target(&mut self, met: bool, words: impl Into<String>) {
        if !met {
            self.missed.push(words.into());
        }
    }

    /// The target that at least so many percent succeed.
    pub(crate) fn success_at_least(&mut self, percent: f64) {
        let met = self.tally.success() >= percent;
        self.target(met, format!("success ≥ {percent} %"));
    }

    /// The target that upstreams receive at most so many requests for each one offered.
    pub(crate) fn amplification_at_most(&mut self, times: f64) {
        let met = self.amplification.is_some_and(|own| own <= times);
        self.target(met, format!("amplification ≤ {times}"));
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn verdict(&self) -> String {
        match (self.judged, self.missed.as_slice()) {
            (false, _) => "for comparison".to_owned(),
            (true, []) => "met".to_owned(),
            (true, missed) => format!("**missed**: {}", missed.join("; ")),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let mut facts = self.facts.clone();
        if !tally.refused.is_empty() {
            let refused = tally
                .refused
                .iter()
                .map(|(kind, count)| format!("{kind}: {count}"));
            facts.push(format!(
                "refused {}",
                refused.collect::<Vec<_>>().join(", ")
            ));
        }
        if self.executed_twice > 0 {
            facts.push(format!("{} calls executed twice", self.executed_twice));
        }
        facts.extend(
            tally
                .examples
                .iter()
                .map(|(kind, why)| format!("{kind}, for example: {why}")),
        );
        let amplification = self
            .amplification
            .map_or("–".to_owned(), |times| format!("{times:.3}"));
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| ms(tally.quantile(q)));
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.3} | {amplification} | {p50} / {p99} / {p999} | {:.0} | {} | {:.0} | {} | {} | {} |",
            self.name,
            self.gateway,
            tally.offered,
            tally.answered(),
            tally.lost,
            tally.wrong,
            tally.silent,
            tally.refusals() + tally.cut,
            tally.success(),
            self.rss,
            self.fds,
            self.wall.as_secs_f64(),
            self.verdict(),
            facts.join("; ").replace('|', "\\|"),
            self.faults,
        )
    }
}

/// The figures of a run.
pub(crate) struct Report {
    seed: u64,
    size: Size,
    pub(crate) rows: Vec<Row>,
    /// Scenarios that could not be run.
    pub(crate) broken: Vec<String>,
}

impl Report {
    pub(crate) fn new(lab: &Lab) -> Self {
        Self {
            seed: lab.seed,
            size: lab.size,
            rows: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Whether everything ran and every target was reached.
    pub(crate) fn is_met(&self) -> bool {
        let missed = |row: &Row| row.judged && !row.missed.is_empty();
        self.broken.is_empty() && !self.rows.iter().any(missed)
    }

    /// Whether everything ran and nothing was lost, wrong or cut in silence.
    pub(crate) fn is_undamaged(&self) -> bool {
        let damaged = |row: &Row| {
            let tally = &row.tally;
            row.judged && tally.lost + tally.wrong + tally.silent > 0
        };
        self.broken.is_empty() && !self.rows.iter().any(damaged)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.size {
            Size::Quick => "quick",
            Size::Usual => "usual",
            Size::Long => "long",
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        writeln!(
            f,
            "Counts: {size}. Seed: {}. Commit: {}. Cores: {cores}.\n",
            self.seed,
            commit()
        )?;
        writeln!(
            f,
            "| scenario | gateway | offered | answered | lost | wrong | silent damage | explicit errors | success % | amplification | P50 / P99 / P99.9 ms | max RSS MiB | fds at end | wall s | targets | figures | faults |"
        )?;
        writeln!(f, "|---|---|{}", "---:|".repeat(12) + "---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for broken in &self.broken {
            writeln!(f, "\nNot run: {broken}")?;
        }
        Ok(())
    }
}

/// The commit that this was built from, as far as git tells.
fn commit() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(if folder.is_dir() {
            folder
        } else {
            Path::new(".")
        })
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: Outcome, ms: u64) -> Answer {
        Answer {
            outcome,
            status: 200,
            due: Instant::now(),
            latency: Duration::from_millis(ms),
            lag: Duration::ZERO,
            attempts: 1,
            model: String::new(),
            target: String::new(),
            fingerprint: String::new(),
        }
    }

    #[test]
    fn a_stream_cut_after_content_is_neither_success_nor_failure_of_failover() {
        let mut answers = vec![answer(Outcome::Complete, 1); 8];
        answers.push(answer(Outcome::Cut, 1));
        answers.push(answer(Outcome::Refused("x".to_owned()), 1));
        let tally = Tally::of(&answers);
        assert!((tally.success() - 100.0 * 8.0 / 9.0).abs() < 1e-9);
        assert_eq!((tally.answered(), tally.lost), (10, 0));
    }

    #[test]
    fn quantiles_are_latencies_that_occurred() {
        let answers: Vec<_> = (1..=200)
            .rev()
            .map(|ms| answer(Outcome::Complete, ms))
            .collect();
        let tally = Tally::of(&answers);
        assert_eq!(tally.quantile(0.5), Duration::from_millis(100));
        assert_eq!(tally.quantile(0.99), Duration::from_millis(198));
        assert_eq!(tally.quantile(1.0), Duration::from_millis(200));
        assert_eq!(Tally::default().quantile(0.5), Duration::ZERO);
    }
}
