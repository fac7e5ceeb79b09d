use moltbot_store::outbox::State;

use super::*;

async fn rows(rig: &Rig) -> Vec<Row> {
    let workspace = Workspace::default();
    let list = rig.stores.outbox.list(&workspace, Timestamp::UNIX_EPOCH);
    list.await.unwrap()
}

fn plan(idempotent: bool, faults: Vec<SendError>) -> Plan {
    Plan {
        platform: Platform {
            faults: Mutex::new(faults),
            capabilities: Capabilities {
                idempotent,
                ..Capabilities::default()
            },
            ..Platform::default()
        },
        ..Plan::default()
    }
}

fn unknown() -> SendError {
    SendError::Unknown("no answer".to_owned())
}

fn later() -> SendError {
    SendError::Later {
        reason: "429".to_owned(),
        after: Some(Duration::from_secs(7)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_wants_to_be_left_alone_is_and_gets_the_same_key_again() {
    let rig = Rig::start(plan(false, vec![later(), later()]));
    let begun = Instant::now();
    rig.hear(said("u1", "m1", "hello")).await;
    sleep(Duration::from_secs(6)).await;
    assert!(rig.platform.texts().is_empty());
    rig.settle().await;
    assert!(begun.elapsed() >= Duration::from_secs(14));
    let rows = rows(&rig).await;
    assert_eq!((rows[0].state, rows[0].attempts), (State::Delivered, 3));
    assert_eq!(rig.platform.sent.lock().unwrap()[0].key, rows[0].row.id);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_repeated_only_where_the_platform_knows_it_is_the_same() {
    let rig = Rig::start(plan(true, vec![unknown()]));
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rows(&rig).await[0].state, State::Delivered);

    let rig = Rig::start(plan(false, vec![unknown()]));
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    let rows = rows(&rig).await;
    assert_eq!((rows[0].state, rows[0].attempts), (State::Unknown, 1));
    assert!(rig.platform.texts().is_empty());
    assert_eq!(rig.counted(Way::Out, Outcome::Failed), 1);
    // An operator may have it sent all the same.
    let (now, end) = (Timestamp::now(), Timestamp::MAX);
    let workspace = Workspace::default();
    let id = rows[0].row.id.clone();
    let row = rig
        .stores
        .outbox
        .resend(&workspace, &id, now, end)
        .await
        .unwrap();
    rig.driver.resume_row(row.unwrap());
    rig.settle().await;
    assert_eq!(rig.platform.texts(), ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_that_is_found_in_the_history_is_delivered() {
    let mut plan = plan(false, vec![unknown()]);
    plan.platform.finds = true;
    let rig = Rig::start(plan);
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rows(&rig).await[0].state, State::Delivered);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_its_marks_is_sent_once_more_as_plain_text() {
    let marks = || SendError::Marks("can't parse entities".to_owned());
    let rig = Rig::start(plan(false, vec![marks()]));
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rig.platform.texts(), ["plain hello"]);
    assert!(!rig.platform.sent.lock().unwrap()[0].marked);

    let rig = Rig::start(plan(false, vec![marks(), marks()]));
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rows(&rig).await[0].state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_sending_has_failed_and_the_rest_of_the_answer_goes_on() {
    let refused = SendError::Refused("channel_not_found".to_owned());
    let rig = Rig::start(plan(false, vec![refused]));
    rig.hear(said("u1", "m1", "one|||two")).await;
    rig.settle().await;
    let states: Vec<_> = rows(&rig).await.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Failed, State::Delivered]);
    assert_eq!(
        rows(&rig).await[0].error.as_deref(),
        Some("channel_not_found")
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_row_is_not_sent_any_more() {
    let rig = Rig::start(plan(true, vec![later(), later(), later(), later()]));
    rig.hear(said("u1", "m1", "hello")).await;
    sleep(Duration::from_secs(1)).await;
    let id = rows(&rig).await[0].row.id.clone();
    let outbox = &rig.stores.outbox;
    assert!(
        outbox
            .discard(&Workspace::default(), &id, Timestamp::now())
            .await
            .unwrap()
    );
    rig.settle().await;
    assert_eq!(rows(&rig).await[0].state, State::Dropped);
    assert!(rig.platform.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sending_that_was_under_way_when_the_process_ended_is_repeated_only_with_a_key() {
    for (idempotent, state) in [(true, State::Delivered), (false, State::Unknown)] {
        let stores = stores();
        let scope = Scope {
            workspace: Workspace::default(),
            channel: String::new(),
        };
        let letter = Letter {
            place: Place::default(),
            chunk: Chunk {
                text: "hello".to_owned(),
                ..Chunk::default()
            },
            in_reply_to: None,
            sender: None,
        };
        let row = row(&letter, "lane", "trace", Timestamp::MAX);
        let id = row.id.clone();
        stores.outbox.put(&scope, vec![row]).await.unwrap();
        stores.outbox.begin(&id, Timestamp::now()).await.unwrap();
        let rig = Rig::on(plan(idempotent, Vec::new()), stores, Arc::default());
        rig.settle().await;
        let rows = rows(&rig).await;
        assert_eq!(
            (rows[0].state, rig.platform.texts().len()),
            (state, usize::from(idempotent))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_turn_that_runs_and_its_answer() {
    let rig = Rig::start(Plan::default());
    rig.mind.held.store(true, Ordering::SeqCst);
    rig.hear(said("u1", "m1", "one")).await;
    rig.hear(said("u1", "m2", "two")).await;
    sleep(Duration::from_millis(20)).await;
    let mind = Arc::clone(&rig.mind);
    rig.driver.stop();
    mind.held.store(false, Ordering::SeqCst);
    mind.go.notify_one();
    let (stores, mind, platform) = rig.stop().await;
    assert_eq!(platform.texts(), ["one"]);
    let next = Rig::on(Plan::default(), stores, mind);
    next.settle().await;
    assert_eq!(next.platform.texts(), ["two"]);
}
