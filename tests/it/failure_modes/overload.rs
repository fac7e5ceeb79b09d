//! Section 2.5: overload and storms.

use std::time::Duration;

use futures_util::future::join_all;
use moltbot_tests::{Do, Upstream};
use tokio::time::Instant;

use super::{HELLO, House, alone, good, limited, pair, refusing};

#[tokio::test]
async fn fm_54_a_storm_of_failures_is_not_made_worse_and_clients_are_told_to_stop() {
    const CALLS: usize = 600;
    let down = || refusing("500 Internal Server Error", "", "{}");
    let (first, second) = (down().await, down().await);
    // the breaker is out of the way: budgets alone hold the storm back
    let settings = "model: { breaker: { consecutive: 100000, min_requests: 100000 }, retry: { initial: 1ms, max: 2ms } }\n";
    let house = House::of(&format!(
        "{settings}{}",
        pair(&first.url(), &second.url(), "")
    ));
    let mut discouraged = 0;
    let begun = Instant::now();
    for _ in 0..CALLS / 50 {
        for told in join_all((0..50).map(|_| house.ask(false))).await {
            told.is_refused(503, "all_targets_unavailable");
            discouraged += usize::from(told.header("x-should-retry") == "false");
        }
    }
    let attempts = first.asked() + second.asked();
    // a share of the calls, above two floors of ten a second with the ten seconds of their window
    let floors = 20 * (10 + begun.elapsed().as_secs() as usize);
    assert!(attempts <= CALLS * 3 / 2 + floors, "{attempts} attempts");
    assert!(discouraged > 0);
}

#[tokio::test]
async fn fm_57_while_all_targets_rest_callers_hear_so_at_once() {
    let down = || refusing("500 Internal Server Error", "", "{}");
    let (first, second) = (down().await, down().await);
    let settings = "model: { breaker: { consecutive: 2 }, failover: { retry_interval: 20s } }\n";
    let house = House::of(&format!(
        "{settings}{}",
        pair(&first.url(), &second.url(), "")
    ));
    while house.ask(false).await.header("x-moltbot-attempts") != "0" {}
    let asked = first.asked() + second.asked();
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let begun = Instant::now();
        let told = house.ask(false).await;
        fastest = fastest.min(begun.elapsed());
        told.is_refused(503, "all_targets_unavailable");
        let wait: u64 = told.header("retry-after").parse().unwrap();
        assert!((1..=300).contains(&wait), "{told:?}");
    }
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    assert_eq!(first.asked() + second.asked(), asked);
}

#[tokio::test]
async fn fm_58_one_call_probes_a_target_that_rested_and_the_others_do_not_wait_for_it() {
    let first = Upstream::does([
        vec![Do::answer(
            "500 Internal Server Error",
            "connection: close\r\n",
            "{}",
        )],
        vec![
            Do::Pause,
            Do::answer("200 OK", "connection: close\r\n", HELLO),
        ],
    ])
    .await;
    let second = good(false).await;
    let settings = "model: { breaker: { consecutive: 1 }, failover: { retry_interval: 300ms } }\n";
    let house = House::of(&format!(
        "{settings}{}",
        pair(&first.url(), &second.url(), "")
    ));
    house.ask(false).await.comes_from("second", 2);
    let probe = async {
        // whoever finds the rest over is the probe
        loop {
            let told = house.ask(false).await;
            if told.header("x-moltbot-target") == "first" {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let others = async {
        first.until_asked(2).await;
        for told in join_all((0..20).map(|_| house.ask(false))).await {
            told.comes_from("second", 1);
        }
        assert_eq!(first.asked(), 2);
        first.go_on();
    };
    let (probe, ()) = tokio::join!(probe, others);
    probe.comes_from("first", 1);
}

#[tokio::test]
async fn fm_60_who_finds_no_room_hears_so_soon_and_costs_no_upstream_call() {
    let first = Upstream::does([vec![Do::Pause, Do::answer("200 OK", "", HELLO)]]).await;
    let yaml = alone(&first.url(), "");
    let house = House::at(limited("concurrency: 1, queue_wait: 10ms", &yaml));
    let shed = async {
        first.until_asked(1).await;
        let mut fastest = Duration::MAX;
        for _ in 0..20 {
            let begun = Instant::now();
            let told = house.ask(false).await;
            fastest = fastest.min(begun.elapsed());
            told.is_refused(503, "overloaded");
            assert_eq!(told.header("retry-after"), "1");
        }
        assert!(fastest < Duration::from_millis(50), "{fastest:?}");
        for path in ["/healthz", "/readyz", "/metrics"] {
            let url = house.daemon.admin_url(path);
            let answer = crate::client().get(url).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
        house.home.ctl(&["status"]).done();
        assert_eq!(first.asked(), 1);
        first.go_on();
    };
    let (told, ()) = tokio::join!(house.ask(false), shed);
    told.comes_from("first", 1);
}

#[tokio::test]
async fn fm_61_a_flood_of_one_model_leaves_the_others_alone() {
    let flooded = Upstream::does([vec![Do::Hang]]).await;
    let calm = good(false).await;
    let yaml = format!(
        "models:\n  - {{ name: flooded, endpoint: \"{}\", concurrency: 4 }}\n  - {{ name: m, targets: [{{ name: first, url: \"{}\" }}] }}\n",
        flooded.url(),
        calm.url()
    );
    let house = House::at(limited("queue_wait: 10s", &yaml));
    let question = super::question("flooded", false);
    let flood = join_all((0..100).map(|_| house.post(&question)));
    let others = async {
        flooded.until_asked(4).await;
        for _ in 0..20 {
            let begun = Instant::now();
            house.ask(false).await.comes_from("first", 1);
            assert!(begun.elapsed() < Duration::from_secs(1));
        }
        assert_eq!(
            flooded.asked(),
            4,
            "no more than its own share is under way"
        );
    };
    tokio::select! {
        _ = flood => panic!("the flood ends by itself"),
        () = others => {}
    }
}
