//! What callers meet at their limits.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::HeaderMap;
use moltbot_types::call::CallParts;
use moltbot_types::{
    Call, CallError, Caller, Ending, Head, Kind, Next, Operation, Remembered, Reply, RequestId,
    Skills, Step, Usage,
};
use moltbot_wire::OPENAI;
use tokio::time::{Instant, advance};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn rate(count: u64) -> Option<Rate> {
    Some(Rate { count, per: MINUTE })
}

/// Calls over a limit: refused, only counted.
#[derive(Default)]
struct Counted([AtomicUsize; 2]);

impl OnOver for Arc<Counted> {
    fn over(&self, _: &Workspace, _: What, refused: bool) {
        self.0[usize::from(!refused)].fetch_add(1, Ordering::Relaxed);
    }
}

/// A gateway whose models answer with set usage, or fail.
#[derive(Clone)]
struct House {
    quotas: Quotas,
    step: Quota,
    counted: Arc<Counted>,
    upstream: Upstream,
}

#[derive(Clone, Default)]
struct Upstream {
    asked: Arc<AtomicUsize>,
    usage: Option<Usage>,
    fails: Option<Kind>,
    takes: Duration,
}

impl Next for Upstream {
    async fn call(&self, _: Call) -> Result<Reply, CallError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        if let Some(kind) = self.fails {
            return Err(CallError::new(kind, "as told"));
        }
        let mut reply = Reply::whole(&OPENAI, "{}");
        reply.usage = self.usage;
        Ok(reply)
    }
}

fn used(input: u64, output: u64) -> Option<Usage> {
    Some(Usage {
        input,
        output,
        estimated: false,
    })
}

fn house(settings: QuotaSettings) -> House {
    let counted = Arc::<Counted>::default();
    let quotas = Quotas::new(Arc::clone(&counted));
    House {
        step: quota(&quotas, &Workspace::default(), settings),
        quotas,
        counted,
        upstream: Upstream::default(),
    }
}

/// All callers of the workspace together.
fn together(workspace: Limits) -> QuotaSettings {
    QuotaSettings {
        workspace,
        ..QuotaSettings::default()
    }
}

fn requests(count: u64) -> QuotaSettings {
    together(Limits {
        requests: rate(count),
        ..Limits::default()
    })
}

fn tokens(count: u64) -> QuotaSettings {
    together(Limits {
        tokens: rate(count),
        ..Limits::default()
    })
}

fn call(key: &str, user: Option<&str>, max_tokens: Option<u64>) -> Call {
    let mut caller = Caller::anonymous();
    caller.key = Some(key.into());
    Call::new(CallParts {
        id: RequestId::new(),
        caller,
        head: Head {
            operation: Operation::Chat,
            model: "m".into(),
            model_at: None,
            stream: false,
            tools: false,
            user: user.map(Arc::from),
            max_tokens,
            limited: false,
            store: false,
            size: 40,
        },
        body: Bytes::new(),
        dialect: &OPENAI,
        headers: HeaderMap::new(),
        query: None,
        filtered: false,
        remembered: Remembered::default(),
        begun: Instant::now(),
        deadline: None,
        skills: Skills::Off,
        trail: Arc::default(),
    })
}

impl House {
    /// A call, to its last byte.
    async fn send(&self, call: Call) -> Result<HeaderMap, CallError> {
        let reply = self.step.run(call, &self.upstream).await?;
        let (_, headers, _, mut holds) = reply.into_parts();
        holds.end(&Ending::Complete);
        Ok(headers)
    }

    async fn ask(&self) -> Result<HeaderMap, CallError> {
        self.send(call("k", None, None)).await
    }

    fn of_workspace(&self, what: What) -> u64 {
        let used = self.quotas.used();
        let found = used.iter().find(|(_, used)| used.what == what);
        found.map_or(0, |(_, used)| used.used)
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_exact_wait_and_after_it_there_is_room() {
    let house = house(requests(3));
    for left in ["2", "1", "0"] {
        let headers = house.ask().await.unwrap();
        assert_eq!(headers["x-ratelimit-limit-requests"], "3");
        assert_eq!(headers["x-ratelimit-remaining-requests"], left);
    }
    let refused = house.ask().await.unwrap_err();
    assert_eq!(
        (refused.status().as_u16(), refused.word()),
        (429, "rate_limit_exceeded")
    );
    assert_eq!(refused.wait(), Some(Duration::from_secs(20)));
    assert_eq!(refused.told()["x-ratelimit-remaining-requests"], "0");
    assert_eq!(refused.told()["x-ratelimit-reset-requests"], "1m0s");
    assert_eq!(
        refused.message(),
        "this workspace may make 3 requests a minute; try again in 20 s"
    );
    advance(Duration::from_millis(19_999)).await;
    assert_eq!(
        house.ask().await.unwrap_err().wait(),
        Some(Duration::from_millis(1))
    );
    advance(Duration::from_millis(1)).await;
    assert!(house.ask().await.is_ok());
}

#[tokio::test]
async fn a_thousand_at_once_on_a_budget_for_ten_let_at_most_ten_through() {
    let price = HashMap::from([(
        "m".into(),
        Price {
            input: 1.0,
            output: 1.0,
        },
    )]);
    for settings in [
        requests(10),
        tokens(10 * 60),
        QuotaSettings {
            prices: Arc::new(price),
            ..together(Limits {
                cost: Some(Limits::dollars(10.0 * 60e-6, MINUTE)),
                ..Limits::default()
            })
        },
        together(Limits {
            concurrency: Some(10),
            ..Limits::default()
        }),
    ] {
        let mut house = house(settings.clone());
        house.upstream.usage = used(10, 50);
        house.upstream.takes = Duration::from_millis(300);
        let tasks = tokio_util::task::TaskTracker::new();
        let sent: Vec<_> = (0..1000)
            .map(|_| {
                let house = house.clone();
                tasks.spawn(async move { house.send(call("k", None, Some(50))).await.is_ok() })
            })
            .collect();
        let mut through = 0;
        for sent in sent {
            through += usize::from(sent.await.unwrap());
        }
        assert!((9..=10).contains(&through), "{through}: {settings:?}");
        assert_eq!(house.upstream.asked.load(Ordering::Relaxed), through);
        assert_eq!(house.counted.0[0].load(Ordering::Relaxed), 1000 - through);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_is_settled_for_what_was_used() {
    let mut house = house(tokens(1000));
    house.upstream.usage = used(30, 70);
    // 10 for the prompt, 900 for the answer: nothing else fits meanwhile.
    let under_way = house
        .step
        .run(call("k", None, Some(900)), &house.upstream)
        .await
        .unwrap();
    assert_eq!(house.of_workspace(What::Tokens), 910);
    assert!(house.send(call("k", None, Some(100))).await.is_err());
    under_way.into_parts().3.end(&Ending::Complete);
    assert_eq!(house.of_workspace(What::Tokens), 100);
    // More than was reserved is paid afterwards.
    house.upstream.usage = used(500, 1000);
    assert!(house.ask().await.is_ok());
    assert_eq!(house.of_workspace(What::Tokens), 1600);
    assert_eq!(house.ask().await.unwrap_err().wait().unwrap().as_secs(), 96);
}

#[tokio::test(start_paused = true)]
async fn calls_that_name_no_bound_are_reserved_as_the_last_answers_were() {
    let mut house = house(tokens(400));
    house.upstream.usage = used(10, 30);
    // 266 reserved at first, 40 from then on.
    for _ in 0..9 {
        assert!(house.ask().await.is_ok());
    }
    assert_eq!(house.of_workspace(What::Tokens), 360);
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_its_limit_goes_when_nothing_is_in_use_and_is_paid_for() {
    let mut house = house(tokens(100));
    house.upstream.usage = used(10, 190);
    assert!(house.send(call("k", None, Some(5000))).await.is_ok());
    let refused = house.send(call("k", None, Some(5000))).await.unwrap_err();
    assert_eq!(refused.wait(), Some(MINUTE * 2));
}

#[tokio::test(start_paused = true)]
async fn a_failure_costs_nothing_but_a_callers_own_fault_counts_as_a_request() {
    let mut house = house(together(Limits {
        requests: rate(5),
        tokens: rate(1000),
        ..Limits::default()
    }));
    for (kind, requests) in [
        (Kind::Unavailable, 0),
        (Kind::Timeout, 0),
        (Kind::BadRequest, 1),
    ] {
        house.upstream.fails = Some(kind);
        let failed = house.ask().await.unwrap_err();
        assert_eq!(failed.kind(), kind);
        assert!(failed.told().contains_key("x-ratelimit-limit-tokens"));
        assert_eq!(house.of_workspace(What::Requests), requests, "{kind:?}");
        assert_eq!(house.of_workspace(What::Tokens), 0, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_has_used_what_was_reserved_and_frees_its_place() {
    let house = house(together(Limits {
        tokens: rate(1000),
        concurrency: Some(1),
        ..Limits::default()
    }));
    let reply = house
        .step
        .run(call("k", None, Some(90)), &house.upstream)
        .await
        .unwrap();
    assert_eq!(
        house.ask().await.unwrap_err().wait(),
        Some(Duration::from_secs(1))
    );
    drop(reply);
    assert_eq!(house.of_workspace(What::Tokens), 100);
    assert!(house.ask().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_and_senders_have_limits_of_their_own_within_the_workspace() {
    let of = |count| Limits {
        requests: rate(count),
        ..Limits::default()
    };
    let house = house(QuotaSettings {
        workspace: of(6),
        key: of(3),
        sender: of(2),
        ..QuotaSettings::default()
    });
    let ask = async |key, user| {
        house
            .send(call(key, user, None))
            .await
            .map_err(|e| e.message().to_owned())
    };
    for _ in 0..2 {
        assert!(ask("a", Some("ann")).await.is_ok());
    }
    assert!(
        ask("a", Some("ann"))
            .await
            .unwrap_err()
            .contains("this user")
    );
    assert!(ask("a", Some("bob")).await.is_ok());
    assert!(
        ask("a", Some("bob"))
            .await
            .unwrap_err()
            .contains("this key")
    );
    for _ in 0..3 {
        assert!(ask("b", None).await.is_ok());
    }
    assert!(ask("c", None).await.unwrap_err().contains("this workspace"));
    assert_eq!(house.counted.0[0].load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_not_enforced_count_what_they_would_refuse() {
    let house = house(QuotaSettings {
        count_only: true,
        ..requests(2)
    });
    for _ in 0..5 {
        assert!(house.ask().await.is_ok());
    }
    assert_eq!(house.counted.0[1].load(Ordering::Relaxed), 3);
    assert_eq!(house.of_workspace(What::Requests), 2);
}

#[tokio::test(start_paused = true)]
async fn a_changed_limit_is_in_force_with_what_was_used() {
    let mut house = house(requests(2));
    for _ in 0..2 {
        assert!(house.ask().await.is_ok());
    }
    assert!(house.ask().await.is_err());
    house.step = quota(&house.quotas, &Workspace::default(), requests(3));
    let headers = house.ask().await.unwrap();
    assert_eq!(headers["x-ratelimit-remaining-requests"], "0");
    assert!(house.ask().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_used_is_kept_for_a_restart() {
    let first = house(requests(6));
    for _ in 0..6 {
        assert!(first.ask().await.is_ok());
    }
    let kept = first.quotas.used();
    let mut second = house(requests(6));
    second.quotas = Quotas::new(Arc::clone(&second.counted));
    for (workspace, used) in kept {
        let scope = Scope::parse(&used.scope.text()).unwrap();
        second
            .quotas
            .restore(&workspace, Used { scope, ..used }, Duration::from_secs(10));
    }
    second.step = quota(&second.quotas, &Workspace::default(), requests(6));
    assert!(second.ask().await.is_ok());
    assert_eq!(
        second.ask().await.unwrap_err().wait(),
        Some(Duration::from_secs(10))
    );
}

#[tokio::test(start_paused = true)]
async fn without_limits_nothing_is_counted_and_no_header_is_added() {
    let house = house(QuotaSettings::default());
    assert!(house.ask().await.unwrap().is_empty());
    assert!(house.quotas.used().is_empty());
}

#[test]
fn scopes_are_read_back_as_they_are_written() {
    for scope in [
        Scope::Workspace,
        Scope::Key("a".into()),
        Scope::Sender("x:y z".into()),
    ] {
        assert_eq!(Scope::parse(&scope.text()), Some(scope));
    }
    assert_eq!(Scope::parse("else"), None);
    assert_eq!(Scope::parse("else:1"), None);
}
