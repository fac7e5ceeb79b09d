use super::*;

#[tokio::test(start_paused = true)]
async fn a_held_target_takes_no_call_until_the_last_hold_is_dropped() {
    let target = target();
    let starting = target.hold("starting");
    let drill = target.hold("a drill");
    assert_eq!(refusal(&target).unwrap().reason, Reason::Held);
    let shown = target.snapshot(Instant::now());
    assert_eq!(
        (shown.state, shown.reason.as_deref()),
        (State::Held, Some("a drill"))
    );
    drop(drill);
    assert_eq!(target.admit().unwrap_err().reason, Reason::Held);
    drop(starting);
    answers(&target);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_goes_on_when_its_target_is_held() {
    let target = target();
    let mut admission = target.admit().unwrap();
    let _held = target.hold("a drill");
    admission.answered();
    admission.end(&Ending::Complete, None);
    drop(admission);
    assert_eq!(target.inflight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_held_target_is_no_last_resort() {
    let target = target();
    let _held = target.hold("starting");
    let refused = last_resort([&target], Instant::now()).unwrap_err();
    assert_eq!(refused.reason, Reason::Held);
}
