//! The floors of the house: a crate uses only crates on lower floors.

use std::process::Command;

use serde_json::Value;

/// The floor of each crate; members that are not shipped may use all.
const FLOORS: [(&str, u8); 16] = [
    ("moltbot-types", 1),
    ("moltbot-wire", 2),
    ("moltbot-config", 2),
    ("moltbot-store", 2),
    ("moltbot-filters", 2),
    ("moltbot-files", 2),
    ("moltbot-skills", 2),
    ("moltbot-channels", 3),
    ("moltbot-auth", 3),
    ("moltbot-abtest", 3),
    ("moltbot-telemetry", 3),
    ("moltbot-router", 3),
    ("moltbot-providers", 3),
    ("moltbot-gateway", 4),
    ("moltbotd", 5),
    ("moltctl", 5),
];
const NOT_SHIPPED: [&str; 5] = [
    "moltbot-tests",
    "moltbot-faultd",
    "moltbot-platforms",
    "moltbot-benches",
    "moltbot-examples",
];

fn floor(name: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(crate_, _)| *crate_ == name)
        .map(|(_, floor)| *floor)
}

#[test]
fn a_crate_uses_only_crates_on_lower_floors() {
    let output = Command::new("cargo")
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        if NOT_SHIPPED.contains(&name) {
            continue;
        }
        let Some(own) = floor(name) else {
            wrong.push(format!("{name} has no floor"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            // Tests of a crate may stand on a crate beside it.
            if dependency["kind"] == "dev" {
                continue;
            }
            if floor(used).is_some_and(|floor| floor >= own) {
                wrong.push(format!("{name} (floor {own}) uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
