//! The data plane as the contract has it.

use moltbot_tests::{Home, Upstream};
use serde_json::Value;

use super::models;
use crate::{ask, chat, client, header};

const ECHO: &str = "models:\n  - { name: m, provider: builtin, model: echo }\n";

#[tokio::test]
async fn bound_addresses_stand_in_the_run_file_with_the_pid() {
    let home = Home::with(ECHO);
    let daemon = home.start();
    let bound: Value = serde_json::from_str(&home.read("run/moltbotd.json")).unwrap();
    assert_eq!(bound["pid"], daemon.pid());
    for name in ["listen", "admin"] {
        let address: std::net::SocketAddr = bound[name].as_str().unwrap().parse().unwrap();
        assert_ne!(address.port(), 0, "{name}");
    }
    assert_eq!(bound["listen"], daemon.listen());
}

#[tokio::test]
async fn answers_and_errors_bear_the_headers_of_the_contract() {
    let down = Upstream::fails("500 Internal Server Error", "{}").await;
    let home = Home::with(&models(&down, ""));
    let daemon = home.start();
    let stream = ask("spare").replacen('{', "{\"stream\":true,", 1);
    let get = |path: &str| client().get(daemon.url(path)).send();
    let answers = [
        (chat(&daemon, ask("spare")).await, 200, "1"),
        (chat(&daemon, stream).await, 200, "1"),
        (get("/v1/models").await.unwrap(), 200, "0"),
        (chat(&daemon, ask("none")).await, 404, "0"),
        (chat(&daemon, "{").await, 400, "0"),
        (get("/nothing").await.unwrap(), 404, "0"),
        (get("/v1/completions").await.unwrap(), 405, "0"),
    ];
    let mut ids = Vec::new();
    for (answer, status, attempts) in answers {
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, "x-moltbot-attempts"), attempts);
        assert_eq!(header(&answer, "x-moltbot-cache"), "bypass");
        let overhead = header(&answer, "x-moltbot-overhead-us");
        assert!(overhead.parse::<u64>().is_ok(), "{overhead:?}");
        ids.push(header(&answer, "x-request-id").to_owned());
    }
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7);
    let failed = chat(&daemon, ask("m")).await;
    assert_eq!(failed.status(), 503);
    assert_ne!(header(&failed, "x-moltbot-attempts"), "0");
}

#[tokio::test]
async fn a_key_counts_in_three_headers_and_the_first_valid_one_of_several() {
    let home = Home::init();
    for name in ["server.listen", "server.admin"] {
        home.ctl(&["config", "set", name, "127.0.0.1:0"]).done();
    }
    let key = home.read("config/key").trim().to_owned();
    let daemon = home.start();
    let bearer = format!("Bearer {key}");
    let wrong = "mb_wrong-0123456789";
    for (headers, status) in [
        (vec![("authorization", &*bearer)], 200),
        (vec![("x-api-key", &*key)], 200),
        (vec![("x-goog-api-key", &*key)], 200),
        (
            vec![
                ("authorization", "Bearer sk-placeholder"),
                ("x-api-key", &*key),
            ],
            200,
        ),
        (
            vec![("authorization", &*bearer), ("x-goog-api-key", &*key)],
            200,
        ),
        (
            vec![("authorization", "Basic eDp5"), ("x-goog-api-key", &*key)],
            200,
        ),
        (vec![("x-api-key", wrong), ("x-goog-api-key", wrong)], 401),
        (vec![("x-key", &*key)], 401),
    ] {
        let mut request = client().get(daemon.url("/v1/models"));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(answer.status(), status, "{names:?}");
    }
}

#[tokio::test]
async fn what_a_later_version_answers_is_404_and_says_so() {
    let home = Home::with(ECHO);
    let daemon = home.start();
    let says_so = |body: Value| {
        let message = body["error"]["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains("not supported by this version"),
            "{message}"
        );
    };
    for path in [
        "/v1/responses",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/rerank",
        "/v1/moderations",
        "/v1/images/generations",
        "/v1/audio/speech",
        "/v1beta/models/m:generateContent",
        "/v1/models/m:streamGenerateContent",
    ] {
        let answer = client()
            .post(daemon.url(path))
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/json");
        says_so(answer.json().await.unwrap());
    }
    for path in ["/console", "/console/app.js"] {
        let answer = client().get(daemon.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        says_so(answer.json().await.unwrap());
    }
    let experiment = chat(&daemon, ask("experiment:tone")).await;
    assert_eq!(experiment.status(), 404);
    let body: Value = experiment.json().await.unwrap();
    assert_eq!(body["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn without_keys_a_foreign_authority_is_refused_as_a_foreign_host_is() {
    let home = Home::with(ECHO);
    let daemon = home.start();
    let address = daemon.listen().parse().unwrap();
    for (name, status) in [("evil.example", 403), ("localhost", 200)] {
        for http2 in [false, true] {
            let mut client = moltbot_tests::client().resolve(name, address);
            if http2 {
                client = client.http2_prior_knowledge();
            }
            let url = format!("http://{name}:{}/v1/models", address.port());
            let answer = client.build().unwrap().get(url).send().await.unwrap();
            assert_eq!(answer.version() == reqwest::Version::HTTP_2, http2);
            assert_eq!(answer.status(), status, "{name}, HTTP/2: {http2}");
        }
    }
}
