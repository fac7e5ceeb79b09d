use proptest::prelude::*;

use super::*;

#[test]
fn a_broken_channels_file_is_told_and_the_rest_runs() {
    let loaded = bench("# x\n")
        .file(CHANNELS_FILE, "[channel.slack]\nenabled = yes\n")
        .load()
        .unwrap();
    let problem = loaded.parts.to_string();
    assert!(
        problem.starts_with("workspace/channels.toml:2:11: is no TOML"),
        "{problem}"
    );
}

#[test]
fn whole_numbers_may_be_written_with_a_point_but_not_be_endless() {
    assert_eq!(bench("server: { workers: 2.0 }").config().server.workers, 2);
    let yaml = "model: { defaults: { chat: { temperature: 1.0 } } }";
    let defaults = bench(yaml).config().model.defaults;
    assert!(defaults[&ModelKind::Chat].fields["temperature"].is_f64());
    let problem = bench(&format!(
        "server: {{ limits: {{ connections: 1{} }} }}",
        "0".repeat(40)
    ))
    .problem();
    assert!(
        problem.contains("server.limits.connections: the number is too large"),
        "{problem}"
    );
    assert!(
        bench("server: { workers: 2.5 }")
            .problem()
            .contains("expected a whole number")
    );
}

#[test]
fn fm_62_all_problems_are_told_at_once_with_their_places() {
    let yaml = "\
server:
  listen: 127.0.0.1:99999
  workrs: 4
model:
  failover: { max_attempts: 0, budget: 1.5 }
  breaker: { error_ratio: 0, window: soon }
models:
  - name: a
    endpoint: ftp://x
    fallbak: b
    fallback: c
  - name: a
    kind: chatt
    endpoint: 'http://h/v1'
  - endpoint: 'http://h/v1'
";
    let problems = bench(yaml).problems();
    let starts = [
        "config/gateway.yaml:2:3: server.listen: expected an address",
        "config/gateway.yaml:3:3: server.workrs: unknown key; the nearest is \"workers\"",
        "config/gateway.yaml:5:15: model.failover.max_attempts: must be at least 1",
        "config/gateway.yaml:5:32: model.failover.budget: must be at most 1",
        "config/gateway.yaml:6:14: model.breaker.error_ratio: must be above 0",
        "config/gateway.yaml:6:30: model.breaker.window: expected a time above zero",
        "config/gateway.yaml:9:5: models.0.endpoint: the URL must begin with http",
        "config/gateway.yaml:10:5: models.0.fallbak: unknown key; the nearest is \"fallback\"",
        "config/gateway.yaml:11:5: models.0.fallback: there is no model \"c\"",
        "config/gateway.yaml:12:5: models.1.name: the name stands twice, first in line 8",
        "config/gateway.yaml:13:5: models.1.kind: expected one of chat, code, multimodal, embedding; the nearest is \"chat\"",
        "config/gateway.yaml:15:5: models.2: `name` is missing",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}\n{start}");
    }
}

#[test]
fn every_key_that_stands_twice_is_told() {
    let problems = bench("region: a\nserver:\n  workers: 1\n  workers: 2\nregion: b\n").problems();
    assert!(problems[0].starts_with(
        "config/gateway.yaml:4:3: server.workers: stands here again, first in line 3"
    ));
    assert!(problems[1].starts_with("config/gateway.yaml:5:1: region: stands here again"));
}

#[test]
fn what_is_no_yaml_has_a_place() {
    let problem = bench("server:\n  listen: [1\nregion: x\n").problem();
    assert!(problem.starts_with("config/gateway.yaml:"), "{problem}");
    assert!(!problem.contains('\n'));
}

#[test]
fn every_later_key_is_refused_by_name() {
    let cases = [
        ("server: { jwt: { issuer: x } }", "server.jwt"),
        (
            "model: { failover: { resume: true } }",
            "model.failover.resume",
        ),
        (
            "model: { routing: { affinity: sender } }",
            "model.routing.affinity",
        ),
        (
            "model: { routing: { strategy: least_cost } }",
            "model.routing.strategy",
        ),
        (
            "model: { routing: { strategy: conversation } }",
            "model.routing.strategy",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', capabilities: {}}]",
            "models.0.capabilities",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', provider: azure}]",
            "models.0.provider",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', provider: anthropic}]",
            "models.0.provider",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', provider: gemini}]",
            "models.0.provider",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', provider: bedrock}]",
            "models.0.provider",
        ),
        ("cache: { semantic: { embedding: e } }", "cache.semantic"),
        ("store: { url: 'postgres://h/db' }", "store.url"),
        ("shared: { url: 'memory:' }", "shared"),
    ];
    for (yaml, key) in cases {
        let problem = bench(yaml).problem();
        assert!(
            problem.contains(&format!(" {key}: not supported by this version")),
            "{problem}"
        );
        assert!(problem.starts_with("config/gateway.yaml:1:"), "{problem}");
    }
}

#[test]
fn wrong_types_say_what_was_expected_and_not_what_was_found() {
    let problem = bench("server: { workers: hunter2 }").problem();
    assert!(
        problem.ends_with("expected a whole number, found a text"),
        "{problem}"
    );
    let problem = bench("models: { name: x }").problem();
    assert!(
        problem.ends_with("expected a list, found a map of keys"),
        "{problem}"
    );
    let problem = bench("models: [x, {name: m, endpoint: 'http://h', fallback: [m2]}, {name: m2, provider: builtin, model: echo}]").problem();
    assert!(
        problem.contains("models.0: expected a map of keys, found a text"),
        "{problem}"
    );
    let problem = bench("- a\n- b\n").problem();
    assert!(problem.contains("expected a map of keys"), "{problem}");
    let problem = bench("logs: { content: yes }").problem();
    assert!(
        problem.ends_with("expected true or false, found a text"),
        "{problem}"
    );
}

#[test]
fn fallback_circles_are_told_with_their_way() {
    let yaml = "models:\n  - {name: a, provider: builtin, model: echo, fallback: b}\n  - {name: b, provider: builtin, model: echo, fallback: [c, d]}\n  - {name: c, provider: builtin, model: echo}\n  - {name: d, provider: builtin, model: echo, fallback: a}\n";
    let problem = bench(yaml).problem();
    assert!(
        problem.contains("models.3.fallback: goes in a circle: a -> b -> d -> a"),
        "{problem}"
    );
    let alone = bench("models: [{name: a, provider: builtin, model: echo, fallback: a}]").problem();
    assert!(alone.contains("a -> a"), "{alone}");
    let switch = "models: [{name: a, provider: builtin, model: echo, switch_to: b}, {name: b, provider: builtin, model: echo, switch_to: a}]";
    assert!(
        bench(switch)
            .problem()
            .contains("models.1.switch_to: goes in a circle")
    );
}

#[test]
fn a_diamond_is_no_circle() {
    let yaml = "models:\n  - {name: a, provider: builtin, model: echo, fallback: [b, c]}\n  - {name: b, provider: builtin, model: echo, fallback: d}\n  - {name: c, provider: builtin, model: echo, fallback: d}\n  - {name: d, provider: builtin, model: echo}\n";
    assert_eq!(bench(yaml).config().models.len(), 4);
}

#[test]
fn none_is_possible_only_on_loopback() {
    assert!(
        bench("server: { auth: none, listen: '0.0.0.0:80' }")
            .problem()
            .contains("server.auth")
    );
    bench("server: { auth: none, listen: 'localhost:80' }").config();
    bench("server: { auth: none, listen: '[::1]:0', admin: '[::1]:0' }").config();
    assert!(
        bench("server: { listen: 'h:80', admin: 'h:80' }")
            .problem()
            .contains("server.admin")
    );
}

#[test]
fn targets_have_urls_and_names_of_their_own() {
    let yaml = "models: [{name: m, endpoint: 'http://h', targets: [{url: 'http://a', name: t}, {url: 'http://b', name: t}, {name: u}]}]";
    let problems = bench(yaml).problems();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    let yaml = "models: [{name: m, targets: [{url: 'http://a', name: 'a '}]}]";
    assert!(bench(yaml).problem().contains("has blanks at its ends"));
    let yaml = "models: [{name: m, targets: []}]";
    assert!(bench(yaml).problem().contains("must not be empty"));
}

#[test]
fn deep_yaml_and_strange_numbers_do_not_hurt() {
    let deep = format!("region: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    bench(&deep).problems();
    bench(&format!("server: {{ workers: {} }}", "9".repeat(40))).problem();
    bench("server: { workers: -1 }").problem();
    bench("logs: { keep: .inf }").problem();
    bench("a: &a [*a]").problems();
    bench("{a: 1}: 2").problems();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic(text in "[ -~\\n\t\u{feff}é\u{0}]{0,120}", at in any::<prop::sample::Index>()) {
        let sample = include_str!("../sample.yaml");
        let at = at.index(sample.len());
        // the sample with a hole of that length, filled with anything
        let end = (at + text.len() / 8).min(sample.len());
        if let (Some(before), Some(after)) = (sample.get(..at), sample.get(end..)) {
            let _ = bench(&format!("{before}{text}{after}")).load();
        }
        let _ = bench(&text).file("models/auth.json", &text).file(CHANNELS_FILE, &text).load();
    }
}

#[test]
fn an_archive_is_an_address_of_object_storage_and_its_secrets_may_be_missing() {
    let archive = |keys: &str| format!("logs: {{ archive: {{ {keys} }} }}");
    let problem = bench(&archive("url: 'http://host/x'")).problem();
    assert!(problem.contains("logs.archive.url"), "{problem}");
    let keys = "url: 's3://b/logs', after: 2h, access_key: k, secret_key: '${env:NO_SUCH_NAME}'";
    let archive = bench(&archive(keys)).config().archive.unwrap();
    assert_eq!(archive.after.as_secs(), 7200);
    let missing = archive.missing.unwrap();
    assert!(missing.contains("NO_SUCH_NAME"), "{missing}");
}
