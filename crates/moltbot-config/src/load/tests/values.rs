use super::*;

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
    let config = bench(include_str!("../sample.yaml")).config();
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
fn the_oauth_fragment_of_the_article_is_read_as_printed() {
    let yaml = "models:\n- name: \"primary-model\"\n  auth:\n    type: \"oauth\"\n    client_id: \"your-client-id\"\n    token_url: \"https://auth.example.com/token\"\n  fallback: \"secondary-model\"\n- name: secondary-model\n  provider: builtin\n  model: echo\n";
    let config = bench(yaml)
        .file(
            "models/auth.json",
            "{\"primary-model\": {\"client_secret\": \"s\"}}",
        )
        .config();
    let Auth::OAuth(oauth) = &config.models[0].auth else {
        panic!("{:?}", config.models[0].auth)
    };
    assert_eq!(oauth.client_id, "your-client-id");
    assert_eq!(config.models[0].fallback, ["secondary-model"]);
}

#[test]
fn the_channels_of_the_article_load() {
    let toml = "[channel.slack]\nenabled = true\nrate_limit = \"10/min\"\ncontext_window = 5\nmessage_format = \"markdown\"\n";
    let loaded = bench("# x\n").file(CHANNELS_FILE, toml).load().unwrap();
    assert!(loaded.notices.is_empty() && loaded.parts.0.is_empty());
}

#[test]
fn a_key_without_a_value_is_as_good_as_none() {
    bench("model: { defaults: { chat: } }").config();
    assert!(
        bench("models:\n  # - name: x\nregion:\n")
            .config()
            .models
            .is_empty()
    );
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
fn fields_of_params_keep_their_order() {
    // models answer in the order of a response's schema, and prompt caches compare bytes
    let yaml = "models: [{name: m, endpoint: 'http://h/v1', params: {top_p: 1, max_tokens: 9, response_format: {z: 1, b: {y: 2, a: 3}}}}]";
    let model = bench(yaml).config().models.remove(0);
    let fields: Vec<_> = model.params.fields.keys().collect();
    assert_eq!(fields, ["top_p", "max_tokens", "response_format"]);
    assert_eq!(
        model.params.fields["response_format"].to_string(),
        r#"{"z":1,"b":{"y":2,"a":3}}"#
    );
}
