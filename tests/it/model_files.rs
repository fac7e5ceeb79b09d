//! Model files: pulled from a real S3 server, checked, and served by a real model server.

use moltbot_tests::{Home, ModelServer, S3, tools};

/// Runs `moltctl` with the keys of a server.
fn ctl(s3: &S3, home: &Home, secret: &str, arguments: &[&str]) -> std::process::Output {
    home.command("moltctl")
        .args(arguments)
        .env("AWS_ENDPOINT_URL", s3.url())
        .env("AWS_ACCESS_KEY_ID", S3::KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .output()
        .unwrap()
}

#[test]
fn a_model_comes_from_object_storage_and_not_with_a_wrong_secret() {
    let home = Home::init();
    let store = home.path("store");
    std::fs::create_dir_all(store.join("models/small")).unwrap();
    std::fs::copy(
        tools().join("model.gguf"),
        store.join("models/small/tiny.gguf"),
    )
    .unwrap();
    let s3 = S3::start(&store);
    let pull = ["model", "pull", "s3://models/small/tiny.gguf"];

    let refused = ctl(&s3, &home, "wrong-secret", &pull);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("refuses the key") && !told.contains("wrong-secret"),
        "{told}"
    );
    assert!(!home.path("data/models/tiny.gguf").exists());

    let missing = ctl(
        &s3,
        &home,
        S3::SECRET,
        &["model", "pull", "s3://models/none.gguf"],
    );
    assert_eq!(missing.status.code(), Some(4), "{missing:?}");

    let pulled = ctl(&s3, &home, S3::SECRET, &pull);
    assert!(pulled.status.success(), "{pulled:?}");
    home.ctl(&["model", "verify"]).done();
    let again = ctl(&s3, &home, S3::SECRET, &pull);
    assert!(
        String::from_utf8_lossy(&again.stdout).starts_with("kept"),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_file_is_served_by_a_real_model_server_without_a_network() {
    let home = Home::empty();
    let source = tools().join("model.gguf").canonicalize().unwrap();
    let pulled = home
        .ctl(&[
            "model",
            "pull",
            source.to_str().unwrap(),
            "--output",
            "json",
        ])
        .json();
    let name = source.file_name().unwrap().to_str().unwrap();
    assert!(pulled["file"].as_str().unwrap().ends_with(name), "{pulled}");

    let mut command = ModelServer::command();
    let arguments = command.as_array_mut().unwrap();
    let at = arguments
        .iter()
        .position(|argument| argument == "--model")
        .unwrap()
        + 1;
    arguments[at] = format!("${{data}}/models/{name}").into();
    home.configure(&format!(
        "models:\n  - name: local\n    model: smol\n    instance: {{ command: {command}, ready: {{ path: /health, within: 60s }} }}\n"
    ));
    let mut daemon = home.start();
    daemon.wait_for(|_| (home.ctl(&["model", "test", "local"]).code == 0).then_some(()));
    let told = home.ctl(&["chat", "--model", "local", "Say hello"]).done();
    assert!(!told.trim().is_empty());
}

#[test]
fn a_damaged_file_is_told_by_its_name() {
    let home = Home::init();
    let source = home.path("tiny.bin");
    std::fs::write(&source, "a model").unwrap();
    home.ctl(&["model", "pull", source.to_str().unwrap()])
        .done();
    std::fs::write(home.path("data/models/tiny.bin"), "a mOdel").unwrap();
    let told = home.ctl(&["model", "verify"]).failed(1);
    assert!(told.contains("tiny.bin is damaged"), "{told}");
    home.ctl(&["model", "verify", "other.bin"]).failed(4);
    home.ctl(&["model", "pull", "ftp://host/x"]).failed(2);
    home.ctl(&["model", "pull", "/no/such/file"]).failed(4);
}
