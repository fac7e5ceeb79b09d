use std::io;

use http::HeaderValue;
use moltbot_types::Dialect;
use moltbot_wire::OPENAI;

use super::*;

fn model() -> ModelName {
    ModelName::from("primary")
}

fn scene(model: &ModelName) -> Scene<'_> {
    Scene {
        model,
        place: "10.0.0.1:8000",
        repeatable: true,
    }
}

fn fault(status: u16, code: Option<&str>, message: &str) -> UpstreamFault {
    UpstreamFault {
        status: StatusCode::from_u16(status).unwrap(),
        message: message.to_owned(),
        kind: None,
        code: code.map(str::to_owned),
        param: None,
    }
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let lines = lines.iter();
    lines
        .map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (http::HeaderName::from_static(name), value)
        })
        .collect()
}

fn judged(status: u16, code: Option<&str>, message: &str, lines: &HeaderMap) -> CallError {
    let fault = fault(status, code, message);
    scene(&model()).answer(fault.status, lines, fault)
}

#[test]
fn the_status_decides() {
    use Retry::*;
    let second = Duration::from_secs(1);
    for (status, kind, retry) in [
        (302, Kind::BadReply, Anywhere),
        (400, Kind::Upstream, Never),
        (401, Kind::UpstreamAuth, Elsewhere),
        (402, Kind::UpstreamMoney, Elsewhere),
        (403, Kind::UpstreamAuth, Elsewhere),
        (404, Kind::ModelNotFound, Elsewhere),
        (405, Kind::Upstream, Never),
        (408, Kind::Timeout, Anywhere),
        (409, Kind::Unavailable, Anywhere),
        (410, Kind::ModelNotFound, Elsewhere),
        (413, Kind::Upstream, Never),
        (415, Kind::Upstream, Never),
        (418, Kind::Upstream, Never),
        (421, Kind::Unavailable, Anywhere),
        (422, Kind::Upstream, Never),
        (425, Kind::Unavailable, Anywhere),
        (429, Kind::RateLimited, After(second)),
        (498, Kind::Unavailable, Anywhere),
        (500, Kind::Unavailable, Anywhere),
        (502, Kind::Unavailable, Anywhere),
        (503, Kind::Unavailable, Anywhere),
        (504, Kind::Timeout, Anywhere),
        (520, Kind::Unavailable, Anywhere),
        (529, Kind::Unavailable, Anywhere),
        (999, Kind::Unavailable, Anywhere),
    ] {
        let error = judged(status, None, "no", &HeaderMap::new());
        assert_eq!((error.kind(), error.decision()), (kind, retry), "{status}");
    }
}

#[test]
fn the_words_refine_the_status() {
    for (status, code, message, kind) in [
        (429, Some("insufficient_quota"), "", Kind::UpstreamMoney),
        (
            429,
            None,
            "Your credit balance is too low",
            Kind::UpstreamMoney,
        ),
        (403, None, "Billing is not enabled", Kind::UpstreamMoney),
        (
            429,
            Some("enforced_spend_limit_reached"),
            "",
            Kind::UpstreamMoney,
        ),
        (
            429,
            Some("rate_limit_exceeded"),
            "see your plan and billing",
            Kind::RateLimited,
        ),
        (500, None, "billing service down", Kind::Unavailable),
        (
            400,
            Some("context_length_exceeded"),
            "",
            Kind::ContextWindow,
        ),
        (
            400,
            None,
            "prompt is too long: 9 tokens > 8",
            Kind::ContextWindow,
        ),
        (
            413,
            None,
            "exceeds the available context size",
            Kind::ContextWindow,
        ),
        (
            400,
            Some("content_policy_violation"),
            "",
            Kind::ContentPolicy,
        ),
        (400, Some("content_filter"), "", Kind::ContentPolicy),
        (400, None, "max_tokens must be positive", Kind::Upstream),
    ] {
        let error = judged(status, code, message, &HeaderMap::new());
        assert_eq!(error.kind(), kind, "{status} {code:?} {message}");
    }
}

#[test]
fn a_callers_fault_keeps_the_upstreams_status_and_words() {
    let error = judged(
        422,
        Some("bad_value"),
        "top_p is above 1",
        &HeaderMap::new(),
    );
    assert_eq!(error.status(), 422);
    assert_eq!(error.message(), "top_p is above 1");
    assert_eq!(error.fault().unwrap().code.as_deref(), Some("bad_value"));
}

#[test]
fn a_hint_is_the_rest_and_the_callers_wait() {
    let lines = headers(&[("retry-after", "7")]);
    for status in [429, 503, 529] {
        let error = judged(status, None, "", &lines);
        assert_eq!(error.decision(), Retry::After(Duration::from_secs(7)));
        assert_eq!(error.wait(), Some(Duration::from_secs(7)));
    }
}

#[test]
fn money_may_stay_away_longer_than_a_rate() {
    let lines = headers(&[("retry-after", "7200")]);
    let error = judged(402, None, "", &lines);
    assert_eq!(error.wait(), Some(Duration::from_secs(7200)));
}

#[test]
fn fm_22_should_retry_overrides_the_status() {
    let no = headers(&[("x-should-retry", "false"), ("retry-after", "1")]);
    let yes = headers(&[("x-should-retry", "true")]);
    for (status, lines, retry) in [
        (500, &no, Retry::Elsewhere),
        (429, &no, Retry::Elsewhere),
        (400, &no, Retry::Never),
        (400, &yes, Retry::Anywhere),
        (401, &yes, Retry::Elsewhere),
        (500, &yes, Retry::Anywhere),
    ] {
        let error = judged(status, None, "", lines);
        assert_eq!(error.decision(), retry, "{status}");
    }
}

#[test]
fn what_can_not_be_repeated_is_not_once_its_outcome_is_unknown() {
    let model = model();
    let stored = Scene {
        repeatable: false,
        ..scene(&model)
    };
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    for (error, retry) in [
        (stored.broken(reset()), Retry::Never),
        (stored.too_slow("answer"), Retry::Never),
        (stored.bad_reply("is empty"), Retry::Never),
        (stored.unreachable(reset()), Retry::Anywhere),
        (stored.unprocessed(reset()), Retry::Again),
    ] {
        assert_eq!(error.decision(), retry, "{error}");
    }
    for (status, retry) in [
        (500, Retry::Never),
        (502, Retry::Never),
        (504, Retry::Never),
        (503, Retry::Anywhere),
        (429, Retry::After(Duration::from_secs(1))),
    ] {
        let fault = fault(status, None, "");
        let error = stored.answer(fault.status, &HeaderMap::new(), fault);
        assert_eq!(error.decision(), retry, "{status}");
    }
}

#[test]
fn callers_read_the_models_name_and_the_log_the_place() {
    let model = model();
    let error = scene(&model).unreachable(io::Error::from(io::ErrorKind::ConnectionRefused));
    assert_eq!(error.to_string(), "model `primary` can't be reached");
    assert_eq!(
        error.chain(),
        "model `primary` can't be reached: 10.0.0.1:8000: connection refused"
    );
    for status in [302, 401, 402, 404, 429, 500, 503, 504] {
        let error = judged(status, None, "see http://10.0.0.1:8000/", &HeaderMap::new());
        assert!(!error.message().contains("10.0.0.1"), "{error}");
        assert!(error.message().contains("`primary`"), "{error}");
        assert!(
            error.chain().contains("10.0.0.1:8000 answered"),
            "{error:?}"
        );
    }
}

#[test]
fn an_embedded_failure_is_judged_by_the_status_that_it_tells() {
    use Retry::*;
    let limited = (Kind::RateLimited, After(Duration::from_secs(1)));
    let model = model();
    for (told, want) in [
        (r#"{"type":"tokens","code":"rate_limit_exceeded"}"#, limited),
        (r#"{"code":429,"message":"slow down"}"#, limited),
        (
            r#"{"code":"insufficient_quota"}"#,
            (Kind::UpstreamMoney, Elsewhere),
        ),
        (
            r#"{"type":"invalid_request_error","code":"context_length_exceeded"}"#,
            (Kind::ContextWindow, Never),
        ),
        (
            r#"{"code":400,"message":"This model's maximum context length is 64 tokens."}"#,
            (Kind::ContextWindow, Never),
        ),
        (
            r#"{"code":"content_filter","status":400}"#,
            (Kind::ContentPolicy, Never),
        ),
        (
            r#"{"type":"authentication_error"}"#,
            (Kind::UpstreamAuth, Elsewhere),
        ),
        (
            r#"{"code":"model_not_found"}"#,
            (Kind::ModelNotFound, Elsewhere),
        ),
        (
            r#"{"type":"invalid_request_error"}"#,
            (Kind::Upstream, Never),
        ),
        (
            r#"{"type":"overloaded_error"}"#,
            (Kind::Unavailable, Anywhere),
        ),
        (r#""just words""#, (Kind::Unavailable, Anywhere)),
    ] {
        let body = format!(r#"{{"error":{told}}}"#);
        let found = OPENAI.check(Operation::Chat, body.as_bytes()).unwrap_err();
        let error = scene(&model).embedded(found);
        assert_eq!((error.kind(), error.decision()), want, "{told}");
    }
    let broken = scene(&model).embedded(CallError::new(Kind::BadReply, "no JSON"));
    assert_eq!(broken.kind(), Kind::BadReply);
    assert_eq!(broken.decision(), Anywhere);
}

/// What servers say, as recorded under `golden/errors`, and what is made of it. `BLESS=1` writes anew.
#[test]
fn recorded_errors_are_judged_as_written_down() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/errors");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|it| it == "out") {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap();
        let status = StatusCode::from_bytes(&name.as_bytes()[..3]).unwrap();
        let fault = OPENAI.fault(status, &std::fs::read(&file).unwrap());
        let error = scene(&model()).answer(status, &HeaderMap::new(), fault.clone());
        let made = format!(
            "{fault:#?}\n{:?} {:?}\n{} {}\n",
            error.kind(),
            error.decision(),
            error.status(),
            std::str::from_utf8(&OPENAI.error(&error)).unwrap()
        );
        let out = file.with_extension("out");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&out, &made).unwrap();
        }
        assert_eq!(made, std::fs::read_to_string(&out).unwrap(), "{name}");
        seen += 1;
    }
    assert!(seen > 10);
}
