use super::*;

#[test]
fn every_value_in_force_tells_where_it_came_from() {
    let yaml = "server:\n  workers: 2\nmodels:\n  - name: m.1\n    endpoint: http://h\n    fallback: e\n  - {name: e, provider: builtin, model: echo}\n";
    let bench = bench(yaml)
        .env("MOLTBOT_LOGS__LEVEL", "warn")
        .flag("region", "east");
    let bench = bench.file("models/auth.json", "{\n  \"m.1\": {\"key\": \"k\"}\n}");
    let loaded = bench.load().unwrap();
    let source = |key: &str| {
        let entries = loaded.entries();
        let entry = entries.iter().find(|entry| entry.key == key);
        let entry = entry.unwrap_or_else(|| panic!("{key} in {entries:#?}"));
        (crate::show::plain(&entry.value), entry.source())
    };
    let told = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(
        source("server.workers"),
        told("2", "file config/gateway.yaml:2")
    );
    assert_eq!(source("server.listen"), told("127.0.0.1:18789", "default"));
    assert_eq!(source("server.limits.body"), told("32MiB", "default"));
    assert_eq!(
        source("models.m.1.fallback"),
        told("[\"e\"]", "file config/gateway.yaml:6")
    );
    assert_eq!(source("models.m.1.model"), told("m.1", "default"));
    assert_eq!(
        source("models.m.1.auth.key"),
        told("(hidden)", "file models/auth.json:2")
    );
    assert_eq!(
        source("logs.level"),
        told("warn", "environment MOLTBOT_LOGS__LEVEL")
    );
    assert_eq!(source("region"), told("east", "command line"));
}

#[test]
fn a_value_is_told_as_it_is_in_force_and_as_the_file_has_it() {
    let loaded = bench("region: '${env:R}'\n")
        .env("R", "east")
        .load()
        .unwrap();
    assert_eq!(loaded.get("region").unwrap(), Some("east".into()));
    assert_eq!(
        loaded.get_in_file("region").unwrap(),
        Some("${env:R}".into())
    );
    assert_eq!(
        loaded.get("model.failover.enabled").unwrap(),
        Some(true.into())
    );
    assert_eq!(loaded.get_in_file("model.failover.enabled").unwrap(), None);
    assert_eq!(loaded.get("no.such.key").unwrap(), None);
    let loaded = bench(LOCAL).load().unwrap();
    assert!(loaded.get("models.nobody.kind").is_err());
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
fn a_variable_within_a_list_leaves_its_neighbours_their_lines() {
    let yaml =
        "models:\n  - name: a\n    endpoint: http://a\n  - name: b\n    endpoint: http://b\n";
    let loaded = bench(yaml)
        .env("MOLTBOT_MODELS__B__ENDPOINT", "http://x")
        .load()
        .unwrap();
    let source = |key: &str| {
        let entries = loaded.entries();
        let entry = entries.iter().find(|entry| entry.key == key).unwrap();
        entry.source()
    };
    assert_eq!(source("models.a.endpoint"), "file config/gateway.yaml:3");
    assert_eq!(source("models.b.name"), "file config/gateway.yaml:4");
    assert_eq!(
        source("models.b.endpoint"),
        "environment MOLTBOT_MODELS__B__ENDPOINT"
    );
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
