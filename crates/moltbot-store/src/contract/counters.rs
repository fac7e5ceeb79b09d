//! Cases of [`Counters`](crate::Counters).

use moltbot_types::Workspace;

use super::at;
use crate::Store;
use crate::counters::Counter;

fn counter(workspace: &str, what: &str, began: i64, used: i64) -> Counter {
    Counter {
        workspace: Workspace::from(workspace),
        scope: "key:key_1".to_owned(),
        what: what.to_owned(),
        began: at(began),
        used,
    }
}

/// A counter is saved over itself, and over no other.
pub async fn the_last_state_counts(store: &Store) {
    let (a, b) = (counter("a", "requests", 0, 1), counter("a", "tokens", 0, 1));
    let other = counter("b", "requests", 0, 9);
    let save = |counters| store.counters.save(counters);
    save(vec![a, b.clone(), other.clone()]).await.expect("kept");
    let later = counter("a", "requests", 60, 2);
    save(vec![later.clone()]).await.expect("kept");
    let kept = store.counters.load(at(0)).await.expect("read");
    assert_eq!(kept, [later.clone(), b, other]);
    let young = store.counters.load(at(60)).await.expect("read");
    assert_eq!(young, [later]);
}

/// Windows that ended are forgotten.
pub async fn old_counters_are_forgotten(store: &Store) {
    let young = counter("a", "tokens", 60, 1);
    let both = vec![counter("a", "requests", 0, 1), young.clone()];
    store.counters.save(both).await.expect("kept");
    store.counters.forget(at(60)).await.expect("forgotten");
    assert_eq!(store.counters.load(at(0)).await, Ok(vec![young]));
}
