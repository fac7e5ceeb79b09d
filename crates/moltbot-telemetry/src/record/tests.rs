use std::time::SystemTime;

use moltbot_types::record::Level as Move;
use moltbot_types::{
    Attempt, Caller, ModelName, RequestId, Served, TargetId, Tried, Usage, Workspace,
};
use serde_json::{Value, json};

use super::*;
use crate::log::Batch;
use crate::metrics::Declared;

struct Heard {
    calls: Calls,
}

fn heard() -> Heard {
    let log = Log::new(Level::Info, 1 << 20, Arc::new(SystemTime::now));
    let metrics = Arc::new(Metrics::new("1.2.3").unwrap());
    metrics.declare(&[Declared {
        workspace: Workspace::default(),
        models: vec![("big".into(), vec!["east".into(), "west".into()])],
    }]);
    Heard {
        calls: Calls::new(log, metrics),
    }
}

impl Heard {
    fn line(&self, call: &CallRecord<'_>) -> Value {
        self.calls.begin();
        self.calls.record(call);
        let mut batch = Batch::default();
        assert!(self.calls.log.take(&mut batch));
        let mut line: Value = serde_json::from_slice(&batch.bytes).unwrap();
        let fields = line.as_object_mut().unwrap();
        assert!(fields.remove("ts").unwrap().is_string());
        assert!(fields.remove("request_id").unwrap().is_string());
        line
    }

    fn has(&self, sample: &str) -> bool {
        self.calls.render().lines().any(|line| line == sample)
    }
}

fn attempt(target: &str, outcome: Outcome, level: Option<Move>) -> Attempt {
    Attempt {
        model: "big".into(),
        target: target.into(),
        outcome,
        reason: (outcome != Outcome::Ok).then_some("timeout"),
        level,
        took: Duration::from_millis(7),
    }
}

fn tried(attempts: Vec<Attempt>) -> Tried {
    Tried {
        served: attempts.last().map(|last| Served {
            model: last.model.clone(),
            target: last.target.clone(),
        }),
        attempts,
        ..Tried::default()
    }
}

fn record<'a>(caller: &'a Caller, model: &'a ModelName, tried: &'a Tried) -> CallRecord<'a> {
    CallRecord {
        id: RequestId::new(),
        caller: Some(caller),
        model: Some(model),
        known: true,
        tried,
        skill: None,
        status: 200,
        latency: Duration::from_millis(1500),
        first_token: Some(Duration::from_millis(300)),
        overhead: Some(Duration::from_micros(40)),
        usage: Some(Usage {
            input: 12,
            output: 34,
            estimated: false,
        }),
        experiment: None,
        cost_nano: 0,
        error: None,
    }
}

#[test]
fn a_good_call_is_one_info_line() {
    let (caller, model) = (Caller::anonymous(), ModelName::from("big"));
    let tried = tried(vec![attempt("east", Outcome::Ok, None)]);
    assert_eq!(
        heard().line(&record(&caller, &model, &tried)),
        json!({
            "level": "info", "msg": "the call was answered", "workspace": "default",
            "model": "big", "served": "big", "target": "east", "status": 200,
            "latency_ms": 1500, "first_token_ms": 300, "attempts": 1,
            "tokens_in": 12, "tokens_out": 34, "cache": "bypass",
        })
    );
}

#[test]
fn fm_11_a_call_that_another_target_saved_is_a_warning_that_names_what_was_tried() {
    let (caller, model) = (Caller::anonymous(), ModelName::from("big"));
    let tried = tried(vec![
        attempt("east", Outcome::Timeout, None),
        attempt("west", Outcome::Ok, Some(Move::Region)),
    ]);
    let heard = heard();
    let line = heard.line(&record(&caller, &model, &tried));
    assert_eq!(line["level"], "warn");
    assert_eq!(
        line["tried"],
        json!([
            {"model": "big", "target": "east", "outcome": "timeout", "reason": "timeout",
             "maybe_billed": true, "ms": 7},
            {"model": "big", "target": "west", "outcome": "ok", "move": "region", "ms": 7},
        ])
    );
    for sample in [
        r#"moltbot_requests_total{workspace="default",model="big",status="200"} 1"#,
        r#"moltbot_model_calls_total{model="big",target="east",outcome="timeout"} 1"#,
        r#"moltbot_model_calls_total{model="big",target="west",outcome="ok"} 1"#,
        r#"moltbot_failovers_total{level="region",outcome="ok"} 1"#,
        r#"moltbot_tokens_total{workspace="default",model="big",direction="out"} 34"#,
        r#"moltbot_first_token_seconds_count{model="big"} 1"#,
        r#"moltbot_request_duration_seconds_bucket{workspace="default",model="big",le="2.5"} 1"#,
        r#"moltbot_overhead_seconds_bucket{le="0.00005"} 1"#,
        "moltbot_inflight_requests 0",
    ] {
        assert!(heard.has(sample), "{sample}");
    }
}

#[test]
fn a_failed_call_is_an_error_without_its_secrets() {
    let (caller, model) = (Caller::anonymous(), ModelName::from("big"));
    let tried = tried(vec![attempt("east", Outcome::Error, None)]);
    let mut call = record(&caller, &model, &tried);
    call.status = 502;
    call.usage = None;
    call.error = Some((
        "upstream_auth",
        "refused: Bearer sk-abcdef123456".to_owned(),
    ));
    let line = heard().line(&call);
    assert_eq!(line["level"], "error");
    assert_eq!(line["code"], "upstream_auth");
    assert_eq!(line["error"], "refused: Bearer [redacted]");
    assert!(!line.to_string().contains("abcdef123456"));
    assert_eq!(line["tried"][0]["reason"], "timeout");
}

#[test]
fn a_caller_that_leaves_is_no_error() {
    let (caller, model) = (Caller::anonymous(), ModelName::from("big"));
    let tried = tried(vec![attempt("east", Outcome::Cancelled, None)]);
    let mut call = record(&caller, &model, &tried);
    call.error = Some(("cancelled", "the caller left before the end".to_owned()));
    assert_eq!(heard().line(&call)["level"], "info");
}

#[test]
fn a_name_that_is_not_configured_is_in_the_line_but_no_label() {
    let (caller, model) = (Caller::anonymous(), ModelName::from("x".repeat(100_000)));
    let tried = Tried::default();
    let mut call = record(&caller, &model, &tried);
    call.known = false;
    call.status = 404;
    call.error = Some(("model_not_found", "no such model".to_owned()));
    let heard = heard();
    let line = heard.line(&call);
    assert_eq!(line["model"].as_str().unwrap().len(), LONGEST_NAME);
    assert!(heard.has(r#"moltbot_requests_total{workspace="default",model="-",status="404"} 1"#));
    assert!(!heard.calls.render().contains("xxx"));
}

#[test]
fn all_series_exist_before_the_first_call() {
    let heard = heard();
    for sample in [
        r#"moltbot_requests_total{workspace="default",model="big",status="200"} 0"#,
        r#"moltbot_requests_total{workspace="-",model="-",status="401"} 0"#,
        r#"moltbot_request_duration_seconds_count{workspace="default",model="big"} 0"#,
        r#"moltbot_first_token_seconds_bucket{model="big",le="+Inf"} 0"#,
        "moltbot_overhead_seconds_count 0",
        r#"moltbot_model_calls_total{model="big",target="west",outcome="cut"} 0"#,
        r#"moltbot_failovers_total{level="node",outcome="failed"} 0"#,
        r#"moltbot_tokens_total{workspace="default",model="big",direction="in"} 0"#,
        r#"moltbot_target_up{model="big",target="east"} 1"#,
        r#"moltbot_config_reload_total{result="rejected"} 0"#,
        r#"moltbot_build_info{version="1.2.3"} 1"#,
        "moltbot_inflight_requests 0",
        "moltbot_log_lines_dropped_total 0",
        "moltbot_panics_total 0",
    ] {
        assert!(heard.has(sample), "{sample}");
    }
    assert!(
        heard
            .calls
            .render()
            .contains("process_resident_memory_bytes ")
    );
}

#[test]
fn a_target_that_is_gone_is_not_shown_as_up_or_down() {
    let heard = heard();
    let (model, east) = (ModelName::from("big"), TargetId::from("east"));
    heard.calls.metrics.target_up(&model, &east, false);
    assert!(heard.has(r#"moltbot_target_up{model="big",target="east"} 0"#));
    heard.calls.metrics.declare(&[]);
    assert!(!heard.calls.render().contains("moltbot_target_up{"));
}
