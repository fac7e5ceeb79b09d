use std::collections::HashSet;
use std::time::Duration;

use moltbot_types::Usage;

use super::*;
use crate::exposure::Memory;
use crate::report::Watch;
use crate::settings::Guard;
use crate::verdict::Verdict;

fn settings(sample_size: u64) -> Settings {
    Settings {
        name: "t".to_owned(),
        models: vec!["a".into(), "b".into()],
        sample_size,
        ..Settings::default()
    }
}

fn open(settings: Settings) -> Experiment {
    Experiment::open(settings, Arc::new(Memory::default())).unwrap()
}

fn pick(test: &Experiment, by: By, user: &str) -> Pick {
    test.pick(by, Some(user), RequestId::new(), |_| true)
        .unwrap()
}

fn outcome(unit: UnitId, success: bool) -> Outcome {
    Outcome {
        request: RequestId::new(),
        unit,
        success,
        latency: Duration::from_millis(100),
        first_token: None,
        usage: Usage::default(),
        cost: 0.001,
        fallback: None,
    }
}

/// One call of each of `users`, whose success depends on the arm's model.
fn run(test: &Experiment, users: std::ops::Range<u32>, success: impl Fn(&str, u32) -> bool) {
    for user in users {
        let pick = pick(test, By::Name, &user.to_string());
        if let Some(unit) = pick.unit {
            test.record(outcome(unit, success(pick.model.as_str(), user)))
                .unwrap();
        }
    }
}

#[test]
fn a_unit_always_gets_the_same_arm() {
    let test = open(settings(100));
    for user in ["ann", "bob", "cy"] {
        let first = pick(&test, By::Name, user);
        for _ in 0..20 {
            assert_eq!(pick(&test, By::Model, user), first);
        }
    }
    assert_eq!(test.units(), 3);
}

#[test]
fn an_empty_user_is_none_and_a_request_is_its_own_unit() {
    let test = open(settings(100));
    let units: HashSet<_> = (0..20).map(|_| pick(&test, By::Name, "").unit).collect();
    assert_eq!(units.len(), 20);
    let unit = UnitKind::Request;
    let test = open(Settings {
        unit,
        ..settings(100)
    });
    let units: HashSet<_> = (0..20).map(|_| pick(&test, By::Name, "ann").unit).collect();
    assert_eq!(units.len(), 20);
}

#[test]
fn the_sample_size_is_exact_under_concurrency() {
    let test = open(settings(1000));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let test = &test;
            scope.spawn(move || {
                for user in 0..600 {
                    // every user calls from two threads
                    pick(test, By::Name, &format!("{}-{user}", thread / 2));
                    pick(test, By::Name, &format!("{thread}+{user}"));
                }
            });
        }
    });
    let report = test.report();
    assert_eq!((report.units, report.state), (1000, State::Complete));
    assert_eq!(report.arms.iter().map(|arm| arm.units).sum::<u64>(), 1000);
}

#[test]
fn a_unit_keeps_its_arm_when_the_sample_is_used_up_and_new_ones_get_the_baseline() {
    let test = open(settings(40));
    let before: Vec<_> = (0..40)
        .map(|u| pick(&test, By::Name, &u.to_string()))
        .collect();
    assert_eq!(test.state(), State::Complete);
    for (user, old) in before.iter().enumerate() {
        assert_eq!(pick(&test, By::Name, &user.to_string()), *old);
    }
    for user in 40..80 {
        let new = pick(&test, By::Model, &user.to_string());
        assert_eq!((new.model.as_str(), new.unit), ("a", None));
    }
}

#[test]
fn each_state_has_its_answer() {
    let answers = |test: &Experiment| {
        let by = |by| {
            let pick = pick(test, by, "ann");
            assert_eq!(pick.unit, None, "nobody takes part in a test that is over");
            pick.model.to_string()
        };
        (by(By::Name), by(By::Model))
    };
    let attached = Settings {
        model: Some("main".into()),
        ..settings(10)
    };
    let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let test = open(attached.clone());
    test.stop().unwrap();
    assert_eq!(answers(&test), text("a", "main"));
    test.promote(Some("b")).unwrap();
    assert_eq!(answers(&test), text("b", "b"));
    assert!(matches!(test.stop(), Err(Error::State { .. })));
    let test = open(attached);
    let inner = &mut test.inner();
    test.enter(inner, State::Harmed, None).unwrap();
    assert_eq!(test.answer(By::Name, &inner.books).as_str(), "a");
    assert_eq!(test.answer(By::Model, &inner.books).as_str(), "a");
}

#[test]
fn an_arm_that_is_forbidden_is_answered_by_the_baseline_and_not_exposed() {
    let test = open(settings(100));
    for user in 0..50 {
        let only_a = |model: &ModelName| model.as_str() == "a";
        let user = user.to_string();
        let pick = test
            .pick(By::Name, Some(&user), RequestId::new(), only_a)
            .unwrap();
        assert_eq!(pick.model.as_str(), "a");
    }
    let report = test.report();
    assert!(report.units > 10 && report.units < 40, "{}", report.units);
    assert_eq!(report.arms[1].units, 0);
}

#[test]
fn fm_96_one_exposure_a_unit_and_one_outcome_a_request() {
    let test = open(settings(100));
    let unit = pick(&test, By::Name, "ann").unit.unwrap();
    let told = outcome(unit, true);
    for _ in 0..3 {
        pick(&test, By::Name, "ann");
        test.record(told.clone()).unwrap();
    }
    test.record(outcome(unit, false)).unwrap();
    let report = test.report();
    assert_eq!(
        (
            report.units,
            report.arms.iter().map(|arm| arm.calls).sum::<u64>()
        ),
        (1, 2)
    );
    let rows = rows(&test);
    assert_eq!(rows.len(), 3, "one exposure and two outcomes are kept");
}

#[test]
fn fm_97_a_fallback_counts_for_the_arm_that_was_assigned() {
    let test = open(settings(100));
    let picks = (0..100).map(|user| pick(&test, By::Name, &user.to_string()));
    for pick in picks.collect::<Vec<_>>() {
        let mut told = outcome(pick.unit.unwrap(), true);
        // b is down and a answers for it
        told.fallback = (pick.model.as_str() == "b").then(|| "a".into());
        test.record(told).unwrap();
    }
    let report = test.report();
    assert!(report.arms[1].calls > 30);
    assert!(report.arms.iter().all(|arm| arm.calls == arm.units));
    assert!(!report.srm.alarm);
}

#[test]
fn lost_units_of_one_arm_sound_the_alarm_and_nobody_wins() {
    let test = open(settings(20_000));
    let forbid =
        |user: u32| move |model: &ModelName| model.as_str() == "a" || !user.is_multiple_of(4);
    for user in 0..8000 {
        let name = user.to_string();
        let pick = test
            .pick(By::Name, Some(&name), RequestId::new(), forbid(user))
            .unwrap();
        if let Some(unit) = pick.unit {
            let good = pick.model.as_str() == "b" || user % 2 == 0;
            test.record(outcome(unit, good)).unwrap();
        }
    }
    let report = test.report();
    assert!(
        report.srm.alarm && report.srm.p < 0.0005,
        "{:?}",
        report.srm
    );
    assert_eq!(report.comparisons[0].verdict, Verdict::Undecided);
    assert!(report.advice.contains("sample-ratio alarm"));
    assert!(matches!(test.promote(None), Err(Error::SampleRatio(_))));
    assert!(matches!(
        test.promote(Some("b")),
        Err(Error::SampleRatio(_))
    ));
    assert_eq!(test.state(), State::Running);
}

#[test]
fn a_guard_stops_a_test_by_itself() {
    let guards = vec![Guard {
        metric: "success".to_owned(),
        margin: 0.05,
    }];
    let test = open(Settings {
        guards,
        ..settings(100_000)
    });
    run(&test, 0..5000, |model, user| model == "a" || user % 2 == 0);
    assert_eq!(test.state(), State::Harmed);
    let report = test.report();
    assert!(report.units < 200, "{} units were hurt", report.units);
    assert_eq!(report.guards[0].state, Watch::Stopped);
    assert_eq!(report.verdict, "b does harm");
    assert!(matches!(test.promote(None), Err(Error::NoWinner(_))));
}

#[test]
fn a_guard_bears_what_lies_within_its_margin() {
    let guards = vec![Guard {
        metric: "success".to_owned(),
        margin: 0.20,
    }];
    let test = open(Settings {
        guards,
        ..settings(6000)
    });
    run(&test, 0..6000, |model, user| model == "a" || user % 10 != 0);
    assert_eq!(test.state(), State::Complete);
    assert_eq!(test.report().guards[0].state, Watch::Ok);
}

#[test]
fn a_winner_is_found_told_in_words_and_promoted() {
    let test = open(settings(6000));
    assert!(matches!(test.promote(None), Err(Error::NoWinner(_))));
    run(&test, 0..6000, |model, user| {
        user % 10 < if model == "b" { 9 } else { 7 }
    });
    let report = test.report();
    let row = &report.comparisons[0];
    assert_eq!(
        (row.verdict, row.metric.as_str()),
        (Verdict::Better, "success")
    );
    assert_eq!(report.verdict, "b is better");
    assert!(
        report.advice.starts_with("b answers 1"),
        "{}",
        report.advice
    );
    assert!(
        report.advice.contains("points more often than a."),
        "{}",
        report.advice
    );
    assert!(matches!(test.promote(Some("c")), Err(Error::Invalid(_))));
    assert_eq!(test.promote(None).unwrap().as_str(), "b");
    assert_eq!(test.report().verdict, "b was promoted");
}

#[test]
fn with_three_arms_the_error_is_shared() {
    let test = open(Settings {
        models: vec!["a".into(), "b".into(), "c".into()],
        ..settings(9000)
    });
    run(&test, 0..9000, |model, user| match model {
        "a" => user % 10 < 7,
        "b" => user % 10 < 9,
        _ => user % 10 < 5,
    });
    let report = test.report();
    let verdicts: Vec<_> = report.comparisons.iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, [Verdict::Better, Verdict::Worse]);
    assert_eq!(crate::report::winner(&report), Some(1));
}

#[test]
fn feedback_replaces_feedback_and_knows_its_calls() {
    let test = open(Settings {
        metric: "thumbs".to_owned(),
        ..settings(100)
    });
    let unit = pick(&test, By::Name, "ann").unit.unwrap();
    let told = outcome(unit, true);
    test.record(told.clone()).unwrap();
    assert!(!test.feedback(RequestId::new(), "thumbs", 1.0).unwrap());
    for value in [0.0, 1.0, 0.25] {
        assert!(test.feedback(told.request, "thumbs", value).unwrap());
    }
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            test.feedback(told.request, "thumbs", wrong),
            Err(Error::Invalid(_))
        ));
    }
    let report = test.report();
    let scores = report
        .arms
        .iter()
        .find_map(|arm| arm.metrics.get("thumbs"))
        .unwrap();
    assert_eq!((scores.mean, scores.count), (0.25, 1));
}

#[test]
fn the_stored_rows_give_the_same_report() {
    let guards = vec![Guard {
        metric: "latency".to_owned(),
        margin: 1000.0,
    }];
    let test = open(Settings {
        guards,
        ..settings(2000)
    });
    run(&test, 0..800, |_, user| user % 7 != 0);
    test.reweigh(&[1.0, 3.0]).unwrap();
    run(&test, 800..2500, |model, user| {
        model == "b" || user % 5 != 0
    });
    let rows = rows(&test);
    let twice = rows.iter().flat_map(|row| [row.clone(), row.clone()]);
    for rows in [rows.clone(), twice.collect()] {
        let again = Arc::new(Memory::with(rows));
        let again = Experiment::open(test.settings().clone(), again).unwrap();
        assert_eq!(again.report(), test.report());
        assert_eq!(again.html(), test.html());
    }
    test.promote(Some("b")).unwrap();
}

#[test]
fn fm_98_other_weights_begin_an_epoch_and_move_nobody() {
    let test = open(settings(100_000));
    let before: Vec<_> = (0..2000)
        .map(|u| pick(&test, By::Name, &u.to_string()))
        .collect();
    test.reweigh(&[1.0, 9.0]).unwrap();
    for (user, old) in before.iter().enumerate() {
        assert_eq!(pick(&test, By::Name, &user.to_string()), *old);
    }
    // in the first epoch all goes well, in the second nothing does, in either arm alike
    for old in &before {
        test.record(outcome(old.unit.unwrap(), true)).unwrap();
    }
    run(&test, 2000..6000, |_, user| user % 2 == 0);
    let report = test.report();
    assert!(report.arms[1].units > 4000);
    let row = &report.comparisons[0];
    assert!(row.difference.unwrap().abs() < 0.06, "{row:?}");
    assert_eq!(row.verdict, Verdict::Undecided);
    assert!(!report.srm.alarm);
    assert!(matches!(test.reweigh(&[1.0]), Err(Error::Invalid(_))));
    assert!(matches!(test.reweigh(&[1.0, 0.0]), Err(Error::Invalid(_))));
}

#[test]
fn a_store_that_fails_exposes_nobody() {
    struct Full;
    impl Exposures for Full {
        fn append(&self, _: &Row) -> io::Result<()> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn replay(&self, _: &mut dyn FnMut(&Row)) -> io::Result<()> {
            Ok(())
        }
    }
    let test = Experiment::open(settings(10), Arc::new(Full)).unwrap();
    let failed = test.pick(By::Name, Some("ann"), RequestId::new(), |_| true);
    assert!(matches!(failed, Err(Error::Store(_))));
    assert_eq!(test.units(), 0);
}

#[test]
fn a_report_has_the_fields_of_its_contract() {
    let test = open(Settings {
        mde: Some(0.02),
        guards: vec![Guard {
            metric: "cost".to_owned(),
            margin: 1.0,
        }],
        ..settings(100)
    });
    run(&test, 0..100, |_, _| true);
    let json: serde_json::Value = serde_json::from_str(&test.report().to_json()).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let want = [
        "name",
        "state",
        "metric",
        "sample_size",
        "units",
        "baseline",
        "arms",
        "comparisons",
        "srm",
        "guards",
        "verdict",
        "advice",
    ];
    assert_eq!(keys(&json), want);
    let want = [
        "model",
        "units",
        "calls",
        "success",
        "latency_ms",
        "first_token_ms",
        "tokens_in",
        "tokens_out",
        "cost_usd",
        "metrics",
    ];
    assert_eq!(keys(&json["arms"][0]), want);
    assert_eq!(
        keys(&json["arms"][0]["latency_ms"]),
        ["mean", "p50", "p95", "p99"]
    );
    let want = ["metric", "arm", "difference", "interval", "p", "verdict"];
    assert_eq!(keys(&json["comparisons"][0]), want);
    assert_eq!(keys(&json["srm"]), ["p", "alarm"]);
    assert_eq!(
        keys(&json["guards"][0]),
        ["metric", "margin", "arm", "state"]
    );
    assert_eq!(json["state"], "complete");
    assert_eq!(json["guards"][0]["state"], "ok");
    let text = test.report().to_text();
    assert!(
        text.contains("MODEL") && text.contains("100.0 %") && text.contains("Verdict: "),
        "{text}"
    );
}

#[test]
fn a_page_stands_alone_and_escapes_names() {
    let test = open(Settings {
        models: vec!["a".into(), "<b>&".into()],
        ..settings(4000)
    });
    run(&test, 0..4000, |_, user| user % 9 != 0);
    let page = test.html();
    assert!(page.contains("&lt;b&gt;&amp;") && !page.contains("<b>&"));
    assert!(
        !page.contains("http") && !page.contains("<script"),
        "nothing is loaded from elsewhere"
    );
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

fn rows(test: &Experiment) -> Vec<Row> {
    let mut rows = Vec::new();
    test.store
        .replay(&mut |row| rows.push(row.clone()))
        .unwrap();
    rows
}
