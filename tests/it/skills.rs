//! Skills through the API, over MCP with the official client, and in the log.

use std::process::Command;
use std::time::Duration;

use moltbot_tests::{Daemon, Home, client, tools};
use serde_json::{Value, json};

const ECHO: &str = "models: [ { name: echo, provider: builtin, model: echo } ]\n";

fn greeter(home: &Home) {
    home.write(
        "skills/greeter/skill.yaml",
        "name: greeter\nversion: 1.0.0\ndescription: Greets\nentry: index.js\ntriggers:\n  - keyword: [hello]\ntool: true\nparameters: { type: object, properties: { who: { type: string } } }\n",
    );
    home.write(
        "skills/greeter/index.js",
        "module.exports = async (ctx) => \"hi \" + (ctx.tool ? ctx.args.who : \"you\");\n",
    );
}

async fn ask(daemon: &Daemon, model: &str, text: &str, allow: bool) -> Value {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
    let url = daemon.url("/v1/chat/completions");
    let mut request = client().build().unwrap().post(url).json(&body);
    if allow {
        request = request.header("x-moltbot-skills", "allow");
    }
    request.send().await.unwrap().json().await.unwrap()
}

fn text(answer: &Value) -> &str {
    let text = answer["choices"][0]["message"]["content"].as_str();
    text.unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn the_api_sees_skills_only_where_it_asks_for_them() {
    let home = Home::with(ECHO);
    greeter(&home);
    let daemon = home.start();
    assert_eq!(text(&ask(&daemon, "echo", "hello", false).await), "hello");
    assert_eq!(text(&ask(&daemon, "echo", "hello", true).await), "hi you");
    assert_eq!(
        text(&ask(&daemon, "echo", "shellow", true).await),
        "shellow",
        "whole words"
    );
    assert_eq!(
        text(&ask(&daemon, "skill:greeter", "x", false).await),
        "hi you"
    );
    let missing = ask(&daemon, "skill:nobody", "x", false).await;
    assert_eq!(missing["error"]["code"], "model_not_found", "{missing}");
}

#[tokio::test]
async fn the_official_mcp_client_lists_and_calls_skills() {
    let home = Home::with(ECHO);
    greeter(&home);
    let daemon = home.start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/mcp_client.py");
    let output = Command::new(tools().join("venv/bin/python"))
        .args([script, &daemon.url("/mcp")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_skill_that_throws_costs_nobody_the_answer_and_is_named_with_its_line() {
    let home = Home::with(ECHO);
    greeter(&home);
    home.write(
        "skills/greeter/index.js",
        "module.exports = async (ctx) => {\n  throw new Error(\"as asked\");\n};\n",
    );
    let daemon = home.start();
    assert_eq!(text(&ask(&daemon, "echo", "hello", true).await), "hello");
    let listed = home.ctl(&["skill", "list", "--output", "json"]).json();
    assert_eq!(listed[0]["errors"], 1, "{listed}");
    let last = &listed[0]["last_error"];
    assert_eq!(
        (&last["file"], &last["line"]),
        (&json!("index.js"), &json!(2)),
        "{listed}"
    );
}

#[tokio::test]
async fn a_changed_skill_is_in_force_within_two_seconds_and_a_broken_one_leaves_the_last_good_one()
{
    let home = Home::with(ECHO);
    greeter(&home);
    let daemon = home.start();
    assert_eq!(
        text(&ask(&daemon, "skill:greeter", "x", false).await),
        "hi you"
    );
    home.write(
        "skills/greeter/index.js",
        "module.exports = () => \"changed\";\n",
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        text(&ask(&daemon, "skill:greeter", "x", false).await),
        "changed"
    );
    home.write("skills/greeter/index.js", "module.exports = (\n");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        text(&ask(&daemon, "skill:greeter", "x", false).await),
        "changed"
    );
    let listed = home.ctl(&["skill", "list", "--output", "json"]).json();
    assert!(
        listed[0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("index.js")),
        "{listed}"
    );
}
