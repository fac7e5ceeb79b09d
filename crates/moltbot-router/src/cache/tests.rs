use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use futures_util::StreamExt;
use moltbot_types::call::CallParts;
use moltbot_types::{
    Body, CacheResult, Call, CallError, Caller, Dialect, Frames, Kind, Mark, Next, Operation,
    Remembered, Reply, RequestId, Step,
};
use moltbot_wire::OPENAI;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, advance};

use super::*;
use crate::table::{Route, RouteSettings, Table};

/// What an upstream does with a call.
enum Script {
    Whole(String),
    /// Frames as the test sends them.
    Stream(mpsc::Receiver<Result<Frames, CallError>>),
    Fails,
    /// Answers once a permit is there.
    Waits(Arc<Semaphore>, String),
    Panics,
}

/// An upstream that does what it is told, call by call; afterwards it answers whole.
#[derive(Clone, Default)]
struct Upstream(Arc<Inner>);

#[derive(Default)]
struct Inner {
    asked: AtomicUsize,
    left: Arc<AtomicUsize>,
    scripts: Mutex<std::collections::VecDeque<Script>>,
}

impl Upstream {
    fn does(scripts: impl IntoIterator<Item = Script>) -> Self {
        let upstream = Self::default();
        upstream.0.scripts.lock().unwrap().extend(scripts);
        upstream
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }
}

/// Counts calls that were left before their end.
struct Left(Arc<AtomicUsize>, bool);

impl Drop for Left {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Next for Upstream {
    async fn call(&self, _: Call) -> Result<Reply, CallError> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let script = self.0.scripts.lock().unwrap().pop_front();
        let mut left = Left(Arc::clone(&self.0.left), false);
        let reply = match script.unwrap_or_else(|| Script::Whole(answer("stop"))) {
            Script::Whole(text) => Ok(Reply::whole(&OPENAI, text)),
            Script::Fails => Err(CallError::new(Kind::Unavailable, "down")),
            Script::Panics => panic!("as asked"),
            Script::Waits(go, text) => {
                go.acquire().await.unwrap().forget();
                Ok(Reply::whole(&OPENAI, text))
            }
            Script::Stream(frames) => {
                let state = (frames, Left(Arc::clone(&self.0.left), false));
                let frames = futures_util::stream::unfold(state, |(mut frames, mut left)| async {
                    let next = frames.recv().await;
                    left.1 = next.is_none();
                    Some((next?, (frames, left)))
                });
                Ok(Reply::stream(&OPENAI, frames))
            }
        };
        left.1 = true;
        reply
    }
}

fn answer(reason: &str) -> String {
    format!(
        r#"{{"id":"1","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"hello"}},"finish_reason":"{reason}"}}],"usage":{{"prompt_tokens":3,"completion_tokens":4}}}}"#
    )
}

fn content(text: &str) -> Result<Frames, CallError> {
    let frame = format!(
        "data: {{\"id\":\"1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
    );
    Ok(Frames::one(frame.into(), Mark::Content))
}

fn end() -> Result<Frames, CallError> {
    let frame = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    Ok(Frames::one(Bytes::from_static(frame.as_bytes()), Mark::End))
}

/// A cache before an upstream.
struct Bench {
    cache: Arc<Cache>,
    step: Caching,
    upstream: Upstream,
}

fn bench_with(settings: CacheSettings, scripts: impl IntoIterator<Item = Script>) -> Bench {
    let cache = Arc::new(Cache::new(settings, Arc::default(), TaskTracker::new()));
    let routes: Table = ["m", "other"]
        .into_iter()
        .map(|name| Route::new(name, Vec::new(), RouteSettings::default()))
        .collect();
    Bench {
        step: caching(Some(Arc::clone(&cache)), Arc::new(routes)),
        cache,
        upstream: Upstream::does(scripts),
    }
}

fn bench(scripts: impl IntoIterator<Item = Script>) -> Bench {
    bench_with(CacheSettings::default(), scripts)
}

fn call_of(workspace: &str, body: &str) -> Call {
    let body = Bytes::from(body.to_owned());
    let mut caller = Caller::anonymous();
    caller.workspace = workspace.into();
    Call::new(CallParts {
        id: RequestId::new(),
        caller,
        head: OPENAI.peek(Operation::Chat, &body).unwrap(),
        body,
        dialect: &OPENAI,
        headers: Default::default(),
        query: None,
        skills: Default::default(),
        filtered: false,
        remembered: Remembered::default(),
        begun: Instant::now(),
        deadline: None,
        trail: Arc::default(),
    })
}

const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

fn call(body: &str) -> Call {
    call_of("default", body)
}

impl Bench {
    async fn run(&self, call: Call) -> (Result<Reply, CallError>, CacheResult) {
        let trail = Arc::clone(&call.trail);
        let reply = self.step.run(call, &self.upstream).await;
        (reply, trail.with(|tried| tried.cache))
    }

    /// Asks, and reads the answer to its end.
    async fn ask(&self, call: Call) -> (String, CacheResult) {
        let (reply, result) = self.run(call).await;
        let text = match reply {
            Ok(reply) => read(reply).await,
            Err(error) => format!("ERROR {}", error.word()),
        };
        // the flight remembers after its last listener has read
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        (text, result)
    }

    async fn result(&self, body: &str) -> CacheResult {
        self.ask(call(body)).await.1
    }
}

async fn read(reply: Reply) -> String {
    match reply.into_parts().2 {
        Body::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Body::Stream(mut frames) => {
            let mut text = String::new();
            while let Some(next) = frames.next().await {
                match next {
                    Ok(next) => text.push_str(std::str::from_utf8(next.raw()).unwrap()),
                    Err(error) => text.push_str(&format!("ERROR {}", error.word())),
                }
            }
            text
        }
    }
}

use CacheResult::{Bypass, Hit, Miss};

#[tokio::test]
async fn an_equal_call_is_answered_from_memory_with_its_usage() {
    let bench = bench([]);
    let (first, result) = bench.ask(call(ASK)).await;
    assert_eq!(result, Miss);
    let again = call(
        r#"{ "messages": [{"content":"hi", "role":"user"}], "user":"u", "metadata":{"a":1}, "model":"m" }"#,
    );
    let trail = Arc::clone(&again.trail);
    let (reply, result) = bench.run(again).await;
    let reply = reply.unwrap();
    assert_eq!((result, bench.upstream.asked()), (Hit, 1));
    assert_eq!(trail.with(|tried| tried.attempts.len()), 0);
    assert_eq!(read(reply).await, first);
}

#[tokio::test]
async fn what_differs_in_an_unknown_field_or_the_model_is_another_question() {
    let bench = bench([]);
    for body in [
        ASK.to_owned(),
        ASK.replace("\"m\"", "\"other\""),
        ASK.replace("}]}", "}],\"x\":1}"),
        ASK.replace("hi", "ho"),
    ] {
        assert_eq!(bench.result(&body).await, Miss, "{body}");
    }
    assert_eq!(bench.upstream.asked(), 4);
}

#[tokio::test]
async fn workspaces_share_nothing() {
    let bench = bench([]);
    assert_eq!(bench.ask(call_of("a", ASK)).await.1, Miss);
    assert_eq!(bench.ask(call_of("b", ASK)).await.1, Miss);
    bench.cache.clear(Some(&"a".into())).await;
    assert_eq!(bench.ask(call_of("a", ASK)).await.1, Miss);
    assert_eq!(bench.ask(call_of("b", ASK)).await.1, Hit);
}

#[tokio::test]
async fn arms_share_nothing() {
    let bench = bench([]);
    let arm = |name: &str| {
        let call = call(ASK);
        call.trail.join(name.into());
        call
    };
    assert_eq!(bench.ask(arm("one")).await.1, Miss);
    assert_eq!(bench.ask(arm("two")).await.1, Miss);
    assert_eq!(bench.ask(arm("one")).await.1, Hit);
}

#[tokio::test]
async fn a_temperature_above_zero_is_not_looked_up_unless_any_is() {
    let warm = ASK.replace("}]}", "}],\"temperature\":0.7}");
    let zero = ASK.replace("}]}", "}],\"temperature\":0.0}");
    let careful = bench([]);
    assert_eq!(
        (careful.result(&warm).await, careful.result(&warm).await),
        (Bypass, Bypass)
    );
    assert_eq!(
        (careful.result(&zero).await, careful.result(&zero).await),
        (Miss, Hit)
    );
    let settings = CacheSettings {
        any_temperature: true,
        ..CacheSettings::default()
    };
    let any = bench_with(settings, []);
    assert_eq!(
        (any.result(&warm).await, any.result(&warm).await),
        (Miss, Hit)
    );
}

#[tokio::test]
async fn tool_calls_answers_cut_by_length_and_failures_are_not_kept() {
    let tools = answer("tool_calls").replace("\"content\"", "\"tool_calls\":[{}],\"content\"");
    let bench = bench([
        Script::Whole(answer("length")),
        Script::Whole(tools),
        Script::Fails,
    ]);
    for _ in 0..4 {
        assert_eq!(bench.result(ASK).await, Miss);
    }
    assert_eq!(bench.result(ASK).await, Hit);
}

#[tokio::test]
async fn no_store_keeps_nothing_and_no_cache_asks_anew_and_keeps() {
    let bench = bench([]);
    let wish = |never, anew| {
        let mut call = call(ASK);
        call.remembered.never = never;
        call.remembered.anew = anew;
        call
    };
    assert_eq!(bench.ask(wish(true, false)).await.1, Bypass);
    assert_eq!(bench.ask(wish(false, true)).await.1, Miss);
    assert_eq!(bench.ask(wish(true, false)).await.1, Bypass);
    assert_eq!((bench.result(ASK).await, bench.upstream.asked()), (Hit, 3));
}

#[tokio::test(start_paused = true)]
async fn an_answer_lives_as_long_as_it_may_and_max_age_takes_no_older_one() {
    let bench = bench([]);
    bench.ask(call(ASK)).await;
    advance(Duration::from_secs(61)).await;
    let mut young = call(ASK);
    young.remembered.max_age = Some(Duration::from_secs(60));
    assert_eq!(bench.ask(young).await.1, Miss);
    assert_eq!(bench.result(ASK).await, Hit);
    advance(Duration::from_secs(3601)).await;
    assert_eq!(bench.result(ASK).await, Miss);
}

#[tokio::test]
async fn a_whole_answer_serves_a_stream_and_a_stream_a_whole_answer() {
    let (frames, script) = mpsc::channel(8);
    for frame in [content("he"), content("llo"), end()] {
        frames.try_send(frame).unwrap();
    }
    drop(frames);
    let bench = bench([Script::Whole(answer("stop")), Script::Stream(script)]);
    bench.ask(call(ASK)).await;
    let (stream, result) = bench.ask(call(STREAM)).await;
    assert_eq!(result, Hit);
    assert!(
        stream.contains(r#""content":"hello""#) && stream.ends_with("data: [DONE]\n\n"),
        "{stream}"
    );
    bench.cache.clear(None).await;
    bench.ask(call(STREAM)).await;
    let (whole, result) = bench.ask(call(ASK)).await;
    assert_eq!(result, Hit);
    assert!(
        whole.contains(r#""content":"hello""#) && whole.contains("chat.completion\""),
        "{whole}"
    );
    assert_eq!(bench.ask(call(STREAM)).await.1, Hit);
}

#[tokio::test]
async fn equal_calls_at_once_share_one_upstream_call() {
    let go = Arc::new(Semaphore::new(0));
    let bench = bench([Script::Waits(Arc::clone(&go), answer("stop"))]);
    let all = futures_util::future::join_all((0..50).map(|_| bench.run(call(ASK))));
    let (all, ()) = tokio::join!(all, async { go.add_permits(1) });
    let hits = all
        .iter()
        .filter(|(reply, result)| reply.is_ok() && *result == Hit);
    assert_eq!((hits.count(), bench.upstream.asked()), (49, 1));
}

#[tokio::test]
async fn a_late_listener_hears_what_was_and_follows() {
    let (frames, script) = mpsc::channel(8);
    let bench = bench([Script::Stream(script)]);
    frames.send(content("one")).await.unwrap();
    let (first, _) = bench.run(call(STREAM)).await;
    let (second, result) = bench.run(call(STREAM)).await;
    assert_eq!(result, Hit);
    frames.send(content("two")).await.unwrap();
    frames.send(end()).await.unwrap();
    drop(frames);
    let (first, second) = tokio::join!(read(first.unwrap()), read(second.unwrap()));
    assert!(first.contains("one") && first.contains("two"));
    assert_eq!((first, bench.upstream.asked()), (second, 1));
}

#[tokio::test]
async fn a_leader_that_leaves_hands_over_and_the_last_one_ends_the_call() {
    let (frames, script) = mpsc::channel(8);
    let bench = bench([Script::Stream(script)]);
    frames.send(content("one")).await.unwrap();
    let (leader, _) = bench.run(call(STREAM)).await;
    let (follower, _) = bench.run(call(STREAM)).await;
    drop(leader);
    frames.send(content("two")).await.unwrap();
    let Body::Stream(mut stream) = follower.unwrap().into_parts().2 else {
        panic!("a stream");
    };
    for _ in 0..2 {
        assert!(stream.next().await.unwrap().is_ok());
    }
    assert_eq!(bench.upstream.0.left.load(Ordering::Relaxed), 0);
    drop(stream);
    frames.closed().await;
    assert_eq!(bench.upstream.0.left.load(Ordering::Relaxed), 1);
    assert_eq!(bench.result(ASK).await, Miss);
}

#[tokio::test]
async fn a_leader_that_leaves_before_the_answer_costs_no_further_call() {
    let go = Arc::new(Semaphore::new(0));
    let bench = bench([Script::Waits(Arc::clone(&go), answer("stop"))]);
    let mut leader = Box::pin(bench.run(call(ASK)));
    assert!(futures_util::poll!(&mut leader).is_pending());
    let mut follower = Box::pin(bench.run(call(ASK)));
    assert!(futures_util::poll!(&mut follower).is_pending());
    drop(leader);
    go.add_permits(1);
    let (reply, result) = follower.await;
    assert_eq!(
        (reply.is_ok(), result, bench.upstream.asked()),
        (true, Hit, 1)
    );
}

#[tokio::test]
async fn a_leader_that_fails_hears_why_and_a_follower_tries_anew() {
    let bench = bench([Script::Fails]);
    let (leader, follower) = tokio::join!(bench.ask(call(ASK)), bench.ask(call(ASK)));
    assert_eq!(leader, ("ERROR upstream_unavailable".to_owned(), Miss));
    assert_eq!((follower.0, follower.1), (answer("stop"), Miss));
    assert_eq!(bench.upstream.asked(), 2);
}

#[tokio::test]
async fn a_stream_that_is_cut_is_cut_for_all_and_not_kept() {
    let (frames, script) = mpsc::channel(8);
    let bench = bench([Script::Stream(script)]);
    frames.send(content("one")).await.unwrap();
    frames
        .send(Err(CallError::new(Kind::Cut, "broke off")))
        .await
        .unwrap();
    drop(frames);
    let (leader, follower) = tokio::join!(bench.ask(call(STREAM)), bench.ask(call(STREAM)));
    assert!(leader.0.ends_with("ERROR stream_cut") && follower.0.ends_with("ERROR stream_cut"));
    assert_eq!(bench.result(STREAM).await, Miss);
}

#[tokio::test]
async fn a_flight_that_panics_fails_its_leader_and_nobody_waits_for_it() {
    let bench = bench([Script::Panics]);
    let (leader, follower) = tokio::join!(bench.ask(call(ASK)), bench.ask(call(ASK)));
    assert_eq!(leader.0, "ERROR internal_error");
    assert_eq!(follower.0, answer("stop"));
}

#[tokio::test]
async fn bytes_never_exceed_the_capacity() {
    let settings = CacheSettings {
        capacity: 20_000,
        ..CacheSettings::default()
    };
    let bench = bench_with(settings, []);
    for number in 0..200 {
        bench
            .ask(call(&ASK.replace("hi", &number.to_string())))
            .await;
    }
    let stats = bench.cache.stats().await;
    assert!(stats.bytes <= 20_000 && stats.entries > 10, "{stats:?}");
    assert_eq!((stats.hits, stats.misses), (0, 200));
}

#[tokio::test]
async fn what_is_cleared_while_it_is_under_way_is_not_remembered() {
    let go = Arc::new(Semaphore::new(0));
    let bench = bench([Script::Waits(Arc::clone(&go), answer("stop"))]);
    let mut first = Box::pin(bench.ask(call(ASK)));
    assert!(futures_util::poll!(&mut first).is_pending());
    bench.cache.clear(None).await;
    go.add_permits(1);
    assert_eq!(first.await.1, Miss);
    assert_eq!(bench.result(ASK).await, Miss);
}
