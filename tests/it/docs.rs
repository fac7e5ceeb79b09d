//! Every command block of the pages for users is run as it stands there, on a machine without a network.

use std::path::Path;
use std::process::Command;

use moltbot_tests::Home;

/// The blocks of a page that are fenced as `sh`.
fn blocks(page: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in page.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

/// Runs a page in a network namespace of its own: the ports that it names are free, and there is no route.
fn run(page: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let script = blocks(&std::fs::read_to_string(root.join(page)).unwrap());
    assert!(script.lines().count() > 5, "{page} has commands");
    let home = Home::empty();
    let bin = home.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for (name, program) in [
        ("moltbotd", "moltbotd"),
        ("moltctl", "moltctl"),
        ("moltbot", "moltctl"),
    ] {
        let program = home.command(program).get_program().to_owned();
        std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // its processes end with it
    let output = Command::new("unshare")
        .args([
            "--map-root-user",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args(["bash", "-euo", "pipefail", "-c"])
        .arg(format!("ip link set lo up\nset -x\n{script}"))
        .current_dir(home.root())
        .env("HOME", home.root())
        .env("PATH", path)
        .env_remove("MOLTBOT_HOME")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{page}:\n{told}\n{said}");
}

#[test]
fn the_tutorial_runs_as_printed() {
    run("docs/tutorial.md");
}

#[test]
fn the_tutorial_in_chinese_runs_as_printed() {
    run("docs/zh/tutorial.md");
}
