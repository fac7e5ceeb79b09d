use super::*;

#[test]
fn an_embedded_error_has_the_status_that_its_numbers_or_words_mean() {
    for (error, status) in [
        (r#"{"type":"tokens","code":"rate_limit_exceeded"}"#, 429),
        (r#"{"code":429,"message":"slow down"}"#, 429),
        (r#"{"error":{"type":"rate_limit_error"}}"#, 429),
        (
            r#"{"type":"insufficient_quota","code":"insufficient_quota"}"#,
            429,
        ),
        (r#"{"type":"billing_error"}"#, 402),
        (
            r#"{"type":"invalid_request_error","code":"context_length_exceeded"}"#,
            400,
        ),
        (r#"{"code":"content_filter","status":400}"#, 400),
        (r#"{"type":"authentication_error"}"#, 401),
        (r#"{"type":"permission_error"}"#, 403),
        (r#"{"code":"model_not_found"}"#, 404),
        (r#"{"type":"invalid_request_error","code":null}"#, 400),
        (r#"{"type":"InternalServerError"}"#, 500),
        (r#"{"type":"overloaded_error"}"#, 503),
        (r#"{"type":"timeout_error"}"#, 504),
        (r#"{"message":"something new"}"#, 500),
        (r#""just words""#, 500),
        ("{", 500),
    ] {
        let told = embedded(error.as_bytes());
        assert_eq!(told.fault().unwrap().status, status, "{error}");
    }
}

#[test]
fn a_body_is_read_in_every_form_in_use() {
    let said = |body: &str| fault(StatusCode::BAD_REQUEST, body.as_bytes()).message;
    for body in [
        r#"{"error":{"message":"no"}}"#,
        r#"{"error":"no"}"#,
        r#"{"message":"no","object":"error"}"#,
        r#"{"detail":"no"}"#,
        r#"[{"error":{"message":"no"}}]"#,
        "no",
    ] {
        assert_eq!(said(body), "no", "{body}");
    }
    for body in ["", "<html>no</html>", "{\"error\":", "{}", "null", "\u{0}"] {
        assert_eq!(
            said(body),
            "the upstream answered 400 Bad Request",
            "{body}"
        );
    }
    assert_eq!(
        said(r#"{"detail":[{"loc":["body"],"msg":"required"}]}"#),
        r#"[{"loc":["body"],"msg":"required"}]"#
    );
}

#[test]
fn a_body_that_broke_off_is_used_as_far_as_it_came() {
    let body = r#"{"error":{"code":"c","message":"too \"long\" é","param":["a",{"b":1}]}}"#;
    let read = |length: usize| fault(StatusCode::BAD_REQUEST, &body.as_bytes()[..length]);
    let after = |part: &str| body.find(part).unwrap() + part.len();
    let none = "the upstream answered 400 Bad Request";
    for (length, message, code) in [
        (0, none, None),
        (after("{\"error\":{\"co"), none, None),
        (after("\"c\""), none, Some("c")),
        (after("too"), "too", Some("c")),
        (after("long"), "too \"long", Some("c")),
        (after(" é") - 1, "too \"long\"", Some("c")),
        (after("\"param\":"), "too \"long\" é", Some("c")),
        (after("[\"a\",{\"b\""), "too \"long\" é", Some("c")),
        (body.len() - 1, "too \"long\" é", Some("c")),
    ] {
        let fault = read(length);
        assert_eq!(
            (&*fault.message, fault.code.as_deref()),
            (message, code),
            "{length}"
        );
    }
    for length in 0..body.len() {
        assert_eq!(read(length).status, 400);
    }
}

#[test]
fn an_upstreams_status_stands_above_its_words() {
    let fault = fault(
        StatusCode::BAD_GATEWAY,
        br#"{"error":{"message":"x","type":"rate_limit_error","code":429,"param":"p"}}"#,
    );
    assert_eq!(fault.status, 502);
    assert_eq!(fault.code.as_deref(), Some("429"));
    assert_eq!(fault.param.as_deref(), Some("p"));
}

#[test]
fn what_is_passed_on_keeps_the_upstreams_words() {
    let body = br#"{"error":{"message":"bad","type":"t","code":"c","param":"p"}}"#;
    let told = |kind| CallError::new(kind, "m").upstream(fault(StatusCode::BAD_REQUEST, body));
    for kind in [Kind::Upstream, Kind::ContextWindow, Kind::ContentPolicy] {
        assert_eq!(
            whole(&told(kind)),
            r#"{"error":{"message":"bad","type":"t","param":"p","code":"c"}}"#
        );
    }
    assert_eq!(
        whole(&told(Kind::UpstreamAuth)),
        r#"{"error":{"message":"m","type":"upstream_error","param":null,"code":"upstream_auth"}}"#
    );
}

#[test]
fn our_errors_have_the_dialects_types() {
    for (kind, word) in [
        (Kind::BadRequest, "invalid_request_error"),
        (Kind::ModelNotFound, "invalid_request_error"),
        (Kind::Unauthorized, "authentication_error"),
        (Kind::Forbidden, "permission_error"),
        (Kind::RateLimited, "rate_limit_error"),
        (Kind::Unavailable, "server_error"),
    ] {
        let body = whole(&CallError::new(kind, "m").param("f"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["type"], word);
        assert_eq!(body["error"]["param"], "f");
    }
}

#[test]
fn an_error_event_is_one_event() {
    let event = event(&CallError::new(Kind::Cut, "it\nbroke"));
    assert_eq!(
        event,
        "data: {\"error\":{\"message\":\"it\\nbroke\",\"type\":\"server_error\",\"param\":null,\"code\":\"stream_cut\"}}\n\n"
    );
}
