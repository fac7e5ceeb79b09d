use super::*;

#[tokio::test(start_paused = true)]
async fn a_call_is_in_flight_until_its_last_byte() {
    let target = target();
    let mut call = target.admit().unwrap();
    call.answered();
    assert_eq!(target.inflight(), 1);
    call.end(&Ending::Complete, None);
    drop(call);
    assert_eq!(target.inflight(), 0);
}

#[tokio::test(start_paused = true)]
async fn latency_is_unknown_until_the_first_answer_and_no_failure_changes_it() {
    let target = target();
    assert_eq!(target.snapshot(Instant::now()).latency, None);
    let mut call = target.admit().unwrap();
    pass(0.25).await;
    call.answered();
    fails(&target, &down());
    let latency = target.snapshot(Instant::now()).latency;
    assert_eq!(latency, Some(Duration::from_millis(250)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_weighs_as_much_as_five_seconds() {
    let target = target();
    assert_eq!(target.load(Instant::now()), 1.0);
    fails(&target, &down());
    assert_eq!(target.load(Instant::now()), 5.0);
    pass(10.0).await;
    assert!((target.load(Instant::now()) - 5.0 / std::f64::consts::E).abs() < 0.001);
}

#[tokio::test(start_paused = true)]
async fn status_says_why_a_target_is_not_up() {
    let target = target();
    assert_eq!(target.snapshot(Instant::now()).state, State::Up);
    fails(&target, &hinted(7));
    let seen = target.snapshot(Instant::now());
    assert_eq!(seen.state, State::Resting);
    assert_eq!(seen.reason.unwrap(), "rate limited; rests for another 7 s");
    let refused = Health::default().target(&at("http://a", Some("one")));
    fails(&refused, &error(Kind::UpstreamAuth, Retry::Elsewhere));
    assert_eq!(refused.snapshot(Instant::now()).state, State::NoCredential);
}
