//! Section 2.3: answers that are broken.

use moltbot_tests::{Do, Upstream};

use super::{
    AT_ONCE, DONE, FINISH, HALF, HELLO, House, ROLE, alone, good, hello_stream, limited, pair,
    refusing,
};

#[tokio::test]
async fn fm_34_a_broken_body_is_no_answer_and_the_log_says_where_it_breaks() {
    let broken = r#"{"choices": [{"note": "canary"}, oops"#;
    let (first, second) = (Upstream::says(broken).await, good(false).await);
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(false).await.comes_from("second", 2);

    let mut house = House::of(&format!("{AT_ONCE}{}", alone(&first.url(), "")));
    let told = house.ask(false).await;
    assert_eq!(told.status, 503, "{told:?}");
    let line = house.line_of(&told).to_string();
    let place = format!("at byte {}", broken.find("oops").unwrap());
    assert!(line.contains(&place), "{line}");
    // answers are in the log only where `logs.content` asks for them
    assert!(!line.contains("canary"), "{line}");
}

/// What a caller is told of a stream that goes on so once its beginning was read.
async fn goes_on(house: &House, upstream: &Upstream) -> super::Told {
    // the head is there once content was
    house.ask_and(true, || upstream.go_on()).await
}

#[tokio::test]
async fn fm_35_single_malformed_events_are_left_out_and_the_fourth_is_a_cut() {
    let broken = "data: {\"choices\": [oops\n\n";
    let rest = format!("{}{FINISH}{DONE}", HALF.replace("Half", "Hello"));
    let after = |times| {
        vec![
            Do::stream(HALF),
            Do::Pause,
            Do::send(format!("{}{rest}", broken.repeat(times))),
        ]
    };
    let first = Upstream::does([after(3)]).await;
    let house = House::of(&alone(&first.url(), ""));
    assert_eq!(goes_on(&house, &first).await.text, format!("{HALF}{rest}"));

    let first = Upstream::does([after(4)]).await;
    let house = House::of(&alone(&first.url(), ""));
    let told = goes_on(&house, &first).await;
    told.is_cut("stream_cut");
    assert!(!told.text.contains("Hello"), "{told:?}");
}

#[tokio::test]
async fn fm_36_a_stream_without_its_end_is_cut_and_one_without_its_marker_gets_it() {
    let (first, second) = (Upstream::streams(ROLE).await, good(true).await);
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(true).await.comes_from("second", 2);

    let first = Upstream::streams(&format!("{ROLE}{HALF}")).await;
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(true).await.is_cut("stream_cut");

    let stream = hello_stream();
    let first = Upstream::streams(stream.strip_suffix(DONE).unwrap()).await;
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    assert_eq!(house.ask(true).await.text, stream);
}

#[tokio::test]
async fn fm_37_a_web_page_is_no_answer() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>Log in to the WLAN</html>";
    for stream in [false, true] {
        let (first, second) = (Upstream::answers(page).await, good(stream).await);
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        house.ask(stream).await.comes_from("second", 2);
    }
}

#[tokio::test]
async fn fm_38_an_answer_over_the_limit_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"x\":\"";
    let flood = Do::Flood(vec![b'x'; 16 * 1024]);
    let first = Upstream::does([vec![Do::send(head), flood.clone()]]).await;
    let second = good(false).await;
    let yaml = pair(&first.url(), &second.url(), "");
    let house = House::at(limited("reply: 256KiB", &yaml));
    house.ask(false).await.comes_from("second", 2);
    first.until_left().await;

    let first = Upstream::does([vec![Do::stream("data: "), flood]]).await;
    let second = good(true).await;
    let yaml = pair(&first.url(), &second.url(), "");
    let house = House::at(limited("event: 64KiB", &yaml));
    house.ask(true).await.comes_from("second", 2);
    first.until_left().await;
}

#[tokio::test]
async fn fm_39_a_compressed_answer_is_neither_asked_for_nor_unpacked() {
    let headers = "content-encoding: gzip\r\n";
    let (first, second) = (refusing("200 OK", headers, HELLO).await, good(false).await);
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(false).await.comes_from("second", 2);
    let head = first.seen()[0].head.to_ascii_lowercase();
    let offered = head
        .lines()
        .find_map(|line| line.strip_prefix("accept-encoding: "));
    assert!(matches!(offered, None | Some("identity")), "{head}");
}

#[tokio::test]
async fn fm_40_a_stream_passes_byte_for_byte_however_it_is_cut() {
    let text = HALF.replace("Half", "héllo 世界 🦀");
    let stream = format!(
        "\u{feff}: a comment\r\n\r\n{}data: {{\"choices\":\ndata: [{{\"index\":0,\"delta\":{{\"content\":\"Hello\"}}}}]}}\n\n{FINISH}{DONE}",
        text.replace('\n', "\r\n")
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let does = vec![Do::Dribble(format!("{head}{stream}").into_bytes())];
    let first = Upstream::does([does]).await;
    let house = House::of(&alone(&first.url(), ""));
    assert_eq!(house.ask(true).await.text, stream);
}

#[tokio::test]
async fn fm_41_usage_that_can_not_be_is_estimated() {
    for usage in [
        r#""usage":{"prompt_tokens":-5,"completion_tokens":-7,"total_tokens":-12}"#,
        r#""usage":{"prompt_tokens":99999999999999,"completion_tokens":1,"total_tokens":1}"#,
        r#""usage":null"#,
    ] {
        let start = HELLO.find("\"usage\"").unwrap();
        let first = Upstream::says(&format!("{}{usage}}}", &HELLO[..start])).await;
        let mut house = House::of(&alone(&first.url(), ""));
        let told = house.ask(false).await;
        told.comes_from("first", 1);
        let line = house.line_of(&told);
        assert_eq!(line["estimated"], true, "{usage}: {line}");
        let tokens = |name: &str| line[name].as_u64().unwrap_or(u64::MAX);
        assert!((1..1000).contains(&tokens("tokens_in")), "{line}");
        assert!((1..1000).contains(&tokens("tokens_out")), "{line}");
    }
}

#[tokio::test]
async fn fm_42_pieces_of_tool_calls_keep_their_order_and_index() {
    let piece = |index: u32, id: &str, arguments: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{index},{id}\"function\":{{\"arguments\":\"{arguments}\"}}}}]}}}}]}}\n\n"
        )
    };
    let stream = [
        &piece(0, "\"id\":\"a\",", "{"),
        &piece(3, "\"id\":\"b\",", "{"),
        &piece(0, "", "}"),
        &piece(3, "", "}"),
        FINISH,
        DONE,
    ]
    .concat();
    let first = Upstream::streams(&stream).await;
    let house = House::of(&alone(&first.url(), ""));
    assert_eq!(house.ask(true).await.text, stream);
}

#[tokio::test]
async fn fm_43_only_listed_headers_reach_the_caller() {
    let headers = "set-cookie: a=b\r\nstrict-transport-security: max-age=1\r\nalt-svc: h3=\":443\"\r\nclear-site-data: \"*\"\r\nx-moltbot-target: forged\r\nserver: up\r\nlocation: http://127.0.0.1/\r\n";
    let first = refusing("200 OK", headers, HELLO).await;
    let house = House::of(&alone(&first.url(), ""));
    let told = house.ask(false).await;
    told.comes_from("first", 1);
    for name in [
        "set-cookie",
        "strict-transport-security",
        "alt-svc",
        "clear-site-data",
        "server",
        "location",
    ] {
        assert_eq!(told.header(name), "", "{name}");
    }
    // a line end within a value is no header of ours either
    let split = "x-a: b\r c: d\r\n";
    let (first, second) = (refusing("200 OK", split, HELLO).await, good(false).await);
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    let told = house.ask(false).await;
    assert!(
        told.status == 200 && told.header("c").is_empty(),
        "{told:?}"
    );
}
