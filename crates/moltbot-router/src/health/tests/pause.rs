use super::*;

#[tokio::test(start_paused = true)]
async fn a_limit_rests_the_target_until_its_hint_then_all_may_call() {
    let target = target();
    fails(&target, &hinted(7));
    assert_eq!(refusal(&target).unwrap().reason, Reason::Limited);
    assert_eq!(rest(&target), 7.0);
    pass(7.0).await;
    let _calls: Vec<_> = (0..10).map(|_| target.admit().unwrap()).collect();
    assert_eq!(target.standing(Instant::now()), Standing::Up { share: 1.0 });
}

#[tokio::test(start_paused = true)]
async fn limits_are_not_counted_as_failures() {
    let target = target();
    for _ in 0..50 {
        fails(&target, &hinted(1));
        pass(1.0).await;
    }
    assert!(is_up(&target));
}

#[tokio::test(start_paused = true)]
async fn fm_19_without_a_hint_the_pause_doubles_up_to_a_minute() {
    let target = target();
    for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        fails(&target, &unhinted());
        assert_about(rest(&target), expected);
        pass(rest(&target)).await;
    }
    answers(&target);
    fails(&target, &unhinted());
    assert_about(rest(&target), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_limit_without_a_hint_among_many_answers_is_borne() {
    let target = target();
    (0..40).for_each(|_| answers(&target));
    (0..4).for_each(|_| fails(&target, &unhinted()));
    assert!(is_up(&target));
    fails(&target, &unhinted());
    assert_about(rest(&target), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_kept_however_many_answers_there_were() {
    let target = target();
    (0..400).for_each(|_| answers(&target));
    fails(&target, &hinted(7));
    assert_eq!(rest(&target), 7.0);
}

#[tokio::test(start_paused = true)]
async fn calls_that_met_the_same_limit_lengthen_the_pause_once() {
    let target = target();
    let calls: Vec<_> = (0..50).map(|_| target.admit().unwrap()).collect();
    for mut call in calls {
        call.failed(&unhinted());
    }
    assert_about(rest(&target), 1.0);
}

#[tokio::test(start_paused = true)]
async fn fm_24_a_failure_that_asks_for_a_rest_gets_it_and_counts_for_the_ratio() {
    let target = target();
    let busy = error(Kind::Unavailable, Retry::After(Duration::from_secs(1)));
    for _ in 0..19 {
        fails(&target, &busy);
        assert_eq!(refusal(&target).unwrap().reason, Reason::Limited);
        pass(1.0).await;
    }
    fails(&target, &busy);
    assert_eq!(refusal(&target).unwrap().reason, Reason::Failing);
}

#[tokio::test(start_paused = true)]
async fn no_hint_is_too_long_to_be_borne() {
    let target = target();
    let limit = error(Kind::RateLimited, Retry::After(Duration::MAX));
    fails(&target, &limit.retry_after(Duration::MAX));
    assert_eq!(rest(&target), 300.0);
    let poor = Health::default().target(&at("http://a", Some("key")));
    fails(
        &poor,
        &error(Kind::UpstreamMoney, Retry::Elsewhere).retry_after(Duration::MAX),
    );
    assert!(!is_up(&poor));
}
