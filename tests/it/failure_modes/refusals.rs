//! Section 2.2: answers that are errors.

use std::time::Duration;

use moltbot_tests::{Do, Home, Upstream};
use tokio::time::Instant;

use super::{DONE, HALF, HELLO, House, ROLE, Told, alone, good, pair, refusing};

const BUSY: &str = r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#;

/// Two targets, the first of which does this; and what callers were told, whole and streamed.
async fn beside_a_good_one(does: impl Fn(bool) -> Vec<Do>, more: &str) -> [(Told, Upstream); 2] {
    let mut told = Vec::new();
    for stream in [false, true] {
        let (first, second) = (Upstream::does([does(stream)]).await, good(stream).await);
        let house = House::of(&pair(&first.url(), &second.url(), more));
        told.push((house.ask(stream).await, first));
    }
    told.try_into().map_err(|_| "two").unwrap()
}

#[tokio::test]
async fn fm_11_an_upstream_that_does_not_begin_is_left_and_its_connection_closed() {
    let more = "timeouts: { first_token: 700ms, answer: 700ms, idle: 5s }";
    let begun = Instant::now();
    for (told, first) in beside_a_good_one(|_| vec![Do::Hang], more).await {
        told.comes_from("second", 2);
        first.until_left().await;
    }
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn fm_11_a_target_that_is_alone_is_asked_once_more_and_no_oftener() {
    let first = Upstream::does([vec![Do::Hang]]).await;
    let house = House::of(&alone(&first.url(), "timeouts: { answer: 300ms }"));
    let told = house.ask(false).await;
    told.is_refused(504, "timeout");
    assert!(!told.header("retry-after").is_empty(), "{told:?}");
    assert_eq!(first.asked(), 2);
}

#[tokio::test]
async fn fm_12_a_stall_before_content_is_left_and_pings_do_not_help() {
    let more = "timeouts: { first_token: 1500ms, idle: 700ms }";
    let silent = vec![Do::stream(ROLE), Do::Hang];
    let pings = std::iter::repeat_n(
        [Do::send(": ping\n\n"), Do::Wait(Duration::from_millis(100))],
        100,
    );
    let pinging = std::iter::once(Do::stream(ROLE))
        .chain(pings.flatten())
        .collect();
    for does in [silent, pinging] {
        let (first, second) = (Upstream::does([does]).await, good(true).await);
        let house = House::of(&pair(&first.url(), &second.url(), more));
        house.ask(true).await.comes_from("second", 2);
        first.until_left().await;
    }
}

#[tokio::test]
async fn fm_13_a_stall_after_content_is_told_and_never_looks_whole() {
    let first = Upstream::does([vec![Do::stream(HALF), Do::Hang]]).await;
    let second = good(true).await;
    let more = "timeouts: { idle: 500ms }";
    let mut house = House::of(&pair(&first.url(), &second.url(), more));
    let told = house.ask(true).await;
    told.is_cut("upstream_stalled");
    assert!(told.text.starts_with(HALF), "{told:?}");
    first.until_left().await;
    assert_eq!(second.asked(), 0);
    let line = house.line_of(&told);
    assert_eq!(line["level"], "error", "{line}");
    assert!(line["tokens_out"].as_u64() > Some(0), "{line}");
}

#[tokio::test]
async fn fm_14_a_connection_that_breaks_before_content_is_not_felt() {
    let headless = |_| vec![Do::Reset];
    let silent = |_| vec![];
    let no_content = |stream| match stream {
        true => vec![
            Do::stream(ROLE),
            Do::Wait(Duration::from_millis(50)),
            Do::Reset,
        ],
        false => {
            let half = &HELLO[..60];
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n";
            vec![Do::send(format!("{head}{half}")), Do::Reset]
        }
    };
    let kinds: [&dyn Fn(bool) -> Vec<Do>; 3] = [&headless, &silent, &no_content];
    for does in kinds {
        for (told, _) in beside_a_good_one(does, "").await {
            told.comes_from("second", 2);
        }
    }
}

#[tokio::test]
async fn fm_15_a_connection_that_breaks_after_content_is_told_and_not_spliced() {
    for end in [vec![Do::Reset], vec![]] {
        let does = [Do::stream(HALF), Do::Pause].into_iter().chain(end);
        let (first, second) = (Upstream::does([does.collect()]).await, good(true).await);
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        let told = house.ask_and(true, || first.go_on()).await;
        told.is_cut("stream_cut");
        assert!(!told.text.contains("Hello"), "{told:?}");
        assert_eq!(second.asked(), 0);
    }
}

/// A limited target and another one: the first is asked once, then rests.
async fn rests(headers: &str) {
    let first = refusing("429 Too Many Requests", headers, BUSY).await;
    let second = good(false).await;
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(false).await.comes_from("second", 2);
    house.ask(false).await.comes_from("second", 1);
    assert_eq!(first.asked(), 1);
}

/// A limited target that is alone: what the caller is told, and how often it was asked.
async fn limited_alone(status: &str, headers: &str) -> (Told, usize) {
    let first = refusing(status, headers, BUSY).await;
    let house = House::of(&alone(&first.url(), ""));
    (house.ask(false).await, first.asked())
}

#[tokio::test]
async fn fm_16_a_rate_limit_rests_the_target_and_is_told_when_it_is_alone() {
    rests("retry-after: 7\r\n").await;
    let (told, asked) = limited_alone("429 Too Many Requests", "retry-after: 7\r\n").await;
    told.is_refused(429, "rate_limit_exceeded");
    assert_eq!((told.header("retry-after"), asked), ("7", 1));
    let (told, _) = limited_alone("429 Too Many Requests", "retry-after: 4000\r\n").await;
    assert_eq!(told.header("retry-after"), "300");
}

#[tokio::test]
async fn fm_17_milliseconds_stand_above_seconds() {
    for name in ["retry-after-ms", "x-ms-retry-after-ms"] {
        let hint = format!("retry-after: 60\r\n{name}: 300\r\n");
        let first = Upstream::does([
            vec![Do::answer("429 Too Many Requests", &hint, BUSY)],
            vec![Do::answer("200 OK", "", HELLO)],
        ])
        .await;
        let house = House::of(&alone(&first.url(), ""));
        let begun = Instant::now();
        house.ask(false).await.comes_from("first", 2);
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(300), "{waited:?}");
        assert!(waited < Duration::from_secs(5), "{waited:?}");
    }
}

#[tokio::test]
async fn fm_18_a_date_is_read_by_the_upstreams_own_clock() {
    let hint =
        "date: Wed, 21 Oct 2015 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2015 07:28:09 GMT\r\n";
    let (told, asked) = limited_alone("429 Too Many Requests", hint).await;
    told.is_refused(429, "rate_limit_exceeded");
    assert_eq!((told.header("retry-after"), asked), ("9", 1));
}

#[tokio::test]
async fn fm_19_a_rate_limit_without_a_hint_rests_the_target_too() {
    rests("").await;
}

#[tokio::test]
async fn fm_20_a_nonsensical_hint_is_none() {
    let forty = format!("retry-after: {}\r\n", "9".repeat(40));
    for hint in [
        "retry-after: -5\r\n",
        "retry-after: NaN\r\n",
        "retry-after-ms: 1e308\r\n",
        &forty,
        "retry-after: 100\r\nretry-after: 200\r\n",
    ] {
        let first = refusing("429 Too Many Requests", hint, BUSY).await;
        let second = good(false).await;
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        house.ask(false).await.comes_from("second", 2);
        let status = house.home.ctl(&["status", "--output", "json"]).json();
        let reason = status["models"][0]["targets"][0]["reason"].to_string();
        assert!(reason.contains("limit"), "{hint:?}: {status}");
        // it rests for a second or so, and not for as long as was written
        first_is_back(&first, &house).await;
    }
}

/// Asks until the first target was asked once more.
async fn first_is_back(first: &Upstream, house: &House) {
    let asking = async {
        while first.asked() < 2 {
            house.ask(false).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(6), asking).await;
    assert!(back.is_ok(), "it rests for more than a few seconds");
}

/// Two models with credentials of their own; the second is the fallback of the first.
fn two_credentials(first: &Upstream, second: &Upstream) -> House {
    House::at(Home::with(&format!(
        "models:\n  - {{ name: m, targets: [{{ name: first, url: \"{}\" }}], auth: {{ type: api_key, key: sk-canary-4711 }}, fallback: n }}\n  - {{ name: n, targets: [{{ name: second, url: \"{}\" }}] }}\n",
        first.url(),
        second.url()
    )))
}

#[tokio::test]
async fn fm_21_a_credential_without_money_is_not_used_again() {
    for (status, code) in [
        ("402 Payment Required", "payment_required"),
        ("429 Too Many Requests", "insufficient_quota"),
        ("429 Too Many Requests", "credit_balance_exhausted"),
        ("429 Too Many Requests", "enforced_spend_limit_reached"),
        ("403 Forbidden", "billing_not_active"),
    ] {
        let body = format!(r#"{{"error":{{"message":"no","code":"{code}"}}}}"#);
        let (first, second) = (refusing(status, "", &body).await, good(false).await);
        let house = two_credentials(&first, &second);
        house.ask(false).await.comes_from("second", 2);
        house.ask(false).await.comes_from("second", 1);
        assert_eq!(first.asked(), 1, "{status} {code}");
    }
}

#[tokio::test]
async fn fm_22_x_should_retry_stands_above_the_status() {
    let no = "x-should-retry: false\r\n";
    let (told, asked) = limited_alone("500 Internal Server Error", no).await;
    assert_eq!((told.status, asked), (503, 1));
    let first = refusing("400 Bad Request", "x-should-retry: true\r\n", BUSY).await;
    let second = good(false).await;
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(false).await.comes_from("second", 2);
}

#[tokio::test]
async fn fm_23_a_failing_target_is_left_and_asked_again_only_where_it_is_alone() {
    for status in [
        "500 Internal Server Error",
        "502 Bad Gateway",
        "504 Gateway Timeout",
    ] {
        let (first, second) = (refusing(status, "", "{}").await, good(false).await);
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        house.ask(false).await.comes_from("second", 2);
        assert_eq!(first.asked(), 1);
    }
    let first = Upstream::does([
        vec![Do::answer("500 Internal Server Error", "", "{}")],
        vec![Do::answer("200 OK", "", HELLO)],
    ])
    .await;
    let house = House::of(&alone(&first.url(), ""));
    house.ask(false).await.comes_from("first", 2);
}

/// A status that means overload rests its target for as long as it says, and not without a word.
async fn overloaded(status: &str) {
    for (hint, asked) in [("retry-after: 20\r\n", 1), ("", 2)] {
        let (first, second) = (refusing(status, hint, "{}").await, good(false).await);
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        house.ask(false).await.comes_from("second", 2);
        house.ask(false).await.comes_from("second", asked);
        assert_eq!(first.asked(), asked as usize, "{hint:?}");
    }
}

#[tokio::test]
async fn fm_24_a_503_rests_its_target_as_long_as_it_says() {
    overloaded("503 Service Unavailable").await;
}

#[tokio::test]
async fn fm_25_an_overloaded_provider_is_left_for_another() {
    overloaded("529 Overloaded").await;
}

#[tokio::test]
async fn fm_26_what_may_pass_by_itself_is_tried_elsewhere() {
    for status in ["408 Request Timeout", "409 Conflict", "425 Too Early"] {
        let (first, second) = (refusing(status, "", "{}").await, good(false).await);
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        house.ask(false).await.comes_from("second", 2);
    }
}

#[tokio::test]
async fn fm_27_the_callers_own_fault_is_passed_on_and_no_mark_against_the_target() {
    let body = r#"{"error":{"message":"top_p is too high","type":"invalid_request_error","param":"top_p","code":"bad_value"}}"#;
    for status in [400, 405, 413, 415, 422] {
        let first = refusing(&format!("{status} Refused"), "", body).await;
        let second = good(false).await;
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        for _ in 0..6 {
            let told = house.ask(false).await;
            told.is_refused(status, "bad_value");
            assert_eq!(told.json()["error"]["message"], "top_p is too high");
        }
        assert_eq!((first.asked(), second.asked()), (6, 0));
    }
}

#[tokio::test]
async fn fm_27_a_model_that_one_target_does_not_know_is_asked_for_elsewhere() {
    let first = refusing(
        "404 Not Found",
        "",
        r#"{"error":{"message":"no such model"}}"#,
    )
    .await;
    let second = good(false).await;
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(false).await.comes_from("second", 2);
    let (told, _) = limited_alone("404 Not Found", "").await;
    told.is_refused(404, "model_not_found");
}

#[tokio::test]
async fn fm_29_a_refused_credential_is_not_shown_again_and_never_the_callers_401() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let body = r#"{"error":{"message":"bad key sk-canary-4711"}}"#;
        let (first, second) = (refusing(status, "", body).await, good(false).await);
        let house = two_credentials(&first, &second);
        house.ask(false).await.comes_from("second", 2);
        house.ask(false).await.comes_from("second", 1);
        assert_eq!(first.asked(), 1);
        let (told, asked) = limited_alone(status, "").await;
        told.is_refused(502, "upstream_auth");
        assert_eq!(asked, 1);
    }
}

/// A prompt that is refused with this code, with and without models named for that case.
async fn prompt_refused(code: &str, key: &str) {
    let body = format!(r#"{{"error":{{"message":"not this prompt","code":"{code}"}}}}"#);
    let first = refusing("400 Bad Request", "", &body).await;
    let second = good(false).await;
    let yaml = |named: &str| {
        format!(
            "models:\n  - {{ name: m, targets: [{{ name: first, url: \"{}\" }}], fallback: n, fallback_on: {{ {key}: {named} }} }}\n  - {{ name: n, targets: [{{ name: second, url: \"{}\" }}] }}\n",
            first.url(),
            second.url()
        )
    };
    let told = House::of(&yaml("[]")).ask(false).await;
    told.is_refused(400, code);
    assert_eq!(told.json()["error"]["message"], "not this prompt");
    assert_eq!((first.asked(), second.asked()), (1, 0));
    let named = House::of(&yaml("[n]"));
    named.ask(false).await.comes_from("second", 2);
}

#[tokio::test]
async fn fm_30_a_prompt_that_is_too_long_goes_to_a_longer_model_only_where_one_is_named() {
    prompt_refused("context_length_exceeded", "context_window").await;
}

#[tokio::test]
async fn fm_31_a_refusal_for_content_is_not_taken_elsewhere_unless_a_model_is_named() {
    prompt_refused("content_policy_violation", "content_policy").await;
    // told as the reason of the end, it is an answer
    let filtered = HELLO.replace("\"stop\"", "\"content_filter\"");
    let (first, second) = (Upstream::says(&filtered).await, good(false).await);
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    assert_eq!(house.ask(false).await.text, filtered);
    assert_eq!(second.asked(), 0);
}

fn error_event(code: &str, kind: &str) -> String {
    format!(
        "data: {{\"error\":{{\"message\":\"no\",\"code\":\"{code}\",\"type\":\"{kind}\"}}}}\n\n"
    )
}

#[tokio::test]
async fn fm_32_an_error_in_place_of_content_is_judged_as_its_status() {
    let limited = error_event("rate_limit_exceeded", "rate_limit_error");
    for before in ["", ROLE] {
        let first = Upstream::streams(&format!("{before}{limited}{DONE}")).await;
        let second = good(true).await;
        let house = House::of(&pair(&first.url(), &second.url(), ""));
        house.ask(true).await.comes_from("second", 2);
        house.ask(true).await.comes_from("second", 1);
        assert_eq!(first.asked(), 1, "it rests");
    }
    let fault = error_event("bad_value", "invalid_request_error");
    let (first, second) = (Upstream::streams(&fault).await, good(true).await);
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    house.ask(true).await.is_refused(400, "bad_value");
    assert_eq!(second.asked(), 0);
}

#[tokio::test]
async fn fm_33_an_error_event_after_content_is_passed_on_and_ends_the_stream() {
    let error = error_event("server_error", "server_error");
    let first = Upstream::does([vec![Do::stream(&format!("{HALF}{error}{DONE}"))]]).await;
    let second = good(true).await;
    let house = House::of(&pair(&first.url(), &second.url(), ""));
    let told = house.ask(true).await;
    assert!(told.text.starts_with(HALF), "{told:?}");
    assert_eq!(told.text.matches("\"error\"").count(), 1, "{told:?}");
    assert!(!told.text.contains("[DONE]"), "{told:?}");
    assert_eq!(second.asked(), 0);
}
