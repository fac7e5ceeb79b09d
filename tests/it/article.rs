//! The commands and fragments of the article that this version covers, as printed.

use std::process::Command;

use moltbot_tests::Home;

/// Runs a line in a shell where `moltbot` is `moltctl`.
fn shell(home: &Home, line: &str) -> String {
    let bin = home.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let alias = bin.join("moltbot");
    if !alias.exists() {
        let moltctl = home.command("moltctl").get_program().to_owned();
        std::os::unix::fs::symlink(moltctl, &alias).unwrap();
    }
    let output = Command::new("bash")
        .args(["-c", line])
        .env("MOLTBOT_HOME", home.root())
        .env(
            "PATH",
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        )
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn failover_is_set_as_printed() {
    let home = Home::init();
    shell(&home, "moltbot config set model.failover.enabled true");
    shell(
        &home,
        "moltbot config set model.failover.retry_interval 5000",
    );
    assert_eq!(
        shell(&home, "moltbot config get model.failover.enabled").trim(),
        "true"
    );
    let interval = shell(
        &home,
        "moltbot config get model.failover.retry_interval --file",
    );
    assert_eq!(interval.trim(), "5000");
}

#[test]
fn the_offline_example_loads_as_printed() {
    let home = Home::init();
    home.write(
        "config/gateway.yaml",
        "models:\n- name: \"offline-model\"\n  endpoint: \"http://internal-proxy:8080/v1\"\n  auth:\n    type: \"none\"\n",
    );
    shell(&home, "moltbot config validate");
    let listed = shell(&home, "moltbot model list");
    assert!(listed.contains("offline-model"), "{listed}");
}

#[test]
fn the_channel_example_loads_as_printed_and_status_names_the_secret_that_it_lacks() {
    let home = Home::init();
    home.write(
        "workspace/channels.toml",
        "[channel.slack]\nenabled = true\nrate_limit = \"10/min\"\ncontext_window = 5\nmessage_format = \"markdown\"\n",
    );
    let checked = home.moltbotd(&["--check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let listed = home.ctl(&["channel", "list", "--output", "json"]).json();
    assert_eq!(listed[0]["state"], "missing_secret", "{listed}");
    let reason = listed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("bot_token"), "{reason}");
    home.write("workspace/channels.toml", "[channel.slack\n");
    let broken = home.moltbotd(&["--check"]).failed(78);
    assert!(broken.contains("channels.toml:1"), "{broken}");
}

#[test]
fn logs_are_shown_as_printed() {
    let home = Home::with(
        "models:\n  - { name: code-generator, provider: builtin, model: script, params: { fail: 500 } }\n",
    );
    let daemon = home.start();
    let asked = home.ctl(&["chat", "--model", "code-generator", "hi"]);
    assert_eq!(asked.code, 1, "{asked:?}");
    daemon.stop();
    let errors = shell(&home, "moltbot logs --level error");
    assert!(errors.contains("code-generator"), "{errors}");
    let followed = shell(
        &home,
        "timeout 2 moltbot logs --model code-generator --follow || test $? = 124",
    );
    assert!(followed.contains("code-generator"), "{followed}");
}

#[test]
fn models_are_compared_as_printed() {
    let home = Home::with(
        "models:\n  - { name: model-a, provider: builtin, model: echo }\n  - { name: model-b, provider: builtin, model: echo }\n",
    );
    let _daemon = home.start();
    shell(
        &home,
        "moltbot test create --name model-comparison \\\n  --models \"[\\\"model-a\\\", \\\"model-b\\\"]\" \\\n  --sample-size 1000",
    );
    shell(&home, "moltbot chat --model experiment:model-comparison hi");
    let report = shell(&home, "moltbot test report model-comparison");
    assert!(
        report.contains("model-a") && report.contains("model-b"),
        "{report}"
    );
}

#[test]
fn workspaces_are_made_and_chosen_as_printed() {
    let home = Home::init();
    shell(&home, "moltbot workspace create --name finance-team");
    shell(&home, "moltbot workspace use finance-team");
    assert!(home.path("workspaces/finance-team").is_dir());
}

#[test]
fn a_skill_is_a_folder_with_an_entry_and_a_manifest() {
    let home = Home::init();
    home.write(
        "skills/my-skill/skill.yaml",
        "name: my-skill\nversion: 1.0.0\ndescription: Says hello\nentry: index.js\ntriggers:\n  - keyword: [hello]\n",
    );
    home.write(
        "skills/my-skill/index.js",
        "module.exports = async (ctx) => `hello ${ctx.sender ?? \"you\"}`;\n",
    );
    shell(&home, "moltbot skill validate my-skill");
    let ran = shell(&home, "moltbot skill run my-skill --text hello");
    assert!(ran.contains("hello"), "{ran}");
}
