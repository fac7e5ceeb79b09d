use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_is_answered_where_it_was_said() {
    let rig = Rig::start(Plan::default());
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    let sent = rig.platform.sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].text.as_str(), sent[0].place.room.as_str()),
        ("hello", "r1")
    );
    assert_eq!(sent[0].in_reply_to.as_deref(), Some("m1"));
    assert_eq!(rig.counted(Way::In, Outcome::Answered), 1);
    assert_eq!(rig.counted(Way::Out, Outcome::Answered), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_costs_no_call_and_is_counted() {
    let rig = Rig::start(Plan::default());
    for _ in 0..3 {
        rig.hear(said("u1", "m1", "hello")).await;
    }
    rig.settle().await;
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    assert_eq!(rig.platform.texts(), ["hello"]);
    assert_eq!(rig.mind.prompts().len(), 1);
    assert_eq!(rig.counted(Way::In, Outcome::Duplicate), 3);
}

#[tokio::test(start_paused = true)]
async fn two_events_of_one_message_are_one_turn_and_a_mention_if_either_says_so() {
    for first_is_mention in [true, false] {
        let rig = Rig::start(Plan::default());
        let event = |event: &str, mentioned| Message {
            event: Some(event.to_owned()),
            group: true,
            mentioned,
            ..said("u1", "m1", "hello")
        };
        rig.hear(event("e1", first_is_mention)).await;
        rig.hear(event("e2", !first_is_mention)).await;
        rig.hear(event("e2", !first_is_mention)).await;
        rig.settle().await;
        assert_eq!(
            rig.platform.texts(),
            ["hello"],
            "mention first: {first_is_mention}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_for_the_bot_costs_nothing() {
    let settings = Settings {
        allow: vec!["u1".to_owned()],
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    rig.hear(said("u2", "m1", "hello")).await;
    rig.hear(Message {
        from_bot: true,
        ..said("u1", "m2", "hello")
    })
    .await;
    rig.hear(Message {
        group: true,
        ..said("u1", "m3", "hello")
    })
    .await;
    rig.settle().await;
    assert!(rig.platform.texts().is_empty() && rig.mind.prompts().is_empty());
    assert_eq!(rig.counted(Way::In, Outcome::Ignored), 3);
}

#[tokio::test(start_paused = true)]
async fn a_sender_above_his_limit_hears_so_once_at_once_and_without_a_call() {
    let settings = Settings {
        rate_limit: Rate {
            count: 2,
            per: Duration::from_secs(60),
        },
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    rig.mind.held.store(true, Ordering::SeqCst);
    for id in 0..5 {
        rig.hear(said("u1", &id.to_string(), "你好")).await;
    }
    sleep(Duration::from_secs(1)).await;
    let texts = rig.platform.texts();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("消息太多了"), "{texts:?}");
    rig.mind.held.store(false, Ordering::SeqCst);
    rig.mind.go.notify_one();
    rig.settle().await;
    assert_eq!(
        (rig.mind.prompts().len(), rig.platform.texts().len()),
        (2, 3)
    );
    assert_eq!(rig.counted(Way::In, Outcome::Limited), 3);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_or_says_nothing_gives_a_notice_without_a_detail() {
    let rig = Rig::start(Plan::default());
    rig.mind.fails.store(true, Ordering::SeqCst);
    rig.hear(said("u1", "m1", "hello")).await;
    rig.hear(said("u1", "m2", "你好")).await;
    rig.settle().await;
    rig.mind.fails.store(false, Ordering::SeqCst);
    *rig.mind.says.lock().unwrap() = Some(" \n".to_owned());
    rig.hear(said("u1", "m3", "hello")).await;
    rig.settle().await;
    let texts = rig.platform.texts();
    assert!(
        texts[0].starts_with("Sorry") && texts[1].starts_with("抱歉"),
        "{texts:?}"
    );
    assert!(texts[2].starts_with("Sorry"), "{texts:?}");
    assert!(!texts.concat().contains("secret-host"));
    assert_eq!(rig.counted(Way::In, Outcome::Failed), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_text_gets_a_short_notice() {
    let rig = Rig::start(Plan::default());
    let sticker = Message {
        content: crate::message::Content::Other,
        ..said("u1", "m1", "")
    };
    rig.hear(sticker).await;
    rig.settle().await;
    assert_eq!(
        rig.platform.texts(),
        ["Only text messages are understood here."]
    );
    assert!(rig.mind.prompts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waited_too_long_is_not_answered_and_not_asked() {
    let plan = || Plan {
        settings: Settings {
            reply_ttl: Duration::ZERO,
            ..Settings::default()
        },
        ..Plan::default()
    };
    let rig = Rig::start(plan());
    std::thread::sleep(Duration::from_millis(2));
    rig.hear(said("u1", "m1", "hello")).await;
    rig.settle().await;
    // It arrived this very millisecond, or is too late: never both asked and unsent for another reason.
    let expired = rig.counted(Way::In, Outcome::Expired);
    let late = rig.counted(Way::Out, Outcome::Expired);
    assert_eq!(expired + late, 1);
    assert!(rig.platform.texts().is_empty());
}
