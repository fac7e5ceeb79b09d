//! The example skills, each with its own cases.

use std::path::Path;

use bytes::Bytes;
use moltbot_skills::{Outcome, Said, folder, woken};
use moltbot_types::{Caller, Workspace};
use serde_json::json;

use crate::support::Home;

async fn shop() -> Home {
    let home = Home::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/skills");
    for entry in std::fs::read_dir(examples).unwrap().flatten() {
        let to = home.dir.path().join("skills").join(entry.file_name());
        folder::copy(&entry.path(), &to).unwrap();
    }
    let wrong = home.library.look(&[]).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    for listed in home.library.list(&Workspace::default()) {
        home.library
            .enable(&Workspace::default(), &listed.name)
            .unwrap();
    }
    home
}

/// Who would wake first for a text, and what it says.
async fn says(home: &Home, said: Said) -> (String, Outcome) {
    let ready = home.library.ready(&Workspace::default());
    let woken = woken(&ready, &said.text).into_iter().next().unwrap();
    let said = Said {
        hit: Some(woken.hit),
        ..said
    };
    let ended = home.library.run(woken.skill, said).await;
    (woken.skill.name().to_owned(), ended.outcome)
}

fn text(text: &str) -> Said {
    Said {
        sender: Some("u1".into()),
        channel: Some("web".into()),
        ..Said::text(Caller::anonymous(), text)
    }
}

#[tokio::test]
async fn each_example_answers_its_cases() {
    let home = shop().await;
    let body = json!({ "status": "on its way", "id": "T-7" }).to_string();
    *home.outside.answer.lock().unwrap() = Some(Bytes::from(body));
    for (said, skill, answer) in [
        ("/order 7", "order-status", "Order 7: on its way."),
        (
            "where is order 12?",
            "order-status",
            "Order 12: on its way.",
        ),
        ("我的订单 8 呢", "order-status", "Order 8: on its way."),
        (
            "/order",
            "order-status",
            "Which order? Write /order and its number.",
        ),
        (
            "How can I return something",
            "faq",
            "Within 30 days, with the slip that came in the parcel.",
        ),
        ("请问如何退货", "faq", "三十天内，凭包裹中的单据退货。"),
        (
            "/remind buy milk",
            "reminder",
            "I will remind you: buy milk",
        ),
        ("/remind", "reminder", "- buy milk"),
        ("/convert 3 mi to km", "units", "3 mi = 4.82803 km"),
        ("100 f in c", "units", "100 f = 37.7778 c"),
        (
            "/convert 3 kg to km",
            "units",
            "Write for example: /convert 3 mi to km",
        ),
        ("/summary", "summary", "There is nothing to sum up yet."),
        (
            "I want a human!",
            "handover",
            "A person has your request T-7 and will write to you here.",
        ),
        (
            "转人工",
            "handover",
            "A person has your request T-7 and will write to you here.",
        ),
    ] {
        let (name, outcome) = says(&home, text(said)).await;
        assert_eq!(
            (name.as_str(), outcome),
            (skill, Outcome::Answer(answer.into())),
            "{said}"
        );
    }
    let (name, outcome) = says(&home, text("tell me a joke")).await;
    assert_eq!((name.as_str(), outcome), ("faq", Outcome::Nothing));
    let tickets = home
        .outside
        .fetched
        .lock()
        .unwrap()
        .iter()
        .filter(|sent| sent.url.contains("desk"))
        .count();
    assert_eq!(tickets, 1, "one ticket a sender and day");
}

#[tokio::test]
async fn a_summary_comes_from_the_model_and_a_reminder_is_told_by_time_once() {
    let home = shop().await;
    let history = vec![("user".to_owned(), "hello".to_owned())];
    let (_, outcome) = says(
        &home,
        Said {
            history,
            ..text("/summary")
        },
    )
    .await;
    assert_eq!(outcome, Outcome::Answer("primary-model says hello".into()));
    says(&home, text("/remind call Ann")).await;
    let reminder = home.library.any(&Workspace::default(), "reminder").unwrap();
    let by_time = || {
        home.library
            .run(&reminder, Said::text(Caller::anonymous(), ""))
    };
    assert_eq!(
        by_time().await.outcome,
        Outcome::Answer("Today:\n- call Ann".into())
    );
    assert_eq!(by_time().await.outcome, Outcome::Nothing);
    assert_eq!(reminder.schedules().count(), 1);
}
