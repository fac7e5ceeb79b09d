use super::*;

#[tokio::test(start_paused = true)]
async fn the_model_sees_the_last_turns_and_the_new_message() {
    let settings = Settings {
        context_window: 2,
        rate_limit: Rate {
            count: 100,
            per: Duration::from_secs(60),
        },
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    for text in ["one", "two", "three", "four"] {
        rig.hear(said("u1", text, text)).await;
        rig.settle().await;
    }
    let last = rig.mind.prompts().pop().unwrap();
    let roles = last.matches("\"role\"").count();
    assert_eq!(roles, 5, "{last}");
    assert!(!last.contains("one") && last.contains("two") && last.contains("three"));
}

#[tokio::test(start_paused = true)]
async fn a_window_of_0_sees_the_new_message_alone() {
    let settings = Settings {
        context_window: 0,
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    rig.hear(said("u1", "1", "one")).await;
    rig.settle().await;
    rig.hear(said("u1", "2", "two")).await;
    rig.settle().await;
    assert!(!rig.mind.prompts()[1].contains("one"));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_one_sender_reaches_anothers_prompt() {
    let rig = Rig::start(Plan::default());
    let threads = [None, Some("t1".to_owned()), Some("t2".to_owned())];
    for round in 0..4 {
        for sender in ["ann", "bob", "eve"] {
            for (place, thread) in threads.iter().enumerate() {
                let text = format!("secret-of-{sender}-{place}");
                let id = format!("{sender}{round}{place}");
                let message = Message {
                    thread: thread.clone(),
                    ..said(sender, &id, &text)
                };
                rig.hear(message).await;
            }
        }
        rig.settle().await;
    }
    let prompts = rig.mind.prompts();
    assert_eq!(prompts.len(), 36);
    for prompt in prompts {
        let secrets: std::collections::HashSet<_> = prompt
            .match_indices("secret-of-")
            .map(|(at, _)| prompt[at..].split(['"', '\\']).next().unwrap())
            .collect();
        assert_eq!(secrets.len(), 1, "{prompt}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_keeps_its_order_and_others_do_not_wait_for_it() {
    let settings = Settings {
        rate_limit: Rate {
            count: 10_000,
            per: Duration::from_secs(60),
        },
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    for number in 0..20 {
        for sender in 0..10 {
            let (sender, text) = (format!("u{sender}"), format!("u{sender} {number:02}"));
            rig.hear(said(&sender, &text, &text)).await;
        }
    }
    rig.settle().await;
    let texts = rig.platform.texts();
    assert_eq!(texts.len(), 200);
    for sender in 0..10 {
        let of = texts
            .iter()
            .filter(|text| text.starts_with(&format!("u{sender} ")));
        let of: Vec<_> = of.collect();
        assert!(of.is_sorted(), "{of:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_conversation_never_has_two_turns_at_once_and_all_have_a_bound() {
    let settings = Settings {
        turns: 3,
        rate_limit: Rate {
            count: 10_000,
            per: Duration::from_secs(60),
        },
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    rig.mind.held.store(true, Ordering::SeqCst);
    for id in 0..4 {
        rig.hear(said("u1", &id.to_string(), "x")).await;
    }
    sleep(Duration::from_millis(50)).await;
    assert_eq!(rig.mind.most.load(Ordering::SeqCst), 1);
    for sender in 2..20 {
        rig.hear(said(&format!("u{sender}"), &format!("m{sender}"), "x"))
            .await;
    }
    sleep(Duration::from_millis(50)).await;
    assert_eq!(rig.mind.most.load(Ordering::SeqCst), 3);
    assert!(rig.driver.status().queued >= 3);
    rig.mind.held.store(false, Ordering::SeqCst);
    for _ in 0..30 {
        rig.mind.go.notify_waiters();
        sleep(Duration::from_millis(5)).await;
    }
    rig.settle().await;
    assert_eq!(rig.platform.texts().len(), 22);
}

#[tokio::test(start_paused = true)]
async fn messages_above_the_bound_are_refused_and_nothing_of_them_is_kept() {
    let settings = Settings {
        waiting: 2,
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    rig.mind.held.store(true, Ordering::SeqCst);
    rig.hear(said("u1", "m0", "x")).await;
    sleep(Duration::from_millis(50)).await;
    rig.hear(said("u1", "m1", "x")).await;
    rig.hear(said("u1", "m2", "x")).await;
    assert!(
        rig.driver
            .accept(vec![said("u1", "m3", "x")])
            .await
            .is_err()
    );
    let scope = &rig.driver.0.scope;
    assert_eq!(rig.stores.inbox.find(scope, "m3").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_an_ended_process_left_is_answered_by_the_next_once_and_in_order() {
    let rig = Rig::start(Plan::default());
    rig.mind.held.store(true, Ordering::SeqCst);
    for id in ["m1", "m2", "m3"] {
        rig.hear(said("u1", id, id)).await;
    }
    sleep(Duration::from_millis(20)).await;
    // The turn of m1 runs: it is dropped as a killed process would drop it.
    let (stores, driver) = (rig.stores.clone(), rig.driver.clone());
    rig.running.abort();
    driver.stop();
    let next = Rig::on(Plan::default(), stores, Arc::default());
    next.settle().await;
    assert_eq!(next.platform.texts(), ["m1", "m2", "m3"]);
    next.hear(said("u1", "m2", "m2")).await;
    next.settle().await;
    assert_eq!(next.platform.texts().len(), 3);
}
