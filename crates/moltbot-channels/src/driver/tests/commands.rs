use super::*;

#[tokio::test(start_paused = true)]
async fn new_begins_a_context_and_costs_no_call() {
    let rig = Rig::start(Plan::default());
    for (id, text) in [("1", "first"), ("2", "/new@moltbot"), ("3", "second")] {
        rig.hear(said("u1", id, text)).await;
        rig.settle().await;
    }
    let prompts = rig.mind.prompts();
    assert_eq!(prompts.len(), 2);
    assert!(!prompts[1].contains("first"), "{}", prompts[1]);
}

#[tokio::test(start_paused = true)]
async fn a_model_holds_for_its_conversation_until_it_is_changed() {
    let rig = Rig::start(Plan::default());
    let said = |id: &str, text: &str, sender: &str| super::said(sender, id, text);
    for message in [
        said("1", "/model other", "u1"),
        said("2", "/new", "u1"),
        said("3", "a", "u1"),
        said("4", "b", "u2"),
        said("5", "/model forbidden", "u1"),
        said("6", "c", "u1"),
        said("7", "/model", "u1"),
    ] {
        rig.hear(message).await;
        rig.settle().await;
    }
    let prompts = rig.mind.prompts();
    let models: Vec<_> = prompts
        .iter()
        .map(|body| body.contains("\"other\""))
        .collect();
    assert_eq!(models, [true, false, true]);
    let texts = rig.platform.texts();
    assert!(
        texts[0].contains("`other` answers from now on"),
        "{texts:?}"
    );
    assert!(texts[4].contains("no model `forbidden`"), "{texts:?}");
    assert!(
        texts[6].contains("`main`") && texts[6].contains("`other`"),
        "{texts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_is_no_turn_and_help_says_what_can_be_asked() {
    let rig = Rig::start(Plan::default());
    rig.hear(said("u1", "1", "/help")).await;
    rig.settle().await;
    rig.hear(said("u1", "2", "a")).await;
    rig.settle().await;
    assert!(rig.platform.texts()[0].contains("/model NAME"));
    assert!(!rig.mind.prompts()[0].contains("help"));
}

#[tokio::test(start_paused = true)]
async fn a_greeting_comes_before_the_first_answer_alone_and_is_no_part_of_the_context() {
    let settings = Settings {
        greeting: Some("Welcome!".to_owned()),
        ..Settings::default()
    };
    let rig = Rig::start(Plan {
        settings,
        ..Plan::default()
    });
    for id in ["1", "2"] {
        rig.hear(said("u1", id, "hello")).await;
        rig.settle().await;
    }
    assert_eq!(rig.platform.texts(), ["Welcome!\n\nhello", "hello"]);
    assert!(!rig.mind.prompts()[1].contains("Welcome"));
}

#[tokio::test(start_paused = true)]
async fn a_trial_tells_its_steps_and_keeps_nothing() {
    let rig = Rig::start(Plan::default());
    let trial = rig
        .driver
        .simulate(said("u1", "t", "hello|||there"), false)
        .await;
    let steps: Vec<_> = trial
        .steps
        .iter()
        .map(|step| (step.step.as_str(), step.outcome.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            ("gate", "ok"),
            ("rate_limit", "ok"),
            ("filter_in", "skipped"),
            ("session", "ok"),
            ("skills", "skipped"),
            ("model", "ok"),
            ("filter_out", "skipped"),
            ("render", "ok"),
            ("send", "skipped"),
        ]
    );
    assert_eq!(trial.answer.as_deref(), Some("hello|||there"));
    assert_eq!(trial.chunks, ["hello", "there"]);
    assert!(rig.platform.texts().is_empty());
    let trial = rig.driver.simulate(said("u1", "t", "again"), true).await;
    assert_eq!(trial.steps.last().unwrap().outcome, "ok");
    assert_eq!(rig.platform.texts(), ["again"]);
    assert!(
        !rig.mind.prompts()[1].contains("hello"),
        "no session learnt"
    );
    let failed = rig
        .driver
        .simulate(
            Message {
                from_bot: true,
                ..said("u1", "t", "x")
            },
            false,
        )
        .await;
    assert_eq!(
        (failed.steps.len(), failed.steps[0].outcome.as_str()),
        (1, "stopped")
    );
}
