use std::sync::Mutex;

use bytes::Bytes;
use futures_util::StreamExt;
use moltbot_types::call::CallParts;
use moltbot_types::{Caller, Dialect, Kind, Operation, Remembered, RequestId, Retry};
use moltbot_wire::OPENAI;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

/// A model that says what it is told to, and keeps what it was asked.
#[derive(Clone)]
struct Model {
    says: Vec<&'static str>,
    stream: bool,
    asked: Arc<Mutex<Option<String>>>,
}

impl Next for Model {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        *self.asked.lock().unwrap() = Some(body);
        if !self.stream {
            return Ok(Reply::whole(&OPENAI, self.says.concat()));
        }
        let mut splitter = OPENAI.splitter(Operation::Chat, 1 << 20);
        let mut frames = Vec::new();
        for piece in &self.says {
            frames.extend(
                splitter
                    .push(Bytes::from_static(piece.as_bytes()))
                    .transpose(),
            );
        }
        match splitter.finish() {
            Ok(rest) => frames.extend(rest.map(Ok)),
            Err(cut) => frames.push(Err(cut)),
        }
        Ok(Reply::stream(&OPENAI, futures_util::stream::iter(frames)))
    }
}

fn chain(action: Action) -> Chain {
    let settings = Settings {
        pii: Some(action),
        ..Settings::default()
    };
    Engine::new(&settings)
        .unwrap()
        .chain(&Name::ALL, &Name::ALL)
}

fn call(text: &str) -> Call {
    let content = serde_json::json!(text);
    let body = format!(
        r#"{{"model": "m",  "messages": [{{"role":"user","content":{content}}}], "temperature": 0}}"#
    );
    let body = Bytes::from(body);
    Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller::anonymous(),
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

fn model(says: &[&'static str]) -> Model {
    Model {
        says: says.to_vec(),
        stream: says[0].starts_with("data:"),
        asked: Arc::default(),
    }
}

async fn text(reply: Reply) -> String {
    match reply.into_parts().2 {
        Body::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Body::Stream(frames) => {
            let frames: Vec<_> = frames.collect().await;
            let said = |frame: Result<moltbot_types::Frames, CallError>| match frame {
                Ok(frames) => String::from_utf8(frames.raw().to_vec()).unwrap(),
                Err(error) => format!("ERROR {}", error.word()),
            };
            frames.into_iter().map(said).collect()
        }
    }
}

/// The words of a streamed answer, joined as a client joins them.
fn joined(stream: &str, field: &str) -> String {
    let events = stream
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "));
    let events = events.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    events
        .filter_map(|event| event.pointer(field)?.as_str().map(str::to_owned))
        .collect()
}

const CONTENT: &str = "/choices/0/delta/content";

#[tokio::test]
async fn a_masked_call_differs_in_its_masks_alone() {
    let model = model(&[r#"{"choices":[]}"#]);
    let call = call("write to a@example.com");
    let (body, trail) = (call.body.clone(), Arc::clone(&call.trail));
    filter(chain(Action::Mask)).run(call, &model).await.unwrap();
    let asked = model.asked.lock().unwrap().take().unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(asked, body.replace("a@example.com", "[email]"));
    assert_eq!(trail.with(|tried| tried.filters.clone()), ["pii"]);
}

#[tokio::test]
async fn a_blocked_call_reaches_no_model_and_no_fallback() {
    let model = model(&["{}"]);
    let error = filter(chain(Action::Block))
        .run(call("13812345678"), &model)
        .await
        .unwrap_err();
    assert_eq!(
        (error.status().as_u16(), error.word()),
        (400, "content_filter")
    );
    assert!(error.message().contains("`pii`") && !error.message().contains("138"));
    assert_eq!(error.decision(), Retry::Never);
    assert!(model.asked.lock().unwrap().is_none());
}

#[tokio::test]
async fn arguments_of_tools_stay_json() {
    let body = r#"{"choices":[{"index":0,"message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"to\": 13812345678, \"n\": [1, \"a@b.cn\"]}"}}]}}]}"#;
    let reply = filter(chain(Action::Mask))
        .run(call("x"), &model(&[body]))
        .await
        .unwrap();
    let whole = text(reply).await;
    assert!(
        whole.contains(r#""{\"to\": \"[phone]\", \"n\": [1, \"[email]\"]}""#),
        "{whole}"
    );
}

#[tokio::test]
async fn a_match_across_frames_is_masked_and_nothing_else_is_lost() {
    let says = [
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Ask zha\"}}]}\n\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ng@exam\"}}]}\n\n: alive\n\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ple.com now\"}}]}\n\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ];
    let reply = filter(chain(Action::Mask))
        .run(call("x"), &model(&says))
        .await
        .unwrap();
    let stream = text(reply).await;
    assert_eq!(joined(&stream, CONTENT), "Ask [email] now");
    assert!(
        stream.ends_with("data: [DONE]\n\n") && stream.contains(": alive"),
        "{stream}"
    );
    assert_eq!(stream.matches("\"role\"").count(), 1);
}

#[tokio::test]
async fn streamed_arguments_are_looked_at_whole() {
    let says = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"to\\\": 138123\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"45678}\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n",
    ];
    let reply = filter(chain(Action::Mask))
        .run(call("x"), &model(&says))
        .await
        .unwrap();
    let stream = text(reply).await;
    let arguments = joined(&stream, "/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(arguments, r#"{"to": "[phone]"}"#);
    assert_eq!(stream.matches("\"name\":\"f\"").count(), 1);
}

#[tokio::test]
async fn outbound_a_block_before_content_is_an_error_and_after_it_a_cut() {
    let early = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"13812345678\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    ];
    let error = filter(chain(Action::Block))
        .run(call("x"), &model(&early))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (Kind::ContentFilter, 400)
    );

    let late = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Call me: \"}}]}\n\n",
        early[0],
        early[1],
    ];
    let reply = filter(chain(Action::Block))
        .run(call("x"), &model(&late))
        .await
        .unwrap();
    let stream = text(reply).await;
    assert_eq!(joined(&stream, CONTENT), "Call me: ");
    assert!(
        stream.ends_with("ERROR content_filter") && !stream.contains("[DONE]"),
        "{stream}"
    );
}

#[tokio::test]
async fn what_is_filtered_already_passes() {
    let model = model(&["{}"]);
    let mut call = call("13812345678");
    call.filtered = true;
    assert!(filter(chain(Action::Block)).run(call, &model).await.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn however_an_answer_is_cut_into_frames_the_same_is_read(sizes in prop::collection::vec(1..9usize, 1..6)) {
        const TEXT: &str = "写信到 zhang@example.com, call +44 20 7946 0958 or 192.168.1.10; ok？";
        let mut letters = TEXT.chars().peekable();
        let mut says = Vec::new();
        for size in sizes.iter().cycle() {
            let piece: String = letters.by_ref().take(*size).collect();
            let event = serde_json::json!({"choices": [{"index": 0, "delta": {"content": piece}}]});
            says.push(&*format!("data: {event}\n\n").leak());
            if letters.peek().is_none() {
                break;
            }
        }
        says.push("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stream = runtime.block_on(async {
            let reply = filter(chain(Action::Mask)).run(call("x"), &model(&says)).await.unwrap();
            text(reply).await
        });
        prop_assert_eq!(joined(&stream, CONTENT), "写信到 [email], call [phone] or [ip]; ok？");
    }
}
