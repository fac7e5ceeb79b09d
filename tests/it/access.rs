//! TLS, the audit log, the doctor, and secrets that stay where they belong.

use std::path::Path;
use std::time::Duration;

use moltbot_tests::{Daemon, Home, Upstream};
use serde_json::{Value, json};

use crate::{ask, client};

const ECHO: &str = "models: [{ name: echo, provider: builtin, model: echo }]\n";

fn config(server: &str) -> String {
    format!("server: {{ listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", {server} }}\n{ECHO}")
}

/// Puts a new certificate for `localhost` into the home; gives it in PEM form.
fn certificate(home: &Home) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    home.write("tls/key.pem", &made.signing_key.serialize_pem());
    home.write("tls/cert.pem", &made.cert.pem());
    made.cert.pem()
}

/// Asks over TLS, trusting this certificate alone; the protocol that was agreed on.
async fn over_tls(daemon: &Daemon, trusted: &str, http1: bool) -> Option<reqwest::Version> {
    let trusted = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
    let mut client = moltbot_tests::client().tls_certs_only([trusted]);
    if http1 {
        client = client.http1_only();
    }
    let port = daemon.listen().rsplit_once(':').unwrap().1;
    let url = format!("https://localhost:{port}/v1/chat/completions");
    let request = client.build().unwrap().post(url);
    let request = request
        .header("content-type", "application/json")
        .body(ask("echo"));
    let answer = request.send().await.ok()?;
    assert_eq!(answer.status(), 200);
    let version = answer.version();
    let said: Value = answer.json().await.unwrap();
    assert_eq!(said["choices"][0]["message"]["content"], "Hello there");
    Some(version)
}

#[tokio::test]
async fn the_data_plane_speaks_tls_and_shows_a_changed_certificate_within_two_seconds() {
    let home = Home::empty();
    let first = certificate(&home);
    home.write(
        "config/gateway.yaml",
        &config("auth: none, tls: { cert: tls/cert.pem, key: tls/key.pem }"),
    );
    let daemon = home.start();
    let both = [
        (false, reqwest::Version::HTTP_2),
        (true, reqwest::Version::HTTP_11),
    ];
    for (http1, version) in both {
        assert_eq!(over_tls(&daemon, &first, http1).await, Some(version));
    }
    let plain = client().get(daemon.url("/v1/models")).send().await;
    assert!(plain.is_err());

    let second = certificate(&home);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(over_tls(&daemon, &second, false).await.is_some());
    assert!(over_tls(&daemon, &first, false).await.is_none());

    home.write("tls/cert.pem", "half");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(over_tls(&daemon, &second, false).await.is_some());
}

#[test]
fn a_certificate_that_cannot_be_used_is_no_start() {
    let home = Home::empty();
    home.write(
        "config/gateway.yaml",
        &config("auth: none, tls: { cert: tls/cert.pem, key: tls/key.pem }"),
    );
    let said = home.moltbotd(&[]).failed(78);
    assert!(said.contains("tls/cert.pem"), "{said}");
    home.ctl(&["config", "validate"]).failed(78);
}

#[tokio::test]
async fn changes_are_audited_with_the_daemon_up_and_down_and_a_flipped_byte_is_found() {
    let home = Home::with(ECHO);
    home.ctl(&["config", "set", "region", "east"]).done();
    let daemon = home.start();
    home.ctl(&["config", "set", "region", "west"]).done();
    let made = home.ctl(&["key", "create", "--output", "json"]).json();
    home.ctl(&["key", "revoke", made["id"].as_str().unwrap()])
        .done();
    home.ctl(&["config", "set", "region", ""]).failed(78);
    let token = home.read("run/admin.token");
    let reload = client()
        .post(daemon.admin_url("/admin/v1/reload"))
        .bearer_auth(token);
    assert!(reload.send().await.unwrap().status().is_success());

    let entries = home.ctl(&["audit", "--output", "json"]).json();
    let told: Vec<_> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            (text("actor"), text("action"), text("outcome"))
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(a, b, c)| (&**a, &**b, &**c)).collect();
    let id = made["id"].as_str().unwrap();
    assert_eq!(told[0], ("offline", "PUT config/values/region", "done"));
    assert_eq!(told[1], ("socket", "PUT config/values/region", "done"));
    assert_eq!(told[2], ("socket", "POST keys", "done"));
    assert_eq!(told[3], ("socket", &*format!("DELETE keys/{id}"), "done"));
    assert_eq!(told[4].2, "refused with 78");
    assert_eq!(told[5], ("token", "POST reload", "done"));
    assert_eq!(
        (&entries[1]["before"], &entries[1]["after"]),
        (&json!("east"), &json!("west"))
    );
    assert_eq!(entries[2]["subject"], id);
    let text = home.read("data/audit.jsonl");
    assert!(!text.contains(made["key"].as_str().unwrap()));

    home.ctl(&["audit", "verify"]).done();
    drop(daemon);
    home.ctl(&["audit", "verify"]).done();
    home.write("data/audit.jsonl", &text.replacen("west", "wast", 1));
    let said = home.ctl(&["audit", "verify"]).failed(1);
    assert!(said.contains("line 2 "), "{said}");
}

#[test]
fn the_doctor_names_what_is_open_and_closes_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::init();
    let checks = home
        .ctl(&["doctor", "--security", "--output", "json"])
        .json();
    for check in checks.as_array().unwrap() {
        for field in ["id", "status", "what", "cure"] {
            assert!(check[field].is_string(), "{check}");
        }
        assert_ne!(check["status"], "fail", "{check}");
    }
    let key = home.path("config/key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = home.ctl(&["doctor", "--security", "--output", "json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let checks: Value = serde_json::from_str(&ran.out).unwrap();
    let found = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["id"] == "files.secrets");
    assert!(
        found.unwrap()["cure"]
            .as_str()
            .unwrap()
            .contains("chmod 600")
    );
    home.ctl(&["doctor", "--security", "--fix"]).done();
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Each form in which a secret could be written.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut forms = vec![secret.to_owned(), hex.to_uppercase(), hex, url];
    // Base64 of a text within another has one of three beginnings.
    for shift in 0..3 {
        let padded = [&b"xxx"[..shift], secret.as_bytes()].concat();
        let base64 = base64(&padded);
        let end = base64.len() - base64.len() % 4 - 4;
        forms.push(base64[if shift == 0 { 0 } else { 4 }..end].to_owned());
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut bits = 0_u32;
        for n in 0..3 {
            bits = bits << 8 | u32::from(three.get(n).copied().unwrap_or(0));
        }
        for n in (0..4).rev() {
            text.push(LETTERS[(bits >> (6 * n) & 63) as usize] as char);
        }
    }
    text
}

/// The text of all files below a folder.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((
                path.display().to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
            ));
        }
    }
    found
}

#[tokio::test]
async fn no_secret_leaves_its_place_in_any_form() {
    let refusal = r#"{"error":{"message":"wrong key canary-upstream-5f1d8a2b77","type":"auth"}}"#;
    let upstream = Upstream::fails("401 Unauthorized", refusal).await;
    let home = Home::empty();
    let upstream_key = "canary-upstream-5f1d8a2b77";
    home.write(
        "config/gateway.yaml",
        &format!(
            "server: {{ listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\" }}\nlogs: {{ level: trace }}\nmodels:\n  - {{ name: up, endpoint: \"{}\", auth: {{ type: api_key, key: \"{upstream_key}\" }} }}\n  - {{ name: echo, provider: builtin, model: echo }}\n",
            upstream.url()
        ),
    );
    let made = home.ctl(&["key", "create", "--output", "json"]).json();
    let key = made["key"].as_str().unwrap().to_owned();
    let daemon = home.start();
    let wrong = "mb_canary-wrong-9e7c41d0aa";
    let in_query = "canary-query-0b6d2f9c13";
    let mut seen = Vec::new();
    for (shown, model) in [
        (&*key, "echo"),
        (&*key, "up"),
        (wrong, "echo"),
        (&*key, "nobody"),
    ] {
        let url = daemon.url(&format!("/v1/chat/completions?key={in_query}"));
        let request = client()
            .post(url)
            .header("content-type", "application/json");
        let answer = request
            .bearer_auth(shown)
            .body(ask(model))
            .send()
            .await
            .unwrap();
        seen.push((
            format!("{:?}", answer.headers()),
            answer.text().await.unwrap(),
        ));
    }
    for command in [
        &["status", "--output", "json"][..],
        &["config", "show", "--origin"],
        &["config", "get", "models.up.auth.key"],
        &["config", "diff"],
        &["auth", "list", "--output", "json"],
        &["auth", "check", "up"],
        &["key", "list", "--output", "json"],
        &["audit"],
        &["doctor", "--security"],
        &["logs", "--level", "trace"],
        &["model", "show", "up"],
        &["model", "test", "up"],
    ] {
        let ran = home.ctl(command);
        seen.push((command.join(" "), format!("{}{}", ran.out, ran.err)));
    }
    let metrics = client()
        .get(daemon.admin_url("/metrics"))
        .send()
        .await
        .unwrap();
    seen.push(("metrics".to_owned(), metrics.text().await.unwrap()));
    let token = home.read("run/admin.token");
    let pepper = std::fs::read(home.path("data/key.pepper")).unwrap();
    let pepper: String = pepper.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(daemon.stop().success());
    seen.extend(texts(&home.path("logs")));
    seen.extend(
        texts(&home.path("data"))
            .into_iter()
            .filter(|(path, _)| !path.ends_with("key.pepper")),
    );
    assert!(
        seen.iter().any(|(place, _)| place.contains(".jsonl")),
        "no log was read"
    );

    let mut secrets: Vec<(&str, Vec<String>)> = [&*key, upstream_key, wrong, in_query, &token]
        .map(|secret| (secret, forms(secret)))
        .into();
    secrets.push((&pepper, vec![pepper.clone(), pepper.to_uppercase()]));
    for (secret, forms) in &secrets {
        for form in forms {
            for (place, text) in &seen {
                assert!(
                    !text.contains(form),
                    "{secret} as {form} in {place}: {text}"
                );
            }
        }
    }
}
