//! Cases of [`Sessions`](crate::Sessions).

use super::at;
use crate::Store;
use crate::sessions::{Change, Exchange, Session, What};

fn said(key: &str, text: &str, second: i64) -> Change {
    Change {
        key: key.to_owned(),
        at: at(second),
        alive_since: at(second - 100),
        what: What::Said {
            exchange: Exchange {
                user: text.to_owned(),
                assistant: format!("re {text}"),
            },
            keep: 3,
        },
    }
}

async fn change(store: &Store, change: Change) {
    store.sessions.change(change).await.expect("kept");
}

async fn texts(store: &Store, key: &str, turns: usize, alive_since: i64) -> Vec<String> {
    let session = store.sessions.load(key, turns, at(alive_since)).await;
    let exchanges = session.expect("read").exchanges.into_iter();
    exchanges.map(|exchange| exchange.user).collect()
}

/// Oldest first, as many as are asked for and kept, and nothing of another conversation.
pub async fn the_last_exchanges_are_told_in_order(store: &Store) {
    for (second, text) in ["1", "2", "3", "4"].into_iter().enumerate() {
        change(store, said("a", text, second as i64)).await;
    }
    change(store, said("b", "other", 5)).await;
    assert_eq!(texts(store, "a", 2, 0).await, ["3", "4"]);
    assert_eq!(texts(store, "a", 9, 0).await, ["2", "3", "4"]);
    assert_eq!(texts(store, "a", 0, 0).await, Vec::<String>::new());
    let none = store.sessions.load("c", 9, at(0)).await;
    assert_eq!(none, Ok(Session::default()));
}

/// A conversation that was silent too long has not begun, and nothing of it comes back.
pub async fn a_conversation_ends_without_messages(store: &Store) {
    change(store, said("a", "old", 0)).await;
    let session = store.sessions.load("a", 9, at(1)).await.expect("read");
    assert_eq!((session.begun, session.exchanges.len()), (false, 0));
    change(store, said("a", "new", 1000)).await;
    assert_eq!(texts(store, "a", 9, 0).await, ["new"]);
    let touched = Change {
        what: What::Touched,
        ..said("a", "", 1050)
    };
    change(store, touched).await;
    change(store, said("a", "newer", 1140)).await;
    assert_eq!(texts(store, "a", 9, 0).await, ["new", "newer"]);
    store.sessions.forget(at(2000), at(0)).await.expect("done");
    let session = store.sessions.load("a", 9, at(0)).await.expect("read");
    assert_eq!((session.begun, session.exchanges.len()), (true, 0));
    store.sessions.forget(at(0), at(2000)).await.expect("done");
    let gone = store.sessions.load("a", 9, at(0)).await;
    assert_eq!(gone, Ok(Session::default()));
}

/// What was said is gone; the model that was chosen stays until another is.
pub async fn a_cleared_conversation_keeps_its_model(store: &Store) {
    change(store, said("a", "1", 1)).await;
    let with = |what, second| Change {
        what,
        ..said("a", "", second)
    };
    let model = What::Model(Some("m".to_owned()));
    change(store, with(model, 2)).await;
    change(store, with(What::Cleared, 3)).await;
    let session = store.sessions.load("a", 9, at(0)).await.expect("read");
    assert!(session.begun && session.exchanges.is_empty());
    assert_eq!(session.model.as_deref(), Some("m"));
    change(store, with(What::Model(None), 4)).await;
    let session = store.sessions.load("a", 9, at(0)).await.expect("read");
    assert_eq!(session.model, None);
}
