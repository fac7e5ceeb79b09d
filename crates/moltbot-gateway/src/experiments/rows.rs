//! The rows of one comparison, as the store keeps them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moltbot_abtest::{Exposure, Exposures, Outcome, Row, State, UnitId};
use moltbot_store::experiments::{ExperimentRow, RowKind};
use moltbot_store::{Experiments, Store};
use moltbot_types::{ModelName, RequestId, Usage, Workspace};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

/// Where one comparison writes its rows, and those that it had written before.
pub(super) struct Rows {
    store: Arc<dyn Experiments>,
    workspace: Workspace,
    name: String,
    kept: Mutex<Vec<Row>>,
}

#[derive(Serialize, Deserialize)]
struct Ended {
    unit: String,
    success: bool,
    latency_ns: u64,
    first_token_ns: Option<u64>,
    usage: Usage,
    /// Whole billionths of a US dollar: what is read is what was written.
    cost_nano: u64,
    fallback: Option<ModelName>,
}

#[derive(Serialize, Deserialize)]
struct Given {
    arm: u16,
    epoch: u16,
}

#[derive(Serialize, Deserialize)]
struct Entered {
    state: State,
    winner: Option<u16>,
}

impl Rows {
    pub(super) fn new(store: &Store, workspace: &Workspace, name: &str) -> Self {
        Self {
            store: Arc::clone(&store.experiments),
            workspace: workspace.clone(),
            name: name.to_owned(),
            kept: Mutex::default(),
        }
    }

    /// Takes rows over that were written before. One that can't be read is left out, and said.
    pub(super) fn keep(&mut self, rows: &[ExperimentRow]) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            match read(row) {
                Some(row) => kept.push(row),
                None => {
                    warn!(
                        experiment = self.name,
                        subject = row.subject,
                        "a row of a comparison can't be read"
                    );
                }
            }
        }
    }
}

impl Exposures for Rows {
    fn append(&self, row: &Row) -> io::Result<()> {
        let (kind, subject, json) = write(row);
        let row = ExperimentRow {
            workspace: self.workspace.clone(),
            name: self.name.clone(),
            kind,
            subject,
            json: json.to_string(),
        };
        self.store.append(&row).map_err(io::Error::other)
    }

    /// Tells the rows once: whoever opens a comparison holds them from then on.
    fn replay(&self, each: &mut dyn FnMut(&Row)) -> io::Result<()> {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        kept.iter().for_each(each);
        Ok(())
    }
}

fn write(row: &Row) -> (RowKind, String, serde_json::Value) {
    match row {
        Row::Exposure(Exposure { unit, arm, epoch }) => (
            RowKind::Exposure,
            hex(*unit),
            json!(Given {
                arm: *arm,
                epoch: *epoch
            }),
        ),
        Row::Outcome(outcome) => {
            let ended = Ended {
                unit: hex(outcome.unit),
                success: outcome.success,
                latency_ns: nanos(outcome.latency),
                first_token_ns: outcome.first_token.map(nanos),
                usage: outcome.usage,
                cost_nano: (outcome.cost * 1e9).round() as u64,
                fallback: outcome.fallback.clone(),
            };
            (RowKind::Outcome, outcome.request.to_string(), json!(ended))
        }
        Row::Feedback {
            request,
            metric,
            value,
        } => (
            RowKind::Feedback,
            format!("{request} {metric}"),
            json!(value),
        ),
        Row::Weights { epoch, weights } => (RowKind::Weights, epoch.to_string(), json!(weights)),
        // A test may be promoted twice, so each change has a name of its own.
        Row::State { state, winner } => (
            RowKind::State,
            RequestId::new().to_string(),
            json!(Entered {
                state: *state,
                winner: *winner
            }),
        ),
    }
}

fn read(row: &ExperimentRow) -> Option<Row> {
    let (subject, json) = (&*row.subject, &*row.json);
    Some(match row.kind {
        RowKind::Exposure => {
            let given: Given = serde_json::from_str(json).ok()?;
            Row::Exposure(Exposure {
                unit: unit(subject)?,
                arm: given.arm,
                epoch: given.epoch,
            })
        }
        RowKind::Outcome => {
            let ended: Ended = serde_json::from_str(json).ok()?;
            Row::Outcome(Outcome {
                request: subject.parse().ok()?,
                unit: unit(&ended.unit)?,
                success: ended.success,
                latency: Duration::from_nanos(ended.latency_ns),
                first_token: ended.first_token_ns.map(Duration::from_nanos),
                usage: ended.usage,
                cost: ended.cost_nano as f64 / 1e9,
                fallback: ended.fallback,
            })
        }
        RowKind::Feedback => {
            let (request, metric) = subject.split_once(' ')?;
            Row::Feedback {
                request: request.parse().ok()?,
                metric: metric.to_owned(),
                value: json.parse().ok()?,
            }
        }
        RowKind::Weights => Row::Weights {
            epoch: subject.parse().ok()?,
            weights: serde_json::from_str(json).ok()?,
        },
        RowKind::State => {
            let entered: Entered = serde_json::from_str(json).ok()?;
            Row::State {
                state: entered.state,
                winner: entered.winner,
            }
        }
    })
}

fn hex(unit: UnitId) -> String {
    format!("{:032x}", unit.to_bits())
}

fn unit(text: &str) -> Option<UnitId> {
    Some(UnitId::from_bits(u128::from_str_radix(text, 16).ok()?))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_back_as_it_was_written() {
        let (request, unit) = (RequestId::new(), UnitId::from_bits(7));
        let usage = Usage {
            input: 9,
            output: 3,
            estimated: true,
        };
        for row in [
            Row::Exposure(Exposure {
                unit,
                arm: 1,
                epoch: 2,
            }),
            Row::Outcome(Outcome {
                request,
                unit,
                success: true,
                latency: Duration::from_nanos(1_234_567),
                first_token: Some(Duration::from_nanos(12)),
                usage,
                cost: 0.000_008_5,
                fallback: Some("b".into()),
            }),
            Row::Feedback {
                request,
                metric: "feedback".to_owned(),
                value: 0.25,
            },
            Row::Weights {
                epoch: 1,
                weights: vec![1.0, 3.5],
            },
            Row::State {
                state: State::Promoted,
                winner: Some(1),
            },
        ] {
            let (kind, subject, json) = write(&row);
            let stored = ExperimentRow {
                workspace: Workspace::default(),
                name: "t".to_owned(),
                kind,
                subject,
                json: json.to_string(),
            };
            assert_eq!(read(&stored), Some(row));
        }
    }
}
