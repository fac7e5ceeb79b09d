//! Cases of [`Experiments`](crate::Experiments).

use moltbot_types::Workspace;

use super::at;
use crate::experiments::{Definition, ExperimentRow, RowKind};
use crate::{Store, StoreError};

fn definition(workspace: &str, name: &str) -> Definition {
    Definition {
        workspace: Workspace::from(workspace),
        name: name.to_owned(),
        json: r#"{"models":["a","b"]}"#.to_owned(),
        created: at(0),
    }
}

fn row(workspace: &str, kind: RowKind, subject: &str, json: &str) -> ExperimentRow {
    ExperimentRow {
        workspace: Workspace::from(workspace),
        name: "t".to_owned(),
        kind,
        subject: subject.to_owned(),
        json: json.to_owned(),
    }
}

async fn rows(store: &Store, workspace: &str) -> Vec<ExperimentRow> {
    let workspace = Workspace::from(workspace);
    let rows = store.experiments.rows(&workspace, "t", 0, 100).await;
    rows.expect("read").0
}

/// Two workspaces may use one name.
pub async fn a_name_is_taken_once_in_a_workspace(store: &Store) {
    let (a, b) = (definition("a", "t"), definition("b", "t"));
    store.experiments.create(a.clone()).await.expect("kept");
    store.experiments.create(b.clone()).await.expect("kept");
    let again = store.experiments.create(a.clone()).await;
    assert_eq!(again, Err(StoreError::Duplicate("t".to_owned())));
    assert_eq!(store.experiments.all().await, Ok(vec![a, b]));
}

/// Rows are told in order, page by page; a second row of one subject changes nothing.
pub async fn rows_come_back_in_order_and_count_once(store: &Store) {
    let told = [
        row("a", RowKind::Exposure, "u1", "0"),
        row("a", RowKind::Outcome, "u1", "1"),
        row("a", RowKind::Exposure, "u2", "2"),
    ];
    for row in &told {
        store.experiments.append(row).expect("taken");
    }
    let again = row("a", RowKind::Exposure, "u1", "9");
    store.experiments.append(&again).expect("taken");
    let other = row("b", RowKind::Exposure, "u1", "3");
    store.experiments.append(&other).expect("taken");
    store.experiments.settle().await.expect("settled");
    assert_eq!(rows(store, "a").await, told);
    assert_eq!(rows(store, "b").await, [other]);
    let a = Workspace::from("a");
    let (first, last) = store.experiments.rows(&a, "t", 0, 2).await.expect("read");
    assert_eq!(first, told[..2]);
    let (rest, end) = store
        .experiments
        .rows(&a, "t", last, 2)
        .await
        .expect("read");
    assert_eq!(rest, told[2..]);
    let none = store.experiments.rows(&a, "t", end, 2).await;
    assert_eq!(none, Ok((Vec::new(), end)));
}

/// Feedback may change its mind.
pub async fn the_last_judgement_counts(store: &Store) {
    for json in ["0.1", "0.9"] {
        let judged = row("a", RowKind::Feedback, "r1/feedback", json);
        store.experiments.append(&judged).expect("taken");
        store.experiments.settle().await.expect("settled");
    }
    let last = row("a", RowKind::Feedback, "r1/feedback", "0.9");
    assert_eq!(rows(store, "a").await, [last]);
}

/// Another workspace's request leads nowhere.
pub async fn a_request_leads_to_its_experiment(store: &Store) {
    let outcome = row("a", RowKind::Outcome, "r1", "1");
    store.experiments.append(&outcome).expect("taken");
    let of = |workspace: &str, kind| {
        let workspace = Workspace::from(workspace);
        async move { store.experiments.with_row(&workspace, kind, "r1").await }
    };
    assert_eq!(of("a", RowKind::Outcome).await, Ok(Some("t".to_owned())));
    assert_eq!(of("a", RowKind::Exposure).await, Ok(None));
    assert_eq!(of("b", RowKind::Outcome).await, Ok(None));
}
