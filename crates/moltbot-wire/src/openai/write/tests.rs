use moltbot_types::Usage;

use super::*;

fn answer() -> Answer {
    Answer {
        id: "chatcmpl-1".into(),
        model: "echo".into(),
        created: 7,
        text: "ha ha".into(),
        finish: Finish::Length,
        usage: Usage {
            input: 3,
            output: 2,
            estimated: true,
        },
    }
}

fn chunks(text: &Bytes) -> Vec<Value> {
    std::str::from_utf8(text)
        .unwrap()
        .split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").unwrap())
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn the_first_piece_alone_names_the_role() {
    let answer = answer();
    let roles: Vec<_> = [&answer.text[..3], &answer.text[3..]]
        .map(|part| chunks(&piece(Operation::Chat, &answer, part)).remove(0))
        .iter()
        .map(|chunk| chunk["choices"][0]["delta"]["role"].clone())
        .collect();
    assert_eq!(roles, [json!("assistant"), Value::Null]);
}

#[test]
fn the_end_says_why_tells_usage_and_closes() {
    for operation in [Operation::Chat, Operation::Complete] {
        let text = end(operation, &answer());
        assert!(text.ends_with(b"data: [DONE]\n\n"));
        let last = &chunks(&text)[0];
        assert_eq!(last["choices"][0]["finish_reason"], "length");
        assert_eq!(last["usage"]["total_tokens"], 5);
    }
}

#[test]
fn whole_answers_have_the_dialects_objects() {
    for (operation, object) in [
        (Operation::Chat, "chat.completion"),
        (Operation::Complete, "text_completion"),
        (Operation::Embed, "list"),
    ] {
        let body: Value = serde_json::from_slice(&whole(operation, &answer())).unwrap();
        assert_eq!(body["object"], object);
        assert_eq!(body["usage"]["prompt_tokens"], 3);
    }
}
