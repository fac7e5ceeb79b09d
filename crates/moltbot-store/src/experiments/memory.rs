//! Experiments that end with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use moltbot_types::Workspace;

use super::{Definition, ExperimentRow, Experiments, RowKind};
use crate::error::{Result, StoreError};
use crate::lock;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    definitions: Vec<Definition>,
    rows: Vec<ExperimentRow>,
    index: BTreeMap<(Workspace, String, RowKind, String), usize>,
}

#[async_trait]
impl Experiments for Memory {
    async fn create(&self, definition: Definition) -> Result<()> {
        let mut books = lock(&self.0);
        let same = |other: &Definition| {
            (&other.workspace, &other.name) == (&definition.workspace, &definition.name)
        };
        if books.definitions.iter().any(same) {
            return Err(StoreError::Duplicate(definition.name));
        }
        books.definitions.push(definition);
        Ok(())
    }

    async fn all(&self) -> Result<Vec<Definition>> {
        Ok(lock(&self.0).definitions.clone())
    }

    fn append(&self, row: &ExperimentRow) -> Result<()> {
        let mut books = lock(&self.0);
        let next = books.rows.len();
        let key = (
            row.workspace.clone(),
            row.name.clone(),
            row.kind,
            row.subject.clone(),
        );
        let at = *books.index.entry(key).or_insert(next);
        if at == next {
            books.rows.push(row.clone());
        } else if row.kind.last_counts() {
            books.rows[at] = row.clone();
        }
        Ok(())
    }

    async fn settle(&self) -> Result<()> {
        Ok(())
    }

    async fn rows(
        &self,
        workspace: &Workspace,
        name: &str,
        after: i64,
        most: u32,
    ) -> Result<(Vec<ExperimentRow>, i64)> {
        let books = lock(&self.0);
        let asked = (1..).zip(&books.rows).filter(|(number, row)| {
            *number > after && row.workspace == *workspace && row.name == name
        });
        let mut last = after;
        let rows = asked.take(most as usize).map(|(number, row)| {
            last = number;
            row.clone()
        });
        Ok((rows.collect(), last))
    }

    async fn with_row(
        &self,
        workspace: &Workspace,
        kind: RowKind,
        subject: &str,
    ) -> Result<Option<String>> {
        let books = lock(&self.0);
        let found = books
            .rows
            .iter()
            .find(|row| row.workspace == *workspace && row.kind == kind && row.subject == subject);
        Ok(found.map(|row| row.name.clone()))
    }
}
