//! Cases of [`Outbox`](crate::Outbox).

use moltbot_types::Workspace;

use super::at;
use crate::inbox::{Arrival, Arrived, End, Finish, Scope};
use crate::outbox::{NewRow, Settled, State};
use crate::{Store, StoreError};

fn scope() -> Scope {
    Scope {
        workspace: "a".into(),
        channel: "x".to_owned(),
    }
}

fn row(id: &str) -> NewRow {
    NewRow {
        id: id.to_owned(),
        lane: "lane".to_owned(),
        to: "r1".to_owned(),
        body: format!("text of {id}"),
        trace: "trace".to_owned(),
        created: at(0),
        expires: at(600),
        sent: None,
    }
}

fn settled(state: State, error: Option<&str>) -> Settled {
    Settled {
        state,
        error: error.map(str::to_owned),
        sent: None,
        at: at(10),
    }
}

async fn put(store: &Store, ids: &[&str]) {
    let rows = ids.iter().map(|id| row(id)).collect();
    store.outbox.put(&scope(), rows).await.expect("kept");
}

async fn state(store: &Store, id: &str) -> State {
    let row = store.outbox.get(&"a".into(), id).await.expect("read");
    row.expect("kept").state
}

/// Rows come back in order, with their keys and what was noted of their tries.
pub async fn sendings_keep_their_order_and_their_keys(store: &Store) {
    put(store, &["3", "1", "2"]).await;
    let outbox = &store.outbox;
    let taken = outbox.put(&scope(), vec![row("9"), row("1")]).await;
    assert!(matches!(taken, Err(StoreError::Duplicate(_))), "{taken:?}");
    assert_eq!(outbox.begin("1", at(5)).await, Ok(true));
    let note = Settled {
        sent: Some("ts".to_owned()),
        ..settled(State::Sending, None)
    };
    assert_eq!(outbox.settle("1", note).await, Ok(true));
    let later = settled(State::Prepared, Some("429"));
    assert_eq!(outbox.settle("1", later).await, Ok(true));
    assert_eq!(outbox.begin("1", at(20)).await, Ok(true));
    let open = outbox.open(&scope()).await.expect("read");
    let ids: Vec<_> = open.iter().map(|row| row.row.id.as_str()).collect();
    assert_eq!(ids, ["3", "1", "2"]);
    let tried = &open[1];
    assert_eq!((tried.state, tried.attempts), (State::Sending, 2));
    assert_eq!(tried.row.sent.as_deref(), Some("ts"));
    assert_eq!(
        (&tried.row.body, tried.row.expires),
        (&"text of 1".to_owned(), at(600))
    );
}

/// Once it is closed, nothing but an operator moves it.
pub async fn a_closed_row_is_not_tried_again(store: &Store) {
    put(store, &["1", "2"]).await;
    let outbox = &store.outbox;
    outbox.begin("1", at(1)).await.expect("begun");
    let delivered = settled(State::Delivered, None);
    assert_eq!(outbox.settle("1", delivered).await, Ok(true));
    assert_eq!(outbox.begin("1", at(2)).await, Ok(false));
    let late = settled(State::Failed, Some("late"));
    assert_eq!(outbox.settle("1", late).await, Ok(false));
    assert_eq!(state(store, "1").await, State::Delivered);
    assert_eq!(outbox.discard(&"a".into(), "2", at(3)).await, Ok(true));
    assert_eq!(outbox.begin("2", at(4)).await, Ok(false));
    assert_eq!(outbox.discard(&"a".into(), "2", at(5)).await, Ok(false));
    assert_eq!(outbox.discard(&"a".into(), "1", at(5)).await, Ok(false));
    assert_eq!(outbox.begin("none", at(5)).await, Ok(false));
}

/// `unknown`, `failed` and `expired` may be sent again, with time to do so; open and delivered ones not.
pub async fn only_what_did_not_arrive_is_resent(store: &Store) {
    let states = [
        State::Unknown,
        State::Failed,
        State::Expired,
        State::Delivered,
        State::Prepared,
    ];
    let a = Workspace::from("a");
    for (index, closed) in states.into_iter().enumerate() {
        let id = index.to_string();
        put(store, &[&id]).await;
        store.outbox.begin(&id, at(1)).await.expect("begun");
        let noted = store.outbox.settle(&id, settled(closed, Some("why"))).await;
        noted.expect("noted");
        let resent = store.outbox.resend(&a, &id, at(1000), at(1600)).await;
        let resent = resent.expect("kept");
        assert_eq!(resent.is_some(), closed.may_be_resent(), "{closed}");
        if let Some(row) = resent {
            let open = (row.state, row.error, row.row.expires);
            assert_eq!(open, (State::Prepared, None, at(1600)));
        }
    }
}

/// Another workspace neither sees nor moves it; a list shows what is open, and what was closed lately.
pub async fn a_row_is_of_its_workspace(store: &Store) {
    put(store, &["1", "2", "3"]).await;
    let (a, b) = (Workspace::from("a"), Workspace::from("b"));
    let outbox = &store.outbox;
    assert_eq!(outbox.get(&b, "1").await, Ok(None));
    assert_eq!(outbox.discard(&b, "1", at(1)).await, Ok(false));
    assert_eq!(outbox.list(&b, at(0)).await, Ok(Vec::new()));
    outbox.discard(&a, "1", at(100)).await.expect("dropped");
    outbox.discard(&a, "2", at(200)).await.expect("dropped");
    assert_eq!(outbox.resend(&b, "1", at(1), at(2)).await, Ok(None));
    let ids = async |since| {
        let list = outbox.list(&a, since).await.expect("read");
        let ids = list.into_iter().map(|row| row.row.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(at(150)).await, ["2", "3"]);
    outbox.forget(at(150)).await.expect("forgotten");
    assert_eq!(ids(at(0)).await, ["2", "3"]);
}

/// A row whose text was shown while it grew becomes the answer: same key, same text on the platform.
pub async fn a_text_that_grew_is_prepared_anew(store: &Store) {
    let arrival = Arrival {
        id: "m".to_owned(),
        event: None,
        lane: "lane".to_owned(),
        body: String::new(),
        at: at(0),
        trace: "trace".to_owned(),
        ended: None,
    };
    let arrived = store.inbox.arrive(&scope(), vec![arrival]).await;
    let Arrived::New(seq) = arrived.expect("kept")[0] else {
        panic!("known");
    };
    put(store, &["1"]).await;
    store.outbox.begin("1", at(1)).await.expect("begun");
    let shown = Settled {
        sent: Some("ts".to_owned()),
        ..settled(State::Sending, None)
    };
    store.outbox.settle("1", shown).await.expect("noted");
    let whole = NewRow {
        body: "all of it".to_owned(),
        ..row("1")
    };
    let finish = Finish {
        seq,
        end: End {
            outcome: "answered".to_owned(),
            answer: None,
        },
        rows: vec![whole, row("2")],
        session: None,
    };
    assert_eq!(store.inbox.finish(&scope(), finish).await, Ok(true));
    let open = store.outbox.open(&scope()).await.expect("read");
    assert_eq!(open.len(), 2);
    assert_eq!(
        (open[0].state, open[0].row.body.as_str()),
        (State::Prepared, "all of it")
    );
    assert_eq!(open[0].row.sent.as_deref(), Some("ts"));
}
