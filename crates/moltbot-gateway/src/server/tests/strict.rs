use super::client::{Running, close, get, settings};

async fn answer(request: &str) -> String {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    client.send(request).await;
    client.rest().await
}

#[tokio::test]
async fn fm_51_what_can_be_read_in_two_ways_is_refused_with_400() {
    let post = "POST / HTTP/1.1\r\nhost: x\r\n";
    for request in [
        format!("{post}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{post}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n"),
        format!("{post}content-length: 3\r\ncontent-length: 3\r\n\r\nabc"),
        format!("{post}content-length: 3\r\nCONTENT-LENGTH: 4\r\n\r\nabc"),
        format!("{post}content-length: 3, 3\r\n\r\nabc"),
        format!("{post}content-length: +3\r\n\r\nabc"),
        format!("{post}content-length: \r\n\r\n"),
        format!("{post}content-length : 3\r\n\r\nabc"),
        format!("{post}content-length: 99999999999999999999\r\n\r\nabc"),
        format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!("{post}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"),
        "POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        format!("{post}x-folded: a\r\n b\r\n\r\n"),
        format!("{post}upgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 3\r\n\r\nabc"),
        format!("{post}x-bare: a\n\r\n"),
        "GET / HTTP/1.1\nhost: x\n\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("{post}host: y\r\n\r\n"),
        "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: a:http\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: [::1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost:\r\n\r\n".to_owned(),
        format!("{post}x-zero: a\0b\r\n\r\n"),
        format!("{post}x(y): a\r\n\r\n"),
        "GET / HTTP/3.7\r\nhost: x\r\n\r\n".to_owned(),
        "G(T / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "complete nonsense\r\n\r\n".to_owned(),
    ] {
        let answer = answer(&request).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 "),
            "{request:?} got {answer:?}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{request:?} got {answer:?}"
        );
    }
}

#[tokio::test]
async fn every_form_of_one_host_is_taken() {
    for host in [
        "x",
        "x:80",
        "my_host.example-1",
        "127.0.0.1:0",
        "[::1]",
        "[::ffff:1.2.3.4]:8",
    ] {
        let answer = answer(&format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        ))
        .await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host} got {answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_json_in_the_openai_shape() {
    let answer = answer("GET / HTTP/1.1\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(
        body,
        r#"{"error":{"message":"the host header is missing","type":"invalid_request_error","param":null,"code":"bad_http"}}"#
    );
}

#[tokio::test]
async fn a_refusal_waits_for_the_answers_before_it() {
    let pipelined = format!(
        "{}{}",
        get("/first"),
        "GET / HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n"
    );
    let answer = answer(&pipelined).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        answer.find("you asked for /first") < answer.find("HTTP/1.1 400 "),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
}

#[tokio::test]
async fn a_head_in_small_pieces_is_read_like_one_in_one_piece() {
    let server = Running::start(settings()).await;
    let mut client = server.connect().await;
    for byte in close("/pieces").chars() {
        client.send(&byte.to_string()).await;
        tokio::task::yield_now().await;
    }
    assert!(client.rest().await.contains("you asked for /pieces"));
}

#[tokio::test]
async fn fm_47_too_much_of_a_head_gets_its_own_status() {
    let long = "a".repeat(9000);
    let huge = "a".repeat(40_000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), "414"),
        (format!("GET /{huge} HTTP/1.1\r\nhost: x\r\n\r\n"), "414"),
        (format!("GET /{huge}{huge}"), "414"),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\nx-huge: {huge}\r\n\r\n"),
            "431",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: x\r\n{}",
                "x-many: y\r\n".repeat(3000)
            ),
            "431",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
                "x-many: y\r\n".repeat(100)
            ),
            "431",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n",
                "x-many: y\r\n".repeat(98)
            ),
            "200",
        ),
    ] {
        let answer = answer(&request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "wanted {status}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn an_upgrade_without_a_body_is_answered_as_if_it_were_not_asked_for() {
    let request = "GET /plain HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n";
    assert!(answer(request).await.contains("you asked for /plain"));
}
