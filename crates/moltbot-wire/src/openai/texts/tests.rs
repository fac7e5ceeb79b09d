use super::*;

fn frame(json: &str) -> Bytes {
    format!("data: {json}\n\n").into()
}

/// The pieces of a frame as (choice, field, call, text).
fn read(frame: &[u8]) -> Vec<(u64, u8, Option<u64>, String)> {
    let added = additions(frame).texts.into_iter();
    added
        .map(|(slot, text)| (slot.choice, slot.field, slot.call, text.text.into_owned()))
        .collect()
}

#[test]
fn a_request_has_all_its_texts_and_no_names() {
    let body = br#"{"model": "m", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "https://x"}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{\"a\": \"two\"}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "three"}], "user": "u", "metadata": {"note": "four"}}"#;
    let texts = all(body).unwrap();
    let texts: Vec<&str> = texts.iter().map(|text| &*text.text).collect();
    assert_eq!(texts, ["one", r#"{"a": "two"}"#, "three", "four"]);
}

#[test]
fn a_chunk_tells_its_pieces_and_which_choices_end() {
    let chunk = frame(
        r#"{"choices":[{"index":1,"delta":{"content":"a","reasoning_content":"b"}},{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    );
    assert_eq!(
        read(&chunk),
        [(1, 0, None, "a".to_owned()), (1, 1, None, "b".to_owned())]
    );
    let added = additions(&chunk);
    assert_eq!(added.ended[..], [0]);
    let at = added.texts[0].1.at.clone();
    assert_eq!(&chunk[at], br#""a""#);
}

#[test]
fn pieces_of_arguments_belong_to_their_call() {
    let chunk = frame(
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{"},"index":2}]}}]}"#,
    );
    assert_eq!(read(&chunk), [(0, ARGUMENTS, Some(2), "{".to_owned())]);
}

#[test]
fn a_like_chunk_adds_its_text_where_the_first_did() {
    for (operation, json) in [
        (
            Operation::Chat,
            r#"{"id":"x","choices":[{"index":3,"delta":{"role":"assistant","content":"a"}}],"usage":{"prompt_tokens":1}}"#,
        ),
        (
            Operation::Chat,
            r#"{"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c","function":{"name":"f","arguments":"a"}}]}}]}"#,
        ),
        (
            Operation::Complete,
            r#"{"id":"x","choices":[{"index":0,"text":"a"}]}"#,
        ),
    ] {
        let chunk = frame(json);
        let slot = additions(&chunk).texts[0].0;
        let like = piece_like(operation, &chunk, slot, "more\n");
        let found = additions(&like);
        assert_eq!(found.texts.len(), 1, "{json}");
        assert_eq!(
            (found.texts[0].0, &*found.texts[0].1.text),
            (slot, "more\n")
        );
        let text = String::from_utf8(like.to_vec()).unwrap();
        assert!(
            text.contains(r#""id":"x""#) && !text.contains("usage") && !text.contains("role"),
            "{text}"
        );
    }
}

#[test]
fn log_probabilities_do_not_tell_the_text_again() {
    let answer = Bytes::from(
        r#"{"choices":[{"index":0,"logprobs":{"content":[{"token":"x"}]},"message":{"content":"x"}}]}"#,
    );
    let text = String::from_utf8(plain(answer).to_vec()).unwrap();
    assert_eq!(
        text,
        r#"{"choices":[{"index":0,"logprobs":null,"message":{"content":"x"}}]}"#
    );
    let split = Bytes::from("data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"x\"}}]}\n\n");
    assert_eq!(read(&plain(split)), [(0, 0, None, "x".to_owned())]);
    let plainly = frame(r#"{"choices":[]}"#);
    assert_eq!(plain(plainly.clone()), plainly);
}
