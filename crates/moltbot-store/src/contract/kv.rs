//! Cases of [`Kv`](crate::Kv).

use moltbot_types::Workspace;

use crate::kv::{LARGEST_VALUE, LONGEST_KEY};
use crate::{Store, StoreError};

/// The same key of another skill or workspace is another value.
pub async fn values_are_of_their_workspace_and_skill(store: &Store) {
    let (a, b) = (Workspace::from("a"), Workspace::from("b"));
    let set = |workspace, skill, json: &str| store.kv.set(workspace, skill, "k", json.to_owned());
    set(&a, "x", "1").await.expect("kept");
    set(&a, "y", "2").await.expect("kept");
    set(&b, "x", "3").await.expect("kept");
    set(&a, "x", r#"{"now":4}"#).await.expect("kept");
    let get = |workspace, skill| store.kv.get(workspace, skill, "k");
    assert_eq!(get(&a, "x").await, Ok(Some(r#"{"now":4}"#.to_owned())));
    assert_eq!(get(&b, "x").await, Ok(Some("3".to_owned())));
    assert_eq!(store.kv.delete(&a, "x", "k").await, Ok(true));
    assert_eq!(store.kv.delete(&a, "x", "k").await, Ok(false));
    assert_eq!(get(&a, "x").await, Ok(None));
    assert_eq!(get(&a, "y").await, Ok(Some("2".to_owned())));
}

/// A value or key above its bound is refused, and what was there stays.
pub async fn a_large_value_is_refused(store: &Store) {
    let a = Workspace::from("a");
    let most = format!("\"{}\"", "x".repeat(LARGEST_VALUE - 2));
    store
        .kv
        .set(&a, "x", "k", most.clone())
        .await
        .expect("kept");
    let more = store.kv.set(&a, "x", "k", format!("{most} ")).await;
    assert!(matches!(more, Err(StoreError::TooLarge { .. })), "{more:?}");
    assert_eq!(store.kv.get(&a, "x", "k").await, Ok(Some(most)));
    let long = "k".repeat(LONGEST_KEY + 1);
    let long = store.kv.set(&a, "x", &long, "1".to_owned()).await;
    assert!(matches!(long, Err(StoreError::TooLarge { .. })), "{long:?}");
}
