//! Cases of [`Ledger`](crate::Ledger).

use moltbot_types::{ModelName, RequestId, Usage, Workspace};

use super::at;
use crate::Store;
use crate::ledger::{LedgerRow, UsageQuery, UsageRow};

/// A day in seconds.
const DAY: i64 = 86_400;

fn row(workspace: &str, served: &str, key: Option<&str>, seconds: i64) -> LedgerRow {
    LedgerRow {
        request: RequestId::new(),
        at: at(seconds),
        workspace: Workspace::from(workspace),
        model: ModelName::from("asked"),
        served: ModelName::from(served),
        key: key.map(str::to_owned),
        usage: Usage {
            input: 10,
            output: 3,
            estimated: false,
        },
        cost_nano: 75,
        cached: false,
        status: 200,
    }
}

fn sum(workspace: &str, model: &str, key: Option<&str>, day: &str, calls: u64) -> UsageRow {
    UsageRow {
        workspace: Workspace::from(workspace),
        model: ModelName::from(model),
        key: key.map(str::to_owned),
        day: day.parse().expect("a day"),
        calls,
        tokens_in: 10 * calls,
        tokens_out: 3 * calls,
        cost_nano: 75 * calls.cast_signed(),
    }
}

fn append(store: &Store, rows: &[LedgerRow]) {
    for row in rows {
        store.ledger.append(row).expect("taken");
    }
}

async fn usage(store: &Store, query: UsageQuery) -> Vec<UsageRow> {
    store.ledger.usage(&query).await.expect("read")
}

/// Every row counts in the sum of its day, and what was appended is seen at once.
pub async fn sums_are_exact_by_workspace_model_key_and_day(store: &Store) {
    append(
        store,
        &[
            row("a", "m", Some("key_1"), 0),
            row("a", "m", Some("key_1"), 1),
            row("a", "m", None, 2),
            row("a", "n", None, 3),
            row("b", "m", Some("key_2"), 4),
            row("a", "m", None, DAY),
        ],
    );
    let first = [
        sum("a", "m", None, "2023-11-14", 1),
        sum("a", "m", Some("key_1"), "2023-11-14", 2),
        sum("a", "n", None, "2023-11-14", 1),
        sum("b", "m", Some("key_2"), "2023-11-14", 1),
        sum("a", "m", None, "2023-11-15", 1),
    ];
    assert_eq!(usage(store, UsageQuery::default()).await, first);
    append(store, &[row("b", "m", Some("key_2"), 5)]);
    let second = usage(store, UsageQuery::default()).await;
    assert_eq!(second[3], sum("b", "m", Some("key_2"), "2023-11-14", 2));
}

/// A journal may tell a row again.
pub async fn a_row_told_twice_counts_once(store: &Store) {
    let row = row("a", "m", None, 0);
    append(store, &[row.clone(), row.clone()]);
    let once = [sum("a", "m", None, "2023-11-14", 1)];
    assert_eq!(usage(store, UsageQuery::default()).await, once);
    append(store, &[row]);
    assert_eq!(usage(store, UsageQuery::default()).await, once);
}

/// Each part of a query narrows it.
pub async fn a_query_narrows(store: &Store) {
    append(
        store,
        &[
            row("a", "m", Some("key_1"), 0),
            row("b", "n", None, DAY),
            row("a", "n", Some("key_3"), 2 * DAY),
        ],
    );
    let day = |text: &str| Some(text.parse().expect("a day"));
    let all = UsageQuery::default;
    for (query, found) in [
        (all(), 3),
        (
            UsageQuery {
                workspace: Some(Workspace::from("a")),
                ..all()
            },
            2,
        ),
        (
            UsageQuery {
                model: Some(ModelName::from("n")),
                ..all()
            },
            2,
        ),
        (
            UsageQuery {
                key: Some("key_3".to_owned()),
                ..all()
            },
            1,
        ),
        (
            UsageQuery {
                since: day("2023-11-15"),
                ..all()
            },
            2,
        ),
        (
            UsageQuery {
                since: day("2023-11-15"),
                until: day("2023-11-15"),
                ..all()
            },
            1,
        ),
    ] {
        assert_eq!(usage(store, query.clone()).await.len(), found, "{query:?}");
    }
}

/// A row comes back as it was appended, for its own workspace.
pub async fn a_request_is_found_in_its_workspace_alone(store: &Store) {
    let row = row("a", "m", Some("key_1"), 0);
    append(store, std::slice::from_ref(&row));
    let find = |workspace: &str, request| {
        let workspace = Workspace::from(workspace);
        async move { store.ledger.find(&workspace, request).await.expect("read") }
    };
    assert_eq!(find("a", row.request).await, Some(row.clone()));
    assert_eq!(find("b", row.request).await, None);
    assert_eq!(find("a", RequestId::new()).await, None);
}

/// Old rows go, what they cost does not.
pub async fn sums_outlive_their_rows(store: &Store) {
    let (old, young) = (row("a", "m", None, 0), row("a", "m", None, 10));
    append(store, &[old.clone(), young.clone()]);
    let before = usage(store, UsageQuery::default()).await;
    store.ledger.forget(at(10)).await.expect("forgotten");
    let a = Workspace::from("a");
    assert_eq!(store.ledger.find(&a, old.request).await, Ok(None));
    assert_eq!(store.ledger.find(&a, young.request).await, Ok(Some(young)));
    assert_eq!(usage(store, UsageQuery::default()).await, before);
}
