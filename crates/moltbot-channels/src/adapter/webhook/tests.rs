use std::time::Duration;

use super::*;

const NOW: i64 = 1_700_000_000;

fn secret() -> Secret {
    // The secret, id, time and body of the specification's own example.
    Secret::new(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap()
}

fn channel(reply_url: Option<&str>) -> Webhook {
    Webhook::new(WebhookSettings {
        secret: secret(),
        reply_url: reply_url.map(str::to_owned),
    })
    .unwrap()
}

fn post(id: &str, at: i64, body: &str) -> Request<Bytes> {
    let at = at.to_string();
    Request::post("/channels/default/webhook")
        .header("webhook-id", id)
        .header("webhook-timestamp", &at)
        .header("webhook-signature", secret().sign(id, &at, body.as_bytes()))
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

fn receive(request: &Request<Bytes>) -> Result<Received, Refused> {
    let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
    channel(None).receive(request, now)
}

fn status(request: &Request<Bytes>) -> u16 {
    match receive(request) {
        Ok(_) => 200,
        Err(refused) => refused.status.as_u16(),
    }
}

const BODY: &str = r#"{"sender": "u1", "room": "r1", "text": "hello"}"#;

#[test]
fn signatures_are_those_of_the_specification() {
    let body = br#"{"test": 2432232314}"#;
    assert_eq!(
        secret().sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[test]
fn a_signed_message_is_read() {
    let Ok(Received::Messages { messages, ack }) = receive(&post("m1", NOW, BODY)) else {
        panic!("refused");
    };
    assert!(matches!(ack, Ack::Answer));
    let [message] = &messages[..] else {
        panic!("{messages:?}");
    };
    assert_eq!(
        (message.id.as_str(), message.text.as_str()),
        ("m1", "hello")
    );
    assert_eq!(message.place().room, "r1");
}

#[test]
fn without_a_room_the_room_is_the_sender() {
    let body = r#"{"sender": "u1", "text": "hello"}"#;
    let Ok(Received::Messages { messages, .. }) = receive(&post("m1", NOW, body)) else {
        panic!("refused");
    };
    assert_eq!(
        (&messages[0].room, messages[0].place().room),
        (&None, "u1".to_owned())
    );
}

#[test]
fn with_a_reply_address_the_post_is_accepted_at_once() {
    let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
    let channel = channel(Some("http://127.0.0.1:9/answers"));
    let received = channel.receive(&post("m1", NOW, BODY), now).unwrap();
    let Received::Messages {
        ack: Ack::Now(response),
        ..
    } = received
    else {
        panic!("{received:?}");
    };
    assert_eq!(response.status(), 202);
    assert_eq!(response.body(), r#"{"id":"m1"}"#);
}

#[test]
fn what_is_missing_wrong_or_old_is_401() {
    assert_eq!(status(&post("m1", NOW - 300, BODY)), 200);
    assert_eq!(status(&post("m1", NOW + 300, BODY)), 200);
    assert_eq!(status(&post("m1", NOW - 301, BODY)), 401);
    assert_eq!(status(&post("m1", NOW + 301, BODY)), 401);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut request = post("m1", NOW, BODY);
        request.headers_mut().remove(name);
        assert_eq!(status(&request), 401, "{name}");
    }
    for (name, value) in [
        ("webhook-id", "m2"),
        ("webhook-timestamp", "1700000001"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", ""),
    ] {
        let mut request = post("m1", NOW, BODY);
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
        assert_eq!(status(&request), 401, "{name}");
    }
    let mut request = post("m1", NOW, BODY);
    *request.body_mut() = Bytes::from_static(b"{}");
    assert_eq!(status(&request), 401);
}

#[test]
fn one_good_signature_of_several_is_enough() {
    let mut request = post("m1", NOW, BODY);
    let good = request.headers()["webhook-signature"].to_str().unwrap();
    let both = format!("v1,AAAA {good} v1a,BBBB");
    request
        .headers_mut()
        .insert("webhook-signature", both.parse().unwrap());
    assert_eq!(status(&request), 200);
}

#[test]
fn what_is_no_message_is_400() {
    for body in [
        "",
        "nothing",
        "[]",
        r#"{"text": "hello"}"#,
        r#"{"sender": "u1"}"#,
        r#"{"sender": "", "text": "hello"}"#,
        r#"{"sender": "u1", "text": ""}"#,
        r#"{"sender": 1, "text": "hello"}"#,
        r#"{"sender": "u1", "text": "hello", "images": "x"}"#,
    ] {
        assert_eq!(status(&post("m1", NOW, body)), 400, "{body}");
    }
}

#[test]
fn secrets_that_are_none_are_refused_and_none_prints() {
    for wrong in [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_!!",
        "whsec_YWJj",
    ] {
        assert_eq!(Secret::new(&wrong.into()).unwrap_err(), SecretError);
    }
    assert_eq!(format!("{:?}", secret()), "Secret(..)");
}

#[test]
fn an_answer_that_says_nothing_is_null() {
    let message = Message {
        id: "m1".to_owned(),
        ..Message::default()
    };
    let channel = channel(None);
    let body = |text| channel.response(&message, text).into_body();
    assert_eq!(body(Some("hi")), r#"{"id":"m1","text":"hi"}"#);
    assert_eq!(body(None), r#"{"id":"m1","text":null}"#);
}
