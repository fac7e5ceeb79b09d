//! Cases of [`Keys`](crate::Keys).

use moltbot_types::{Role, Workspace};

use super::at;
use crate::keys::{KeyRecord, Use};
use crate::{Store, StoreError};

fn key(workspace: &str, id: &str) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        digest: [7; 32],
        name: "ops".to_owned(),
        workspace: Workspace::from(workspace),
        role: Role::Operator,
        models: Some(vec!["local-*".to_owned()]),
        created: at(0),
        expires: Some(at(3600)),
        last_used: None,
        revoked: None,
        replaced_by: None,
        overlap_until: None,
    }
}

/// A key comes back as it was kept, and is of no other workspace.
pub async fn a_kept_key_is_found_in_its_workspace_alone(store: &Store) {
    let (a, b) = (key("a", "key_1"), key("b", "key_2"));
    store.keys.insert(a.clone()).await.expect("kept");
    store.keys.insert(b.clone()).await.expect("kept");
    let get = |workspace: &str, id: &'static str| {
        let workspace = Workspace::from(workspace);
        async move { store.keys.get(&workspace, id).await.expect("read") }
    };
    assert_eq!(get("a", "key_1").await, Some(a.clone()));
    assert_eq!(get("b", "key_1").await, None);
    assert_eq!(get("a", "key_3").await, None);
    let listed = store.keys.list(&a.workspace).await.expect("read");
    assert_eq!(listed, std::slice::from_ref(&a));
    assert_eq!(store.keys.all().await.expect("read"), [a, b]);
}

/// A second key of one id is refused, even in another workspace, and the first stays.
pub async fn an_id_is_taken_once(store: &Store) {
    store.keys.insert(key("a", "key_1")).await.expect("kept");
    let again = store.keys.insert(key("b", "key_1")).await;
    assert_eq!(again, Err(StoreError::Duplicate("key_1".to_owned())));
    assert_eq!(store.keys.all().await.expect("read"), [key("a", "key_1")]);
}

/// Revoking twice changes nothing; another workspace can't.
pub async fn a_revoked_key_keeps_its_first_time(store: &Store) {
    store.keys.insert(key("a", "key_1")).await.expect("kept");
    let (a, b) = (Workspace::from("a"), Workspace::from("b"));
    assert_eq!(store.keys.revoke(&b, "key_1", at(1)).await, Ok(false));
    assert_eq!(store.keys.revoke(&a, "key_1", at(2)).await, Ok(true));
    assert_eq!(store.keys.revoke(&a, "key_1", at(3)).await, Ok(true));
    let kept = store.keys.get(&a, "key_1").await.expect("read");
    assert_eq!(kept.and_then(|key| key.revoked), Some(at(2)));
}

/// The old key says which one took its place, and until when it is good.
pub async fn a_rotated_key_names_its_heir(store: &Store) {
    store.keys.insert(key("a", "key_1")).await.expect("kept");
    let rotated = store.keys.rotate("key_1", key("a", "key_2"), at(60)).await;
    assert_eq!(rotated, Ok(true));
    let a = Workspace::from("a");
    let old = store
        .keys
        .get(&a, "key_1")
        .await
        .expect("read")
        .expect("there");
    assert_eq!(old.replaced_by.as_deref(), Some("key_2"));
    assert_eq!(old.overlap_until, Some(at(60)));
    assert_eq!(
        store.keys.get(&a, "key_2").await,
        Ok(Some(key("a", "key_2")))
    );
}

/// A revoked, replaced or foreign key is not rotated, and no heir is kept.
pub async fn only_a_key_in_use_is_rotated(store: &Store) {
    store.keys.insert(key("a", "key_1")).await.expect("kept");
    store.keys.insert(key("a", "key_2")).await.expect("kept");
    let a = Workspace::from("a");
    let rotate = |id, next| store.keys.rotate(id, next, at(60));
    assert_eq!(rotate("key_1", key("b", "key_3")).await, Ok(false));
    assert_eq!(rotate("key_9", key("a", "key_3")).await, Ok(false));
    let taken = rotate("key_1", key("a", "key_2")).await;
    assert_eq!(taken, Err(StoreError::Duplicate("key_2".to_owned())));
    store
        .keys
        .revoke(&a, "key_2", at(1))
        .await
        .expect("revoked");
    assert_eq!(rotate("key_2", key("a", "key_3")).await, Ok(false));
    assert_eq!(rotate("key_1", key("a", "key_4")).await, Ok(true));
    assert_eq!(rotate("key_1", key("a", "key_5")).await, Ok(false));
    let ids = store.keys.all().await.expect("read");
    let ids: Vec<_> = ids.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["key_1", "key_2", "key_4"]);
}

/// Uses may be told late and out of order.
pub async fn the_latest_use_counts(store: &Store) {
    store.keys.insert(key("a", "key_1")).await.expect("kept");
    let used = |workspace: &str, seconds| Use {
        workspace: Workspace::from(workspace),
        id: "key_1".to_owned(),
        at: at(seconds),
    };
    let uses = vec![used("a", 5), used("b", 9), used("a", 3)];
    store.keys.touch(uses).await.expect("noted");
    let kept = store.keys.get(&Workspace::from("a"), "key_1").await;
    assert_eq!(
        kept.expect("read").and_then(|key| key.last_used),
        Some(at(5))
    );
}
