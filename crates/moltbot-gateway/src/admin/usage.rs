//! What calls used, from the ledger.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use moltbot_store::ledger::{UsageQuery, UsageRow};
use moltbot_types::admin::UsageSum;

use super::{Admin, Answer, Query, Refusal, json};

/// What sums can be told apart by.
const PARTS: [&str; 4] = ["workspace", "model", "key", "day"];

impl Admin {
    /// `?workspace=&model=&key=&since=&until=` narrow, `&by=model,day` says what rows are told apart by.
    pub(super) async fn usage(&self, query: &Query<'_>) -> Answer {
        let by = by(query.get("by").as_deref())?;
        let asked = UsageQuery {
            workspace: query.get("workspace").map(Into::into),
            model: query.get("model").map(Into::into),
            key: query.get("key"),
            since: day(query, "since")?,
            until: day(query, "until")?,
        };
        let rows = self.store().await?.ledger.usage(&asked).await?;
        json(&sums(rows, by))
    }
}

/// Which of [`PARTS`] rows are told apart by; all where nothing is said.
fn by(asked: Option<&str>) -> Result<[bool; 4], Refusal> {
    let Some(asked) = asked else {
        return Ok([true; 4]);
    };
    let mut by = [false; 4];
    for word in asked.split(',').map(str::trim) {
        let part = PARTS.iter().position(|part| *part == word);
        let part = part.ok_or_else(|| {
            let parts = PARTS.join(", ");
            Refusal::usage(format!(
                "usage can't be told apart by `{word}`; choose from {parts}"
            ))
        })?;
        by[part] = true;
    }
    Ok(by)
}

/// A day, or how long ago: `2026-11-25`, `7d`.
fn day(query: &Query<'_>, name: &str) -> Result<Option<Date>, Refusal> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    if let Ok(day) = text.parse() {
        return Ok(Some(day));
    }
    let at = moltbot_telemetry::since(&text, SystemTime::now())
        .ok()
        .and_then(|at| Timestamp::try_from(at).ok());
    let at = at.ok_or_else(|| {
        let message =
            format!("--{name} `{text}` is no day such as 2026-11-25 and no time such as 7d");
        Refusal::usage(message)
    })?;
    Ok(Some(at.to_zoned(TimeZone::UTC).date()))
}

/// The rows, added up over what they are not told apart by.
fn sums(rows: Vec<UsageRow>, by: [bool; 4]) -> Vec<UsageSum> {
    /// Billionths of a dollar are added as whole numbers.
    #[derive(Default)]
    struct Sum {
        calls: u64,
        tokens: [u64; 2],
        cost_nano: i64,
    }
    let [workspace, model, key, day] = by;
    let mut sums = BTreeMap::<_, Sum>::new();
    for row in rows {
        let sum = sums
            .entry((
                day.then(|| row.day.to_string()),
                workspace.then(|| row.workspace.to_string()),
                model.then(|| row.model.to_string()),
                row.key.filter(|_| key),
            ))
            .or_default();
        sum.calls += row.calls;
        sum.tokens[0] += row.tokens_in;
        sum.tokens[1] += row.tokens_out;
        sum.cost_nano += row.cost_nano;
    }
    let sums = sums.into_iter();
    sums.map(|((day, workspace, model, key), sum)| UsageSum {
        workspace,
        model,
        key,
        day,
        calls: sum.calls,
        tokens_in: sum.tokens[0],
        tokens_out: sum.tokens[1],
        cost_usd: sum.cost_nano as f64 / 1e9,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(model: &str, day: &str, calls: u64) -> UsageRow {
        UsageRow {
            workspace: "default".into(),
            model: model.into(),
            key: None,
            day: day.parse().unwrap(),
            calls,
            tokens_in: 10 * calls,
            tokens_out: calls,
            cost_nano: 2_500,
        }
    }

    #[test]
    fn rows_are_added_up_over_what_nobody_asked_for() {
        let rows = vec![
            row("a", "2026-11-24", 1),
            row("a", "2026-11-25", 2),
            row("b", "2026-11-25", 4),
        ];
        let by_model = sums(rows.clone(), by(Some("model")).unwrap());
        let told: Vec<_> = by_model
            .iter()
            .map(|sum| (sum.model.as_deref(), sum.calls))
            .collect();
        assert_eq!(told, [(Some("a"), 3), (Some("b"), 4)]);
        assert_eq!(by_model[0].cost_usd, 0.000_005);
        assert_eq!((&by_model[0].day, &by_model[0].workspace), (&None, &None));
        assert_eq!(sums(rows.clone(), by(Some("day, model")).unwrap()).len(), 3);
        assert_eq!(sums(rows, by(None).unwrap()).len(), 3);
        assert!(by(Some("colour")).is_err());
    }
}
