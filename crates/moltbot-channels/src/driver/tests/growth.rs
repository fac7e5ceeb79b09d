use moltbot_store::inbox::Arrival;
use moltbot_store::outbox::State;

use super::*;
use crate::growth::row_id;

/// Says ten words, one each 400 ms.
fn slow() -> Arc<Mind> {
    let mind = Mind::default();
    *mind.says.lock().unwrap() =
        Some("one two three four five six seven eight nine ten".to_owned());
    *mind.pace.lock().unwrap() = Duration::from_millis(400);
    Arc::new(mind)
}

fn plan(faults: Vec<SendError>, idempotent: bool) -> Plan {
    Plan {
        platform: Platform {
            faults: Mutex::new(faults),
            capabilities: Capabilities {
                edit: true,
                idempotent,
                ..Capabilities::default()
            },
            ..Platform::default()
        },
        ..Plan::default()
    }
}

async fn rows(stores: &Stores) -> Vec<Row> {
    let workspace = Workspace::default();
    let list = stores.outbox.list(&workspace, Timestamp::UNIX_EPOCH);
    list.await.unwrap()
}

const WHOLE: &str = "one two three four five six seven eight nine ten";

#[tokio::test(start_paused = true)]
async fn an_answer_grows_by_edits_at_most_one_a_second_the_last_one_whole() {
    let rig = Rig::on(plan(Vec::new(), false), stores(), slow());
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rig.platform.texts(), ["one two "]);
    let edits = rig.platform.edits.lock().unwrap().clone();
    assert!(edits.len() >= 3, "{edits:?}");
    assert_eq!(edits.last().unwrap().1, WHOLE);
    let mut before = "one two ".to_owned();
    for (id, text) in &edits {
        assert!(id.starts_with("sent-"));
        assert!(text.starts_with(&before), "the whole text so far: {text}");
        before.clone_from(text);
    }
    let times = rig.platform.times.lock().unwrap().clone();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.min().unwrap() >= Duration::from_secs(1));
    let rows = rows(&rig.stores).await;
    assert_eq!((rows.len(), rows[0].state), (1, State::Delivered));
    assert_eq!(rig.platform.sent.lock().unwrap()[0].key, rows[0].row.id);
}

#[tokio::test(start_paused = true)]
async fn a_quick_answer_is_sent_whole_and_not_edited() {
    let rig = Rig::start(plan(Vec::new(), false));
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rig.platform.texts(), ["hello"]);
    assert!(rig.platform.edits.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_stream_an_answer_does_not_grow() {
    let mut plan = plan(Vec::new(), false);
    plan.settings.stream = false;
    let rig = Rig::on(plan, stores(), slow());
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rig.platform.texts(), [WHOLE]);
    assert!(rig.platform.edits.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_limit_while_it_grows_is_waited_out() {
    let after = Some(Duration::from_secs(3));
    let reason = "429".to_owned();
    let rig = Rig::on(
        plan(vec![SendError::Later { reason, after }], false),
        stores(),
        slow(),
    );
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rig.platform.texts().len(), 1);
    assert_eq!(rig.platform.edits.lock().unwrap().last().unwrap().1, WHOLE);
    assert_eq!(rows(&rig.stores).await[0].state, State::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_first_text_of_unknown_outcome_is_repeated_only_where_the_platform_knows_it() {
    let lost = || vec![SendError::Unknown("no answer".to_owned())];
    let rig = Rig::on(plan(lost(), false), stores(), slow());
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert!(rig.platform.texts().is_empty());
    let kept = rows(&rig.stores).await;
    assert_eq!((kept.len(), kept[0].state), (1, State::Unknown));
    assert!(
        kept[0].row.body.contains(WHOLE),
        "an operator may have the whole sent"
    );

    let rig = Rig::on(plan(lost(), true), stores(), slow());
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rig.platform.texts().len(), 1);
    assert_eq!(rows(&rig.stores).await[0].state, State::Delivered);
}

#[tokio::test(start_paused = true)]
async fn after_a_death_the_text_that_stands_there_becomes_the_answer() {
    let stores = stores();
    let scope = Scope {
        workspace: Workspace::default(),
        channel: String::new(),
    };
    // What a process left that died while an answer grew: the message, and a text in the room.
    let message = said("u1", "m1", "hello");
    let arrival = Arrival {
        id: message.id.clone(),
        event: None,
        lane: "l".to_owned(),
        body: serde_json::to_string(&message).unwrap(),
        at: Timestamp::now(),
        trace: RequestId::new().to_string(),
        ended: None,
    };
    stores.inbox.arrive(&scope, vec![arrival]).await.unwrap();
    let id = row_id(&scope, "m1");
    let row = NewRow {
        id: id.clone(),
        lane: "l".to_owned(),
        to: "r1".to_owned(),
        body: serde_json::to_string(&Letter {
            place: message.place(),
            chunk: Chunk::default(),
            in_reply_to: None,
            sender: None,
        })
        .unwrap(),
        trace: String::new(),
        created: Timestamp::now(),
        expires: Timestamp::MAX,
        sent: Some("stands".to_owned()),
    };
    stores.outbox.put(&scope, vec![row]).await.unwrap();
    stores.outbox.begin(&id, Timestamp::now()).await.unwrap();
    let rig = Rig::on(plan(Vec::new(), false), stores, Arc::default());
    rig.settle().await;
    assert!(rig.platform.texts().is_empty(), "no second text");
    let edits = rig.platform.edits.lock().unwrap().clone();
    assert_eq!(edits, [("stands".to_owned(), "hello".to_owned())]);
    let rows = rows(&rig.stores).await;
    assert_eq!((rows.len(), rows[0].state), (1, State::Delivered));
}

#[tokio::test(start_paused = true)]
async fn the_platform_is_told_that_an_answer_is_written() {
    let mut plan = plan(Vec::new(), false);
    plan.platform.capabilities = Capabilities {
        typing: true,
        ..Capabilities::default()
    };
    let mind = slow();
    *mind.pace.lock().unwrap() = Duration::from_secs(1);
    plan.settings.stream = true;
    let rig = Rig::on(plan, stores(), mind);
    rig.mind.held.store(true, Ordering::SeqCst);
    rig.hear(said("u1", "m1", "hello")).await;
    sleep(Duration::from_secs(9)).await;
    rig.mind.go.notify_one();
    rig.settle().await;
    assert_eq!(rig.platform.typed.load(Ordering::SeqCst), 3);
    assert_eq!(rig.platform.texts(), [WHOLE]);
}
