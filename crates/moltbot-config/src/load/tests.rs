use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::config::{Auth, AuthMode, ModelKind, Provider, Role, Strategy};

/// A home with that `gateway.yaml`.
struct Bench {
    dir: TempDir,
    overrides: Overrides,
}

fn bench(yaml: &str) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["config", "models", "workspace"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join(GATEWAY), yaml).unwrap();
    Bench {
        dir,
        overrides: Overrides::default(),
    }
}

impl Bench {
    fn file(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.overrides.env.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.overrides.flags.push((key.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(&Home::new(self.dir.path()), &self.overrides)
    }

    fn config(&self) -> Config {
        self.load()
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    fn problems(&self) -> Vec<String> {
        let problems = self.load().expect_err("the file should be refused");
        problems.0.iter().map(ToString::to_string).collect()
    }

    /// The one problem.
    fn problem(&self) -> String {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems.into_iter().next().unwrap()
    }
}

const LOCAL: &str = "models: [{name: m, endpoint: 'http://h/v1'}]\n";

#[test]
fn comments_alone_give_the_defaults() {
    let config = bench("# nothing yet\n").config();
    assert_eq!(config.server.listen, "127.0.0.1:18789");
    assert_eq!(config.server.limits.body, 32 << 20);
    assert_eq!(config.model.failover.max_attempts, 6);
    assert!(config.models.is_empty());
    assert_eq!(config.logs.keep, Duration::from_secs(7 * 86_400));
}

#[test]
fn an_empty_file_is_invalid() {
    assert!(
        bench("")
            .problem()
            .starts_with("config/gateway.yaml: is empty")
    );
}

#[test]
fn a_bom_and_crlf_are_accepted() {
    let config = bench("\u{feff}server:\r\n  workers: 3\r\nregion: east\r\n").config();
    assert_eq!(
        (config.server.workers, config.region.as_deref()),
        (3, Some("east"))
    );
}

#[test]
fn a_missing_file_names_init() {
    let bench = bench("x");
    fs::remove_file(bench.dir.path().join(GATEWAY)).unwrap();
    assert!(bench.problem().contains("moltctl init"));
}

#[test]
fn the_sample_of_the_contract_loads() {
    let config = bench(include_str!("sample.yaml")).config();
    assert_eq!(config.server.auth, AuthMode::Keys);
    assert_eq!(config.server.limits.event, 1 << 20);
    assert_eq!(config.model.routing.strategy, Strategy::LeastLatency);
    assert_eq!(
        config.model.defaults[&ModelKind::Multimodal].timeout,
        Some(Duration::from_secs(60))
    );
    let model = &config.models[0];
    assert_eq!(
        (model.provider, &*model.model),
        (Provider::OpenAi, "gpt-4o-mini")
    );
    assert_eq!(model.targets.len(), 3);
    assert_eq!(
        (model.targets[0].weight, model.targets[1].role),
        (2, Role::Standby)
    );
    assert_eq!(model.timeouts.answer, Duration::from_secs(60));
    assert_eq!(model.params.fields["max_tokens"], 2048);
    assert_eq!(model.fallback, ["secondary-model"]);
    assert_eq!(model.fallback_on.context_window, ["long-model"]);
    assert_eq!(config.region.as_deref(), Some("east"));
}

#[test]
fn the_offline_fragment_of_the_article_loads() {
    let yaml = "models:\n- name: \"offline-model\"\n  endpoint: \"http://internal-proxy:8080/v1\"\n  auth:\n    type: \"none\"\n";
    let config = bench(yaml).config();
    assert_eq!(
        config.models[0].targets[0].url,
        "http://internal-proxy:8080/v1"
    );
    assert!(matches!(config.models[0].auth, Auth::None));
}

#[test]
fn the_oauth_fragment_of_the_article_is_told_to_come_later_and_the_rest_is_read() {
    let yaml = "models:\n- name: \"primary-model\"\n  auth:\n    type: \"oauth\"\n    client_id: \"your-client-id\"\n    token_url: \"https://auth.example.com/token\"\n  fallback: \"secondary-model\"\n- name: secondary-model\n  provider: builtin\n  model: echo\n";
    let problem = bench(yaml).problem();
    assert!(
        problem
            .starts_with("config/gateway.yaml:3:3: models.0.auth: not supported by this version"),
        "{problem}"
    );
}

#[test]
fn the_channels_of_the_article_load_with_a_notice() {
    let toml = "[channel.slack]\nenabled = true\nrate_limit = \"10/min\"\ncontext_window = 5\nmessage_format = \"markdown\"\n";
    let loaded = bench("# x\n").file(CHANNELS_FILE, toml).load().unwrap();
    assert!(loaded.notices[0].contains("channels are not in use yet in this version"));
}

const CHANNELS_FILE: &str = "workspace/channels.toml";

#[test]
fn a_broken_channels_file_names_line_and_column() {
    let problem = bench("# x\n")
        .file(CHANNELS_FILE, "[channel.slack]\nenabled = yes\n")
        .problem();
    assert!(
        problem.starts_with("workspace/channels.toml:2:11: is no TOML"),
        "{problem}"
    );
}

#[test]
fn all_problems_are_told_at_once() {
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
        ("server: { tls: { cert: x } }", "server.tls"),
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
            "models: [{name: m, endpoint: 'http://h', instance: {command: [x]}}]",
            "models.0.instance",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', price: {input: 1}}]",
            "models.0.price",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', capabilities: {}}]",
            "models.0.capabilities",
        ),
        (
            "models: [{name: m, endpoint: 'http://h', auth: {type: oauth}}]",
            "models.0.auth",
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
        ("cache: { enabled: true }", "cache"),
        ("store: { url: 'sqlite:x' }", "store"),
        ("shared: { url: 'memory:' }", "shared"),
        ("filters: { pii: { action: mask } }", "filters"),
        ("skills: { require_sandbox: true }", "skills"),
        ("logs: { archive: { url: 's3://b' } }", "logs.archive"),
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
fn a_key_without_a_value_is_as_good_as_none() {
    assert!(
        bench("models:\n  # - name: x\nregion:\n")
            .config()
            .models
            .is_empty()
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
    let yaml = "models: [{name: m, targets: []}]";
    assert!(bench(yaml).problem().contains("must not be empty"));
}

#[test]
fn a_builtin_model_is_one_that_exists_and_keeps_its_script() {
    let yaml = "models: [{name: m, provider: builtin, model: script, params: {text: hi, delay: 5ms, timeout: 1s}}]";
    let model = bench(yaml).config().models.remove(0);
    assert_eq!(model.provider, Provider::Builtin);
    assert!(model.targets.is_empty());
    assert_eq!(model.params.fields["delay"], "5ms");
    assert_eq!(model.params.timeout, Some(Duration::from_secs(1)));
    assert!(
        bench("models: [{name: m, provider: builtin}]")
            .problem()
            .contains("model: echo")
    );
}

#[test]
fn presets_give_the_address_and_ask_for_a_key() {
    let model = bench("models: [{name: deepseek-chat, provider: deepseek}]")
        .config()
        .models
        .remove(0);
    assert_eq!(model.targets[0].url, "https://api.deepseek.com/v1");
    let Auth::Missing { what, .. } = model.auth else {
        panic!("{:?}", model.auth)
    };
    assert!(
        what.contains("put it under \"deepseek-chat\" into models/auth.json"),
        "{what}"
    );
    let local = bench("models: [{name: m, provider: ollama}]")
        .config()
        .models
        .remove(0);
    assert!(matches!(local.auth, Auth::None));
}

#[test]
fn a_kinds_params_are_under_the_models_own_whatever_their_name() {
    let yaml = "\
model: { defaults: { chat: { max_tokens: 100, stop_sequences: ['x'], timeout: 5s }, code: { max_tokens: 1 } } }
models:
  - { name: own, endpoint: 'http://h', params: { stop: ['y'], temperature: 0 } }
  - { name: public, auth: { type: none } }
  - { name: timed, endpoint: 'http://h', timeouts: { answer: 7s } }
";
    let config = bench(yaml).config();
    let own = &config.models[0];
    assert_eq!(
        own.params.fields.keys().collect::<Vec<_>>(),
        ["max_tokens", "stop", "temperature"]
    );
    assert_eq!(own.timeouts.answer, Duration::from_secs(5));
    assert!(
        config.models[1]
            .params
            .fields
            .contains_key("max_completion_tokens")
    );
    assert_eq!(config.models[2].timeouts.answer, Duration::from_secs(7));
}

#[test]
fn the_file_of_secrets_wins_key_by_key() {
    let yaml = "models: [{name: m, endpoint: 'http://h', auth: {type: api_key, key: here}}, {name: n, endpoint: 'http://h', auth: {profile: shared}}]";
    let auth = "{\"m\": {\"key\": \"there\"}, \"shared\": {\"type\": \"api_key\", \"key\": \"${env:K}\"}, \"channel.slack\": {\"bot_token\": \"x\"}}";
    let config = bench(yaml)
        .file("models/auth.json", auth)
        .env("K", " k3y\n")
        .config();
    let Auth::ApiKey { id, key } = &config.models[0].auth else {
        panic!()
    };
    assert_eq!((&**id, key.expose_secret()), ("model/m", "there"));
    let Auth::ApiKey { id, key } = &config.models[1].auth else {
        panic!()
    };
    assert_eq!((&**id, key.expose_secret()), ("profile/shared", "k3y"));
    assert!(!format!("{config:?}").contains("there"));
}

#[test]
fn a_missing_secret_is_no_error_and_says_what_is_missing() {
    let yaml = "models:\n  - {name: a, endpoint: 'http://h', auth: {type: api_key, key: '${env:NONE}'}}\n  - {name: b, endpoint: 'http://h', auth: {type: api_key, key: '${file:none}'}}\n  - {name: c, endpoint: 'http://h', auth: {type: api_key}}\n  - {name: d, endpoint: 'http://h', auth: {profile: shraed}}\n";
    let config = bench(yaml)
        .file("models/auth.json", "{\"shared\": {\"key\": \"k\"}}")
        .config();
    let words = [
        "variable NONE is not set",
        "there is no file",
        "under \"c\"",
        "nearest entry is \"shared\"",
    ];
    for (model, word) in config.models.iter().zip(words) {
        let Auth::Missing { what, .. } = &model.auth else {
            panic!("{model:?}")
        };
        assert!(what.contains(word), "{what}");
    }
}

#[test]
fn a_secret_with_a_control_character_is_refused_without_its_value() {
    let yaml = "models:\n  - name: m\n    endpoint: http://h\n    auth: {type: api_key, key: '${file:secret}'}\n";
    let problem = bench(yaml).file("secret", "hunter\n2\n").problem();
    assert!(
        problem.starts_with("config/gateway.yaml:4:27: models.0.auth.key:"),
        "{problem}"
    );
    assert!(!problem.contains("hunter"));
}

#[test]
fn secrets_that_others_can_read_are_refused_with_the_cure() {
    let bench = bench(LOCAL).file("models/auth.json", "{}");
    bench.config();
    let path = bench.dir.path().join("models/auth.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let problem = bench.problem();
    assert!(
        problem.starts_with("models/auth.json: others can read"),
        "{problem}"
    );
    assert!(problem.contains(&format!("chmod 600 {}", path.display())));
}

#[test]
fn problems_of_the_secrets_have_their_own_file_and_line() {
    let bench = bench(LOCAL);
    let bench = bench.file(
        "models/auth.json",
        "{\n  \"m\": {\"kee\": \"x\"},\n  \"m\": {}\n}",
    );
    let problems = bench.problems();
    assert!(
        problems[0].starts_with(
            "models/auth.json:2:9: models.0.auth.kee: unknown key; the nearest is \"key\""
        ),
        "{problems:?}"
    );
    assert!(problems[1].starts_with("models/auth.json:3:3: m: stands here again"));
    let bench = bench.file(
        "models/auth.json",
        "{\"m\": {\"type\": \"oauth\", \"client_id\": \"x\"}}",
    );
    assert!(bench.problem().contains("not supported by this version"));
    let bench = bench.file("models/auth.json", "{\n\"m\": }");
    assert!(
        bench
            .problem()
            .starts_with("models/auth.json:2:6: is no JSON"),
        "{}",
        bench.problem()
    );
}

#[test]
fn variables_stand_above_files_by_name_and_by_index() {
    let two = "models: [{name: primary-model, endpoint: 'http://a/v1'}, {name: other, endpoint: 'http://b/v1'}]";
    let config = bench(two)
        .env("MOLTBOT_MODELS__PRIMARY_MODEL__ENDPOINT", "http://x/v1")
        .env("MOLTBOT_MODELS__1__ENDPOINT", "http://y/v1")
        .env("MOLTBOT_SERVER__WORKERS", "3")
        .env("MOLTBOT_REGION", "7")
        .env("MOLTBOT_HOME", "/nowhere")
        .env("MOLTBOT_PORT", "tcp://10.0.0.1:80")
        .config();
    assert_eq!(config.models[0].targets[0].url, "http://x/v1");
    assert_eq!(config.models[1].targets[0].url, "http://y/v1");
    assert_eq!(config.models.len(), 2);
    assert_eq!(config.server.workers, 3);
    assert_eq!(config.region.as_deref(), Some("7"));
}

#[test]
fn flags_stand_above_variables() {
    let bench = bench("server: { workers: 1 }").env("MOLTBOT_SERVER__WORKERS", "2");
    assert_eq!(bench.config().server.workers, 2);
    assert_eq!(bench.flag("server.workers", "3").config().server.workers, 3);
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let problem = bench("# x\n")
        .env("MOLTBOT_SERVER__WORKERS", "many")
        .problem();
    assert_eq!(
        problem,
        "MOLTBOT_SERVER__WORKERS: server.workers: expected a whole number, found a text"
    );
    let problem = bench("# x\n").env("MOLTBOT_SERVER__WORKRS", "1").problem();
    assert!(
        problem.starts_with("MOLTBOT_SERVER__WORKRS: server.workrs: unknown key"),
        "{problem}"
    );
    let problem = bench(LOCAL)
        .env("MOLTBOT_MODELS__N__KIND", "chat")
        .problem();
    assert!(problem.contains("has no item `n`"), "{problem}");
    let loaded = bench("# x\n").env("MOLTBOT_REGOIN", "east").load().unwrap();
    assert!(
        loaded.notices[0].contains("MOLTBOT_REGION"),
        "{:?}",
        loaded.notices
    );
}

#[test]
fn references_give_text_and_broken_ones_are_told() {
    let config = bench("region: 'r-${env:R}'\n").env("R", "1").config();
    assert_eq!(config.region.as_deref(), Some("r-1"));
    let problem = bench("server: { workers: '${env:R}' }")
        .env("R", "1")
        .problem();
    assert!(problem.contains("expected a whole number, found a text"));
    let problem = bench("region: '${env:NONE}'").problem();
    assert!(
        problem.starts_with("config/gateway.yaml:1:1: region: the variable NONE is not set"),
        "{problem}"
    );
    let problem = bench("server: { listen: '${nonsense}' }").problem();
    assert!(
        problem.contains("${nonsense}` is no reference"),
        "{problem}"
    );
}

#[test]
fn files_that_are_named_are_watched() {
    let loaded = bench("region: '${file:r}'")
        .file("r", "east\n")
        .load()
        .unwrap();
    assert_eq!(loaded.config.region.as_deref(), Some("east"));
    assert!(loaded.watched.iter().any(|path| path.ends_with("r")));
    assert!(
        loaded
            .watched
            .iter()
            .any(|path| path.ends_with("models/auth.json"))
    );
}

#[test]
fn the_fingerprint_tells_secrets_apart() {
    let yaml = "models: [{name: m, endpoint: 'http://h', auth: {type: api_key, key: '${env:K}'}}]";
    let print = |key| bench(yaml).env("K", key).load().unwrap().fingerprint;
    assert_eq!(print("a"), print("a"));
    assert_ne!(print("a"), print("b"));
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
