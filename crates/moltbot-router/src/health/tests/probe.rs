use super::*;

#[tokio::test(start_paused = true)]
async fn one_call_probes_after_the_rest() {
    let target = target();
    eject(&target);
    assert!(target.admit().is_err());
    rested(&target).await;
    let _probe = target.admit().unwrap();
    assert_eq!(target.admit().unwrap_err().reason, Reason::Failing);
}

#[tokio::test(start_paused = true)]
async fn fm_58_a_cancelled_probe_gives_its_permit_back_and_decides_nothing() {
    let target = target();
    eject(&target);
    rested(&target).await;
    for _ in 0..10 {
        drop(target.admit().unwrap());
        assert_eq!(target.standing(Instant::now()), Standing::Due);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_probes_caller_decides_nothing() {
    let target = target();
    eject(&target);
    rested(&target).await;
    fails(&target, &error(Kind::Upstream, Retry::Never));
    assert_eq!(target.standing(Instant::now()), Standing::Due);
}

#[tokio::test(start_paused = true)]
async fn fm_59_an_answered_probe_starts_the_target_slowly() {
    let target = target();
    eject(&target);
    rested(&target).await;
    let mut probe = target.admit().unwrap();
    probe.answered();
    let mut shares = Vec::new();
    for _ in 0..5 {
        shares.push(target.standing(Instant::now()));
        pass(2.5).await;
    }
    let expected = [0.1, 0.1, 0.25, 0.5, 1.0].map(|share| Standing::Up { share });
    assert_eq!(shares, expected);
}

#[tokio::test(start_paused = true)]
async fn fm_59_a_failed_probe_lengthens_the_rest_each_time_up_to_the_longest() {
    let target = target();
    eject(&target);
    for n in 2..5 {
        rested(&target).await;
        fails(&target, &down());
        assert_about(rest(&target), 5.0 * f64::from(n));
    }
    for _ in 0..100 {
        rested(&target).await;
        fails(&target, &down());
        assert!(rest(&target) <= 300.0);
    }
}

#[tokio::test(start_paused = true)]
async fn fm_58_a_rate_limit_fails_the_probe() {
    let target = target();
    eject(&target);
    rested(&target).await;
    fails(&target, &hinted(60));
    assert_eq!(rest(&target), 60.0);
    rested(&target).await;
}

#[tokio::test(start_paused = true)]
async fn fm_59_ejections_are_forgotten_one_by_one_while_it_is_healthy() {
    for (healthy, next) in [(1.0, 4.0), (31.0, 3.0), (61.0, 2.0), (1000.0, 1.0)] {
        let target = target();
        eject(&target);
        for _ in 0..2 {
            rested(&target).await;
            fails(&target, &down());
        }
        rested(&target).await;
        answers(&target);
        pass(healthy).await;
        eject(&target);
        assert_about(rest(&target), 5.0 * next);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_from_before_the_ejection_decide_nothing() {
    let target = target();
    let mut late: Vec<_> = (0..20).map(|_| target.admit().unwrap()).collect();
    eject(&target);
    let before = rest(&target);
    late.iter_mut()
        .take(10)
        .for_each(|call| call.failed(&down()));
    late.iter_mut().skip(10).for_each(Admission::answered);
    assert_eq!(rest(&target), before);
}
