use super::*;

#[test]
fn secrets_reach_no_text_for_people() {
    let canary = "c4n4ry-s3cret";
    let yaml = "models:\n  - {name: a, endpoint: 'http://h', auth: {type: api_key, key: c4n4ry-s3cret}}\n  - {name: b, endpoint: 'http://h', auth: {type: api_key, key: '${env:K}'}}\n";
    let bench = bench(yaml)
        .file("models/auth.json", "{\"a\": {\"key\": \"c4n4ry-s3cret\"}}")
        .env("K", canary);
    let loaded = bench.load().unwrap();
    let get = |key| loaded.get(key).unwrap().unwrap();
    assert_eq!(get("models.a.auth.key"), "(hidden)");
    assert_eq!(get("models.b.auth.key"), "${env:K}");
    for text in [
        format!("{loaded:?} {:?} {:?}", bench.overrides, loaded.entries()),
        get("models").to_string(),
        loaded.get_in_file("models").unwrap().unwrap().to_string(),
        loaded.config.fingerprint(),
    ] {
        assert!(!text.contains(canary), "{text}");
    }
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
    let problem = bench.problem();
    assert!(
        problem.starts_with("models/auth.json:1:2: models.0.auth: `token_url` of oauth is missing"),
        "{problem}"
    );
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
fn the_fingerprint_tells_secrets_apart() {
    let yaml = "models: [{name: m, endpoint: 'http://h', auth: {type: api_key, key: '${env:K}'}}]";
    let mut bench = bench(yaml);
    let mut print = |key: &str| {
        bench.overrides.env.insert("K".into(), key.into());
        bench.load().unwrap().config.fingerprint()
    };
    assert_eq!(print("a"), print("a"));
    assert_ne!(print("a"), print("b"));
}

const OAUTH: &str = "models:
  - name: primary-model
    endpoint: http://h
    auth:
      type: oauth
      client_id: your-client-id
      token_url: https://auth.example.com/token
    fallback: secondary-model
  - {name: secondary-model, endpoint: 'http://h'}
";

#[test]
fn oauth_without_its_secret_is_dead_and_says_what_is_missing() {
    let config = bench(OAUTH).config();
    let Auth::Missing { id, what, .. } = &config.models[0].auth else {
        panic!("{:?}", config.models[0].auth)
    };
    assert_eq!(id, "model/primary-model");
    assert!(what.contains("client_secret"), "{what}");
    assert!(what.contains("under \"primary-model\""), "{what}");
    let config = bench(OAUTH)
        .file(
            "models/auth.json",
            "{\"primary-model\": {\"client_secret\": \"${env:NONE}\"}}",
        )
        .config();
    let Auth::Missing { what, .. } = &config.models[0].auth else {
        panic!("{:?}", config.models[0].auth)
    };
    assert!(what.contains("NONE is not set"), "{what}");
}

#[test]
fn oauth_values_of_both_files_are_put_together() {
    let auth = "{\"primary-model\": {\"client_id\": \"other\", \"client_secret\": \"a b c4n4ry\", \"scope\": \"x y\", \"refresh_token\": \"${env:R}\"}}";
    let bench = bench(OAUTH)
        .file("models/auth.json", auth)
        .env("R", "r3fresh");
    let loaded = bench.load().unwrap();
    let Auth::OAuth(oauth) = &loaded.config.models[0].auth else {
        panic!("{:?}", loaded.config.models[0].auth)
    };
    let secret = |secret: &Option<secrecy::SecretString>| {
        secret.as_ref().unwrap().expose_secret().to_owned()
    };
    assert_eq!(oauth.client_id, "other");
    assert_eq!(oauth.token_url, "https://auth.example.com/token");
    assert_eq!(oauth.scope.as_deref(), Some("x y"));
    assert_eq!(secret(&oauth.client_secret), "a b c4n4ry");
    assert_eq!(secret(&oauth.refresh_token), "r3fresh");
    let shown = format!("{loaded:?} {:?}", loaded.entries());
    assert!(
        !shown.contains("c4n4ry") && !shown.contains("r3fresh"),
        "{shown}"
    );
}

#[test]
fn wrong_values_of_oauth_are_named() {
    let url = OAUTH.replace(
        "https://auth.example.com/token",
        "https://u:p@auth.example.com/token",
    );
    assert!(
        bench(&url)
            .problem()
            .contains("models.0.auth.token_url: the URL must not hold a user")
    );
    let alone = OAUTH.replace("      client_id: your-client-id\n", "");
    assert!(
        bench(&alone)
            .problem()
            .contains("`client_id` of oauth is missing")
    );
}
