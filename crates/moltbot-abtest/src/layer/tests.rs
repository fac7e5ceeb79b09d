use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use moltbot_types::call::CallParts;
use moltbot_types::dialect::Splitter;
use moltbot_types::{
    Additions, Answer, Attempt, Canonical, Dialect, Frames, Head, Layered, Operation,
    Outcome as How, Pieces, Prompt, Remembered, Slot, Text, UpstreamFault,
};
use tower_layer::Layer;

use super::*;
use crate::State;
use crate::exposure::Memory;
use crate::settings::Settings;

/// A dialect whose body is the model's name in quotes and nothing else.
#[derive(Debug)]
struct Quoted;

impl Dialect for Quoted {
    fn name(&self) -> &'static str {
        "quoted"
    }
    fn path(&self, _: Operation) -> &'static str {
        "/"
    }
    fn version(&self) -> &'static str {
        "/v1"
    }
    fn peek(&self, _: Operation, _: &[u8]) -> Result<Head, CallError> {
        Err(CallError::new(Kind::Internal, "not needed here"))
    }
    fn splice(&self, head: &Head, body: &Bytes, edits: &[Edit]) -> Result<Pieces, CallError> {
        let at = head.model_at.clone().unwrap();
        let [Edit::Model(text)] = edits else {
            return Err(CallError::new(Kind::Internal, "one edit"));
        };
        let text = Bytes::copy_from_slice(text.as_bytes());
        let pieces = [body.slice(..at.start), text, body.slice(at.end..)];
        Ok(pieces.into_iter().collect())
    }
    fn read(&self, _: Operation, _: &[u8]) -> Result<Prompt, CallError> {
        Ok(Prompt::default())
    }
    fn texts<'a>(&self, _: &'a [u8]) -> Result<Vec<Text<'a>>, CallError> {
        unimplemented!("texts")
    }

    fn plain(&self, answer: Bytes) -> Bytes {
        answer
    }

    fn additions<'a>(&self, _: Operation, _: &'a [u8]) -> Additions<'a> {
        Additions::default()
    }

    fn piece_like(&self, _: Operation, _: &[u8], _: Slot, _: &str) -> Bytes {
        unimplemented!("pieces")
    }

    fn canonical(&self, _: &[u8]) -> Option<Canonical> {
        None
    }

    fn repeats(&self, _: Operation, _: &[u8]) -> bool {
        false
    }

    fn whole_of(&self, _: Operation, _: &[u8], _: Option<Usage>) -> Option<Bytes> {
        None
    }

    fn stream_of(&self, _: Operation, _: &[u8], _: bool) -> Option<Frames> {
        None
    }

    fn write(&self, _: Operation, _: &Answer) -> Bytes {
        Bytes::new()
    }
    fn write_piece(&self, _: Operation, _: &Answer, _: &str) -> Bytes {
        Bytes::new()
    }
    fn write_end(&self, _: Operation, _: &Answer) -> Bytes {
        Bytes::new()
    }
    fn check(&self, _: Operation, _: &[u8]) -> Result<Option<Usage>, CallError> {
        Ok(None)
    }
    fn splitter(&self, _: Operation, _: usize) -> Box<dyn Splitter> {
        unreachable!("no body is cut here")
    }
    fn fault(&self, status: StatusCode, _: &[u8]) -> UpstreamFault {
        UpstreamFault {
            status,
            message: String::new(),
            kind: None,
            code: None,
            param: None,
        }
    }
    fn error(&self, _: &CallError) -> Bytes {
        Bytes::new()
    }
    fn error_event(&self, _: &CallError) -> Bytes {
        Bytes::new()
    }
}

/// How the target answers.
#[derive(Clone, Copy)]
enum Says {
    Whole,
    Stream,
    CutStream,
    Fails(Kind, bool),
    Hangs,
}

#[derive(Clone)]
struct Target(Says, Arc<Mutex<Vec<(String, Bytes)>>>);

const USAGE: Usage = Usage {
    input: 10,
    output: 5,
    estimated: false,
};

impl Next for Target {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let asked = (call.head.model.to_string(), call.body.clone());
        self.1.lock().unwrap().push(asked);
        let tried = |outcome| {
            call.trail.attempt(Attempt {
                model: call.head.model.clone(),
                target: "t/0".into(),
                outcome,
                reason: None,
                level: None,
                took: Duration::ZERO,
            });
        };
        tokio::time::sleep(Duration::from_millis(30)).await;
        let frame = |mark, usage| {
            let mut frames = Frames::one(Bytes::from_static(b"x"), mark);
            frames.usage = usage;
            Ok(frames)
        };
        match self.0 {
            Says::Whole => {
                tried(How::Ok);
                let mut reply = Reply::whole(&Quoted, "fine");
                reply.usage = Some(USAGE);
                Ok(reply)
            }
            Says::Stream => {
                tried(How::Ok);
                let frames = [
                    frame(Mark::Content, None),
                    frame(Mark::End, None),
                    frame(Mark::Role, Some(USAGE)),
                    frame(Mark::End, None),
                ];
                Ok(Reply::stream(&Quoted, stream::iter(frames)))
            }
            Says::CutStream => {
                tried(How::Cut);
                let cut = Err(CallError::new(Kind::Cut, "gone"));
                Ok(Reply::stream(
                    &Quoted,
                    stream::iter([frame(Mark::Content, None), cut]),
                ))
            }
            Says::Fails(kind, reached) => {
                if reached {
                    tried(How::Error);
                }
                Err(CallError::new(kind, "no"))
            }
            Says::Hangs => std::future::pending().await,
        }
    }
}

/// Two cents a token.
struct Priced;

impl House for Priced {
    fn cost(&self, _: &ModelName, usage: Usage) -> f64 {
        0.02 * (usage.input + usage.output) as f64
    }
}

struct Scene {
    tests: Arc<Tests>,
    asked: Arc<Mutex<Vec<(String, Bytes)>>>,
    path: Layered<Comparing, Target>,
}

fn scene(says: Says) -> Scene {
    let tests = Arc::new(Tests::default());
    let settings = Settings {
        name: "t".to_owned(),
        models: vec!["a".into(), "b".into()],
        model: Some("main".into()),
        ..Settings::default()
    };
    tests.open(settings, Arc::new(Memory::default())).unwrap();
    let asked = Arc::default();
    let step = comparing(Arc::clone(&tests), Arc::new(Priced));
    let path = Layered::layer(step).layer(Target(says, Arc::clone(&asked)));
    Scene { tests, asked, path }
}

fn call(model: &str, user: &str) -> Call {
    let text = format!("\"{model}\"");
    Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller::anonymous(),
        head: Head {
            operation: Operation::Chat,
            model: model.into(),
            model_at: Some(0..text.len()),
            stream: false,
            tools: false,
            user: Some(user.into()),
            max_tokens: None,
            limited: false,
            store: false,
            size: text.len(),
        },
        body: text.into(),
        dialect: &Quoted,
        headers: HeaderMap::new(),
        query: None,
        filtered: false,
        remembered: Remembered::default(),
        begun: Instant::now(),
        deadline: None,
        skills: moltbot_types::Skills::Off,
        trail: Arc::default(),
    })
}

impl Scene {
    fn test(&self) -> Arc<Experiment> {
        self.tests.get(&"default".into(), "t").unwrap()
    }

    /// Calls and successes over all arms.
    fn counts(&self) -> (u64, u64) {
        let report = self.test().report();
        let sum =
            |value: fn(&crate::report::Arm) -> f64| report.arms.iter().map(value).sum::<f64>();
        let good = sum(|arm| arm.success.unwrap_or_default() * arm.calls as f64);
        (sum(|arm| arm.calls as f64) as u64, good as u64)
    }
}

async fn finish(reply: Reply) {
    let (_, _, body, mut holds) = reply.into_parts();
    if let Body::Stream(frames) = body {
        let _: Vec<_> = frames.collect().await;
    }
    holds.end(&Ending::Complete);
}

#[tokio::test(start_paused = true)]
async fn the_call_asks_its_arm_in_head_and_body() {
    let scene = scene(Says::Whole);
    for (model, user) in [
        ("experiment:t", "ann"),
        ("main", "ann"),
        ("main", "bob"),
        ("main", "cy"),
    ] {
        let call = call(model, user);
        let trail = Arc::clone(&call.trail);
        finish(scene.path.call(call).await.unwrap()).await;
        assert_eq!(trail.experiment(), Some("t"));
    }
    let asked = scene.asked.lock().unwrap();
    assert_eq!(asked[0], asked[1], "ann is one unit by either name");
    for (model, body) in asked.iter() {
        assert_eq!(*body, format!("\"{model}\""));
    }
    let report = scene.test().report();
    assert_eq!((report.units, scene.counts()), (3, (4, 4)));
    let arms = &report.arms;
    assert_eq!(arms.iter().map(|arm| arm.tokens_in).sum::<u64>(), 40);
    let cost: f64 = arms.iter().map(|arm| arm.cost_usd).sum();
    assert!((cost - 4.0 * 0.3).abs() < 1e-9);
    let latency = arms.iter().find_map(|arm| arm.latency_ms).unwrap();
    assert!((latency.p50 / 30.0 - 1.0).abs() < 0.02);
}

#[tokio::test(start_paused = true)]
async fn a_plain_model_takes_no_part_and_an_unknown_test_is_404() {
    let scene = scene(Says::Whole);
    let plain = call("a", "ann");
    let trail = Arc::clone(&plain.trail);
    finish(scene.path.call(plain).await.unwrap()).await;
    assert_eq!((trail.experiment(), scene.counts()), (None, (0, 0)));
    let error = scene
        .path
        .call(call("experiment:other", "ann"))
        .await
        .unwrap_err();
    assert_eq!(error.status(), 404);
    let mut foreign = call("experiment:t", "ann");
    foreign.caller.workspace = "elsewhere".into();
    assert_eq!(scene.path.call(foreign).await.unwrap_err().status(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_written_down_before_its_last_frame_with_its_usage() {
    let scene = scene(Says::Stream);
    let reply = scene.path.call(call("main", "ann")).await.unwrap();
    let (_, _, Body::Stream(mut frames), _) = reply.into_parts() else {
        panic!("a stream");
    };
    let mut counts = Vec::new();
    while let Some(Ok(_)) = frames.next().await {
        counts.push(scene.counts().0);
    }
    assert_eq!(
        counts,
        [0, 0, 1, 1],
        "with the usage, before the terminal marker"
    );
    let report = scene.test().report();
    let arm = report.arms.iter().find(|arm| arm.calls == 1).unwrap();
    assert_eq!(
        (arm.tokens_in, arm.tokens_out, arm.success),
        (10, 5, Some(1.0))
    );
    assert!(arm.first_token_ms.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_and_one_that_is_left_have_failed() {
    let cut = scene(Says::CutStream);
    finish(cut.path.call(call("main", "ann")).await.unwrap()).await;
    assert_eq!(cut.counts(), (1, 0));
    let left = scene(Says::Stream);
    drop(left.path.call(call("main", "ann")).await.unwrap());
    assert_eq!(left.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_before_the_answer_is_a_failure() {
    let scene = scene(Says::Hangs);
    let left = tokio::time::timeout(Duration::from_secs(1), scene.path.call(call("main", "ann")));
    assert!(left.await.is_err());
    assert_eq!(scene.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_counts_where_the_arm_was_reached_or_is_to_blame() {
    for (says, counts) in [
        (Says::Fails(Kind::Upstream, true), (1, 0)),
        (Says::Fails(Kind::Unavailable, false), (1, 0)),
        (Says::Fails(Kind::BadRequest, false), (0, 0)),
    ] {
        let scene = scene(says);
        assert!(scene.path.call(call("main", "ann")).await.is_err());
        assert_eq!(scene.counts(), counts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_test_gives_the_model_itself_unchanged() {
    let scene = scene(Says::Whole);
    scene.test().stop().unwrap();
    finish(scene.path.call(call("main", "ann")).await.unwrap()).await;
    assert_eq!(scene.asked.lock().unwrap()[0].0, "main");
    assert_eq!(scene.test().state(), State::Stopped);
    assert_eq!(scene.counts(), (0, 0));
}

#[test]
fn names_are_taken_once_a_workspace_and_a_model_has_one_live_test() {
    let tests = Tests::default();
    let open = |name: &str, workspace: &str, model: Option<&str>| {
        let settings = Settings {
            name: name.to_owned(),
            workspace: workspace.into(),
            models: vec!["a".into(), "b".into()],
            model: model.map(ModelName::from),
            ..Settings::default()
        };
        tests.open(settings, Arc::new(Memory::default()))
    };
    let first = open("one", "w", Some("m")).unwrap();
    assert!(
        open("one", "w", None)
            .unwrap_err()
            .to_string()
            .contains("another name")
    );
    open("one", "v", Some("m")).unwrap();
    assert!(
        open("two", "w", Some("m"))
            .unwrap_err()
            .to_string()
            .contains("stop it first")
    );
    first.stop().unwrap();
    open("two", "w", Some("m")).unwrap();
    assert_eq!(tests.list(&"w".into()).len(), 2);
}
