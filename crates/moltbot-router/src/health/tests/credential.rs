use super::*;

fn three() -> (Health, [Arc<TargetHealth>; 3]) {
    let health = Health::default();
    let targets = [
        ("http://a", "one"),
        ("http://b", "one"),
        ("http://a", "other"),
    ]
    .map(|(address, credential)| health.target(&at(address, Some(credential))));
    (health, targets)
}

#[tokio::test(start_paused = true)]
async fn fm_29_one_that_is_refused_rests_all_its_targets_for_a_quarter_of_an_hour() {
    let (_health, [a, b, other]) = three();
    fails(&a, &error(Kind::UpstreamAuth, Retry::Elsewhere));
    for target in [&a, &b] {
        assert_eq!(refusal(target).unwrap().reason, Reason::Auth);
        assert_eq!(rest(target), 900.0);
        assert!(target.admit().is_err());
    }
    assert!(is_up(&other));
}

#[tokio::test(start_paused = true)]
async fn fm_21_one_without_money_rests_until_the_stated_reset() {
    let (_health, [a, b, _]) = three();
    let broke = error(Kind::UpstreamMoney, Retry::Elsewhere);
    fails(&a, &broke.retry_after(Duration::from_secs(3600)));
    assert_eq!(refusal(&b).unwrap().reason, Reason::Money);
    assert_eq!(rest(&b), 3600.0);
}

#[tokio::test(start_paused = true)]
async fn one_call_tries_it_again_and_restores_it_by_an_answer() {
    let (_health, [a, b, _]) = three();
    fails(&a, &error(Kind::UpstreamAuth, Retry::Elsewhere));
    pass(900.0).await;
    drop(a.admit().unwrap());
    let mut trial = a.admit().unwrap();
    assert_eq!(b.admit().unwrap_err().reason, Reason::Auth);
    trial.answered();
    assert!(b.admit().is_ok() && a.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_again_rests_again() {
    let (_health, [a, b, _]) = three();
    fails(&a, &error(Kind::UpstreamAuth, Retry::Elsewhere));
    pass(900.0).await;
    fails(&b, &error(Kind::UpstreamAuth, Retry::Elsewhere));
    assert_eq!(rest(&a), 900.0);
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_is_trusted_at_once() {
    let (health, [a, b, _]) = three();
    fails(&a, &error(Kind::UpstreamAuth, Retry::Elsewhere));
    health.renew("one");
    assert!(is_up(&a) && is_up(&b));
}

#[tokio::test(start_paused = true)]
async fn targets_without_one_do_not_rest_for_each_other() {
    let health = Health::default();
    let [a, b] = ["http://a", "http://b"].map(|address| health.target(&at(address, None)));
    fails(&a, &error(Kind::UpstreamAuth, Retry::Elsewhere));
    assert!(!is_up(&a) && is_up(&b));
}
