//! Cases of [`Inbox`](crate::Inbox).

use super::at;
use crate::Store;
use crate::inbox::{Arrival, Arrived, End, Finish, Scope};
use crate::outbox::NewRow;
use crate::sessions::{Change, Exchange, What};

fn scope(channel: &str) -> Scope {
    Scope {
        workspace: "a".into(),
        channel: channel.to_owned(),
    }
}

fn arrival(id: &str, event: Option<&str>) -> Arrival {
    Arrival {
        id: id.to_owned(),
        event: event.map(str::to_owned),
        lane: "lane".to_owned(),
        body: format!("body of {id}"),
        at: at(0),
        trace: "trace".to_owned(),
        ended: None,
    }
}

fn ended(outcome: &str) -> End {
    End {
        outcome: outcome.to_owned(),
        answer: None,
    }
}

fn finish(seq: i64) -> Finish {
    Finish {
        seq,
        end: End {
            outcome: "answered".to_owned(),
            answer: Some("hi".to_owned()),
        },
        rows: Vec::new(),
        session: None,
    }
}

async fn arrive(store: &Store, scope: &Scope, arrival: Arrival) -> Arrived {
    let arrived = store.inbox.arrive(scope, vec![arrival]).await;
    arrived.expect("kept")[0]
}

fn seq(arrived: Arrived) -> i64 {
    match arrived {
        Arrived::New(seq) | Arrived::Reopened(seq) => seq,
        Arrived::Known => panic!("known"),
    }
}

/// A platform's id is known in its own channel alone, by message and by event.
pub async fn a_message_is_kept_once_in_its_channel(store: &Store) {
    let (x, y) = (scope("x"), scope("y"));
    let many = vec![
        arrival("1", Some("e1")),
        arrival("2", None),
        arrival("1", None),
    ];
    let arrived = store.inbox.arrive(&x, many).await.expect("kept");
    assert!(seq(arrived[0]) < seq(arrived[1]));
    assert_eq!(arrived[2], Arrived::Known);
    let again = arrive(store, &x, arrival("3", Some("e1"))).await;
    assert_eq!(again, Arrived::Known);
    let elsewhere = arrive(store, &y, arrival("1", Some("e1"))).await;
    assert!(matches!(elsewhere, Arrived::New(_)));
    let waiting = store.inbox.waiting(&x).await.expect("read");
    let bodies: Vec<_> = waiting.iter().map(|kept| kept.body.as_str()).collect();
    assert_eq!(bodies, ["body of 1", "body of 2"]);
    let found = store.inbox.find(&x, "2").await.expect("read");
    assert_eq!(found.as_ref(), Some(&waiting[1]));
    assert_eq!(store.inbox.find(&x, "4").await, Ok(None));
}

/// An event without an end opens a message that came with one; a further one does not.
pub async fn what_was_ended_as_it_came_is_opened_by_a_later_event(store: &Store) {
    let x = scope("x");
    let held = || Arrival {
        ended: Some(ended("ignored")),
        body: String::new(),
        ..arrival("1", Some("e1"))
    };
    let first = arrive(store, &x, held()).await;
    assert_eq!(store.inbox.waiting(&x).await, Ok(Vec::new()));
    assert_eq!(arrive(store, &x, held()).await, Arrived::Known);
    let opened = arrive(store, &x, arrival("1", Some("e2"))).await;
    assert_eq!(opened, Arrived::Reopened(seq(first)));
    let waiting = store.inbox.waiting(&x).await.expect("read");
    assert_eq!(waiting[0].body, "body of 1");
    let again = arrive(store, &x, arrival("1", Some("e2"))).await;
    assert_eq!(again, Arrived::Known);
    assert_eq!(arrive(store, &x, held()).await, Arrived::Known);
    assert_eq!(store.inbox.waiting(&x).await.expect("read").len(), 1);
}

/// The end, the rows and what the conversation learns are one step, and happen once.
pub async fn a_message_ends_once_with_all_that_comes_of_it(store: &Store) {
    let x = scope("x");
    let seq = seq(arrive(store, &x, arrival("1", None)).await);
    let with_all = Finish {
        rows: vec![NewRow {
            id: "row".to_owned(),
            lane: "lane".to_owned(),
            to: "r1".to_owned(),
            body: "text".to_owned(),
            trace: "trace".to_owned(),
            created: at(1),
            expires: at(2),
            sent: None,
        }],
        session: Some(Change {
            key: "talk".to_owned(),
            at: at(1),
            alive_since: at(0),
            what: What::Said {
                exchange: Exchange::default(),
                keep: 5,
            },
        }),
        ..finish(seq)
    };
    let inbox = &store.inbox;
    assert_eq!(inbox.finish(&scope("y"), with_all.clone()).await, Ok(false));
    assert_eq!(inbox.finish(&x, with_all.clone()).await, Ok(true));
    assert_eq!(inbox.finish(&x, with_all).await, Ok(false));
    let kept = inbox.find(&x, "1").await.expect("read").expect("kept");
    let answer = kept.end.expect("ended").answer;
    assert_eq!((answer.as_deref(), kept.body.as_str()), (Some("hi"), ""));
    assert_eq!(store.outbox.open(&x).await.expect("read").len(), 1);
    let talk = store.sessions.load("talk", 5, at(0)).await.expect("read");
    assert_eq!(talk.exchanges.len(), 1);
    assert_eq!(arrive(store, &x, arrival("1", None)).await, Arrived::Known);
}

/// Only what is ended is forgotten, and only by its age.
pub async fn what_waits_is_never_forgotten(store: &Store) {
    let x = scope("x");
    let old = seq(arrive(store, &x, arrival("old", Some("e1"))).await);
    arrive(store, &x, arrival("waits", None)).await;
    let new = Arrival {
        at: at(100),
        ended: Some(ended("ignored")),
        ..arrival("new", None)
    };
    arrive(store, &x, new).await;
    store.inbox.finish(&x, finish(old)).await.expect("kept");
    store.inbox.forget(at(50)).await.expect("forgotten");
    let there = async |id| store.inbox.find(&x, id).await.expect("read").is_some();
    assert_eq!(
        (there("old").await, there("waits").await, there("new").await),
        (false, true, true)
    );
    let again = arrive(store, &x, arrival("old", Some("e1"))).await;
    assert!(matches!(again, Arrived::New(_)));
}
