use super::*;

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_eject_for_about_the_first_rest() {
    let target = target();
    (0..4).for_each(|_| fails(&target, &down()));
    assert!(is_up(&target));
    fails(&target, &down());
    assert_eq!(refusal(&target).unwrap().reason, Reason::Failing);
    assert_about(rest(&target), 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fails_now_and_then_needs_a_longer_row() {
    let target = target();
    for _ in 0..20 {
        (0..4).for_each(|_| answers(&target));
        fails(&target, &down());
    }
    answers(&target);
    // One of five calls fails: five in a row are chance, nine are not.
    (0..8).for_each(|_| fails(&target, &down()));
    assert!(is_up(&target));
    fails(&target, &down());
    assert!(!is_up(&target));
}

/// Two targets of a model that both answered for a while.
async fn peers() -> (Peers, [Arc<TargetHealth>; 2]) {
    let health = Health::default();
    let targets = ["http://a", "http://b"].map(|address| health.target(&at(address, None)));
    for target in &targets {
        (0..50).for_each(|_| answers(target));
    }
    pass(0.1).await;
    (targets.iter().cloned().collect(), targets)
}

#[tokio::test(start_paused = true)]
async fn a_row_counts_at_once_when_another_target_answers_meanwhile() {
    let (peers, [a, b]) = peers().await;
    for _ in 0..5 {
        assert!(is_up(&a));
        fails_among(&peers, &a);
        pass(0.001).await;
        answers(&b);
    }
    assert!(!is_up(&a) && is_up(&b));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_all_targets_have_counts_after_a_second() {
    let (peers, [a, b]) = peers().await;
    for _ in 0..20 {
        let calls = [&a, &b].map(|target| target.admit().unwrap().among(&peers));
        pass(0.05).await;
        for mut call in calls {
            call.failed(&down());
        }
    }
    assert!(is_up(&a) && is_up(&b));
    pass(0.1).await;
    fails_among(&peers, &a);
    assert!(!is_up(&a) && is_up(&b));
}

#[tokio::test(start_paused = true)]
async fn targets_that_all_refuse_at_once_are_ejected_at_once() {
    let (peers, [a, b]) = peers().await;
    for target in [&a, &b] {
        let refused = (0..10).take_while(|_| {
            fails_among(&peers, target);
            is_up(target)
        });
        assert!(refused.count() < 10);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_failed_in_a_pause_of_all_are_no_row_of_one_when_it_is_over() {
    let (peers, [a, b]) = peers().await;
    let mut late: Vec<_> = (0..10).map(|_| a.admit().unwrap().among(&peers)).collect();
    let early: Vec<_> = (0..10).map(|_| b.admit().unwrap().among(&peers)).collect();
    pass(0.1).await;
    for mut call in early {
        call.failed(&down());
    }
    pass(0.2).await;
    answers(&b);
    for call in &mut late {
        call.failed(&error(Kind::Timeout, Retry::Anywhere));
    }
    assert!(is_up(&a));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_is_known_to_fail_now_and_then() {
    let target = target();
    for _ in 0..20 {
        (0..4).for_each(|_| answers(&target));
        fails(&target, &down());
    }
    eject(&target);
    rested(&target).await;
    answers(&target);
    (0..8).for_each(|_| fails(&target, &down()));
    assert!(is_up(&target));
    fails(&target, &down());
    assert!(!is_up(&target));
}

#[tokio::test(start_paused = true)]
async fn an_answer_breaks_the_row() {
    let target = target();
    for _ in 0..3 {
        (0..4).for_each(|_| fails(&target, &down()));
        answers(&target);
        (0..2).for_each(|_| answers(&target));
    }
    assert!(is_up(&target));
}

#[tokio::test(start_paused = true)]
async fn calls_that_hung_while_others_were_answered_are_no_row() {
    let target = target();
    let mut hung: Vec<_> = (0..10).map(|_| target.admit().unwrap()).collect();
    pass(0.1).await;
    answers(&target);
    pass(1.0).await;
    for call in &mut hung {
        call.failed(&error(Kind::Timeout, Retry::Anywhere));
    }
    assert!(is_up(&target));
}

#[tokio::test(start_paused = true)]
async fn more_failures_than_the_ratio_eject_once_there_are_enough_calls() {
    let target = target();
    let mut calls = 0;
    while is_up(&target) {
        if calls % 3 == 0 {
            answers(&target)
        } else {
            fails(&target, &down())
        }
        calls += 1;
    }
    assert_eq!(calls, 20);
}

#[tokio::test(start_paused = true)]
async fn failures_of_half_the_calls_do_not_eject() {
    let target = target();
    for _ in 0..100 {
        answers(&target);
        fails(&target, &down());
    }
    assert!(is_up(&target));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_target_is_judged_by_its_last_calls() {
    let target = target();
    let mut calls = 0;
    while is_up(&target) && calls < 100 {
        if calls % 3 == 0 {
            answers(&target)
        } else {
            fails(&target, &down())
        }
        calls += 1;
        pass(10.0).await;
    }
    assert_eq!(calls, 20);
}

#[tokio::test(start_paused = true)]
async fn old_failures_are_forgotten() {
    let target = target();
    for call in 0..100 {
        if call % 3 == 0 {
            answers(&target)
        } else {
            fails(&target, &down())
        }
        pass(20.0).await;
    }
    assert!(is_up(&target));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cuts_every_stream_is_ejected() {
    let target = target();
    (0..5).for_each(|_| breaks_off(&target));
    assert_eq!(refusal(&target).unwrap().reason, Reason::Failing);
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_is_no_success_for_the_ratio() {
    let target = target();
    let mut calls = 0;
    while is_up(&target) && calls < 100 {
        if calls % 3 == 0 {
            answers(&target)
        } else {
            breaks_off(&target)
        }
        calls += 1;
    }
    assert_eq!(calls, 20);
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_caller_and_calls_that_were_given_up_count_for_nothing() {
    let target = target();
    let innocent = [
        Kind::BadRequest,
        Kind::Upstream,
        Kind::ContextWindow,
        Kind::ContentPolicy,
        Kind::Overloaded,
        Kind::ModelNotFound,
        Kind::Cancelled,
        Kind::Internal,
        Kind::ShuttingDown,
    ];
    for kind in innocent.repeat(5) {
        fails(&target, &error(kind, Retry::Never));
    }
    fails(&target, &error(Kind::RateLimited, Retry::Never));
    (0..50).for_each(|_| drop(target.admit().unwrap()));
    assert_eq!(target.standing(Instant::now()), Standing::Up { share: 1.0 });
}

#[tokio::test(start_paused = true)]
async fn settings_change_at_a_reload() {
    let health = Health::default();
    let target = health.target(&at("http://a", None));
    health.configure(BreakerSettings {
        consecutive: 2,
        first_rest: Duration::from_secs(60),
        ..BreakerSettings::default()
    });
    (0..2).for_each(|_| fails(&target, &down()));
    assert_about(rest(&target), 60.0);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_stays_keeps_its_record() {
    let health = Health::default();
    let old = health.target(&at("http://a", None));
    eject(&old);
    health.configure(BreakerSettings::default());
    let same = health.target(&at("http://a", None));
    drop(old);
    assert!(!is_up(&same) && is_up(&health.target(&at("http://b", None))));
}
