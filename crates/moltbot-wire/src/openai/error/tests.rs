use super::*;

fn classed(embedded_error: &str) -> (Kind, Retry) {
    let error = classify(embedded(embedded_error.as_bytes()));
    (error.kind(), error.decision())
}

#[test]
fn an_embedded_error_means_what_its_words_or_numbers_say() {
    let limited = (Kind::RateLimited, Retry::After(REST));
    let down = (Kind::Unavailable, Retry::Anywhere);
    for (error, want) in [
        (r#"{"type":"tokens","code":"rate_limit_exceeded"}"#, limited),
        (r#"{"code":429,"message":"slow down"}"#, limited),
        (r#"{"error":{"type":"rate_limit_error"}}"#, limited),
        (
            r#"{"type":"insufficient_quota","code":"insufficient_quota"}"#,
            (Kind::UpstreamMoney, Retry::Elsewhere),
        ),
        (
            r#"{"type":"invalid_request_error","code":"context_length_exceeded"}"#,
            (Kind::ContextWindow, Retry::Never),
        ),
        (
            r#"{"code":400,"type":"exceed_context_size_error"}"#,
            (Kind::ContextWindow, Retry::Never),
        ),
        (
            r#"{"type":"BadRequestError","code":400,"message":"This model's maximum context length is 64 tokens."}"#,
            (Kind::ContextWindow, Retry::Never),
        ),
        (
            r#"{"code":"content_filter","status":400}"#,
            (Kind::ContentPolicy, Retry::Never),
        ),
        (
            r#"{"type":"authentication_error"}"#,
            (Kind::UpstreamAuth, Retry::Elsewhere),
        ),
        (
            r#"{"code":"model_not_found"}"#,
            (Kind::ModelNotFound, Retry::Elsewhere),
        ),
        (
            r#"{"type":"invalid_request_error","code":null}"#,
            (Kind::Upstream, Retry::Never),
        ),
        (r#"{"type":"InternalServerError"}"#, down),
        (r#"{"type":"overloaded_error"}"#, down),
        (r#"{"message":"something new"}"#, down),
        (r#""just words""#, down),
        ("{", down),
    ] {
        assert_eq!(classed(error), want, "{error}");
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
    let error = classify(fault(StatusCode::BAD_REQUEST, body));
    assert_eq!(
        whole(&error),
        r#"{"error":{"message":"bad","type":"t","param":"p","code":"c"}}"#
    );
}

#[test]
fn a_refused_credential_is_not_told_in_the_upstreams_words() {
    let body =
        br#"{"error":{"message":"Incorrect API key: sk-abcdefgh","code":"invalid_api_key"}}"#;
    let error = classify(fault(StatusCode::UNAUTHORIZED, body));
    assert_eq!(error.status(), 502);
    let text = String::from_utf8(whole(&error).to_vec()).unwrap();
    assert!(text.contains(r#""code":"upstream_auth""#), "{text}");
    assert!(!text.contains("API key") && !text.contains("sk-"), "{text}");
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
