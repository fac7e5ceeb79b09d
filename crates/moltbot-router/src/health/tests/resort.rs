use super::*;

/// The place of the target that a call may try.
fn tries(targets: &[Arc<TargetHealth>]) -> Result<(usize, Admission), Refusal> {
    last_resort(targets, Instant::now())
}

/// Three targets that rest; the second is due first.
async fn all_rest() -> Vec<Arc<TargetHealth>> {
    let health = Health::default();
    let targets: Vec<_> = ["a", "b", "c"]
        .map(|a| health.target(&at(a, Some(a))))
        .into();
    let [a, b, c] = [&targets[0], &targets[1], &targets[2]];
    [a, c].into_iter().for_each(eject);
    for _ in 0..4 {
        pass(rest(a).max(rest(c)) + 0.001).await;
        [a, c].into_iter().for_each(|target| fails(target, &down()));
    }
    fails(b, &hinted(12));
    targets
}

#[tokio::test(start_paused = true)]
async fn fm_57_the_one_that_is_due_first_is_tried_once_each_first_rest() {
    let targets = all_rest().await;
    assert!(tries(&targets).is_err());
    pass(5.0).await;
    let (place, mut admission) = tries(&targets).unwrap();
    assert_eq!(place, 1);
    assert!(tries(&targets).is_err());
    admission.failed(&down());
    drop(admission);
    assert!(tries(&targets).is_err());
    pass(4.9).await;
    assert!(tries(&targets).is_err());
    pass(0.2).await;
    assert!(tries(&targets).is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_however_long_it_takes() {
    let targets = all_rest().await;
    pass(5.0).await;
    let _trial = tries(&targets).unwrap();
    pass(6.0).await;
    assert!(tries(&targets).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_early_failure_leaves_the_rest_as_it_is() {
    let health = Health::default();
    let targets = [health.target(&at("a", None))];
    eject(&targets[0]);
    rested(&targets[0]).await;
    fails(&targets[0], &down());
    pass(5.0).await;
    let left = rest(&targets[0]);
    tries(&targets).unwrap().1.failed(&down());
    assert_eq!(rest(&targets[0]), left);
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_brings_the_target_back() {
    let targets = all_rest().await;
    pass(5.0).await;
    let (place, mut admission) = tries(&targets).unwrap();
    admission.answered();
    assert!(is_up(&targets[place]));
}

#[tokio::test(start_paused = true)]
async fn the_others_hear_the_earliest_reopening() {
    let targets = all_rest().await;
    let refused = tries(&targets).unwrap_err();
    assert_eq!(refused.opens, Instant::now() + Duration::from_secs(12));
    assert_eq!(refused.reason, Reason::Failing);
}

#[tokio::test(start_paused = true)]
async fn a_reason_that_all_share_is_told() {
    let health = Health::default();
    let targets = ["a", "b"].map(|a| health.target(&at(a, None)));
    fails(&targets[0], &hinted(9));
    fails(&targets[1], &hinted(3));
    let refused = tries(&targets).unwrap_err();
    assert_eq!(refused.reason, Reason::Limited);
    assert_eq!(refused.opens, Instant::now() + Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_bad_credential_is_never_tried() {
    let health = Health::default();
    let targets = [health.target(&at("a", Some("one")))];
    fails(&targets[0], &error(Kind::UpstreamMoney, Retry::Elsewhere));
    pass(100.0).await;
    assert_eq!(tries(&targets).unwrap_err().reason, Reason::Money);
}
