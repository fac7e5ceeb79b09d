//! A ledger that ends with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use moltbot_types::{ModelName, RequestId, Workspace};

use super::{Ledger, LedgerRow, Sums, UsageQuery, UsageRow, day};
use crate::error::Result;
use crate::lock;

type Key = (Date, Workspace, ModelName, Option<String>);

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    rows: BTreeMap<RequestId, LedgerRow>,
    days: BTreeMap<Key, Sums>,
}

#[async_trait]
impl Ledger for Memory {
    fn append(&self, row: &LedgerRow) -> Result<()> {
        let mut books = lock(&self.0);
        if books.rows.contains_key(&row.request) {
            return Ok(());
        }
        books.rows.insert(row.request, row.clone());
        let key = (
            day(row.at),
            row.workspace.clone(),
            row.served.clone(),
            row.key.clone(),
        );
        books
            .days
            .entry(key)
            .or_default()
            .add(row.usage, row.cost_nano);
        Ok(())
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>> {
        let books = lock(&self.0);
        let asked = books
            .days
            .iter()
            .filter(|((day, workspace, model, key), _)| {
                query
                    .workspace
                    .as_ref()
                    .is_none_or(|asked| asked == workspace)
                    && query.model.as_ref().is_none_or(|asked| asked == model)
                    && query
                        .key
                        .as_ref()
                        .is_none_or(|asked| Some(asked) == key.as_ref())
                    && query.since.is_none_or(|since| *day >= since)
                    && query.until.is_none_or(|until| *day <= until)
            });
        let row = |((day, workspace, model, key), sums): (&Key, &Sums)| UsageRow {
            workspace: workspace.clone(),
            model: model.clone(),
            key: key.clone(),
            day: *day,
            calls: sums.calls,
            tokens_in: sums.tokens_in,
            tokens_out: sums.tokens_out,
            cost_nano: sums.cost_nano,
        };
        Ok(asked.map(row).collect())
    }

    async fn find(&self, workspace: &Workspace, request: RequestId) -> Result<Option<LedgerRow>> {
        let books = lock(&self.0);
        let row = books.rows.get(&request);
        Ok(row.filter(|row| row.workspace == *workspace).cloned())
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        lock(&self.0).rows.retain(|_, row| row.at >= before);
        Ok(())
    }
}
