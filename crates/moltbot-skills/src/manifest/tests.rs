use std::time::Duration;

use proptest::prelude::*;

use super::*;

const WHOLE: &str = r#"
name: order-status
version: 1.0.0
description: Looks an order up
entry: index.js
triggers:
  - keyword: [订单, order]
  - regex: "^order (?<id>\\d+)$"
  - command: /order
  - cron: "0 9 * * 1-5"
    tz: Asia/Shanghai
    send: { channel: slack, to: C1 }
  - event: message.received
tool: true
parameters: { type: object, properties: { id: { type: string } } }
permissions: { net: ["api.example.com:443"], secrets: [ORDER_TOKEN], kv: true, model: [primary-model] }
limits: { cpu: 200ms, wall: 5s, memory: 64MiB }
"#;

fn problems(text: &str) -> Vec<String> {
    let wrong = Manifest::parse(text, "skill.yaml").expect_err("it is wrong");
    wrong.0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_manifest_of_the_contract_is_read_as_printed() {
    let manifest = Manifest::parse(WHOLE, "skill.yaml").unwrap();
    assert_eq!(manifest.name, "order-status");
    assert_eq!(manifest.triggers.len(), 5);
    assert_eq!(manifest.limits, Limits::default());
    assert_eq!(
        manifest.permissions.to_string(),
        "net api.example.com:443, secrets ORDER_TOKEN, kv, model primary-model"
    );
    assert!(manifest.warnings().is_empty());
}

#[test]
fn every_mistake_is_told_with_its_line_and_key() {
    let text = "name: a b\ntool: maybe\nentyr: x.js\nlimits:\n  cpu: fast\n  memory: 1TiB\ntriggers:\n  - regex: '(?=x)'\n  - cron: '* * * *'\n  - {}\npermissions:\n  net: ['*.example.com', 'http://x']\n";
    let told = problems(text);
    let begins = [
        "skill.yaml:3: entyr: unknown key; the nearest is `entry`",
        "skill.yaml:1: name: ",
        "skill.yaml:8: triggers.0.regex: is no pattern: look-around",
        "skill.yaml:9: triggers.1.cron: has 4 fields",
        "skill.yaml:10: triggers.2: a trigger has exactly one of",
        "skill.yaml:2: tool: ",
        "skill.yaml:12: permissions.net: `*.example.com` has a wildcard",
        "skill.yaml:5: limits.cpu: is no time",
        "skill.yaml:6: limits.memory: is no size",
    ];
    for (told, begin) in told.iter().zip(begins) {
        assert!(
            told.starts_with(begin),
            "{told} does not begin with {begin}"
        );
    }
    assert_eq!(told.len(), begins.len(), "{told:#?}");
}

#[test]
fn broken_yaml_and_an_empty_file_are_named() {
    assert!(
        problems("name: [")
            .first()
            .unwrap()
            .starts_with("skill.yaml:")
    );
    assert!(problems("\u{feff}\n").first().unwrap().contains("is empty"));
    assert!(
        problems("- a")
            .first()
            .unwrap()
            .contains("is a list, not a map")
    );
    assert!(
        problems("name: a\nname: b")
            .first()
            .unwrap()
            .contains(":2:")
    );
}

#[test]
fn a_byte_order_mark_and_crlf_are_accepted() {
    let text = "\u{feff}name: a\r\ntriggers:\r\n  - command: /a\r\n";
    assert_eq!(
        Manifest::parse(text, "skill.yaml").unwrap().triggers.len(),
        1
    );
}

#[test]
fn an_entry_stays_in_the_folder() {
    for entry in ["../a.js", "/a.js", "a/../b.js", "a//b.js", "a.txt", "."] {
        assert!(
            Manifest::parse(&format!("name: a\nentry: {entry}"), "f").is_err(),
            "{entry}"
        );
    }
    let manifest = Manifest::parse("name: a\nentry: ./src/main.ts", "f").unwrap();
    assert_eq!(manifest.entry, "src/main.ts");
}

#[test]
fn fine_print_8_net_without_a_port_is_443_and_has_no_wildcards() {
    let net = |net: &str| {
        let text = format!("name: a\npermissions: {{ net: {net} }}");
        let places = Manifest::parse(&text, "f").map(|manifest| manifest.permissions.net);
        places.map(|places| places.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        net("[API.Example.com, 'x.org:80']").unwrap(),
        ["api.example.com:443", "x.org:80"]
    );
    assert_eq!(
        net("['[::1]:8080', 10.0.0.1]").unwrap(),
        ["[::1]:8080", "10.0.0.1:443"]
    );
    for wrong in [
        "['*']",
        "['x:0']",
        "['x:99999']",
        "['x/y']",
        "['https://x']",
    ] {
        assert!(net(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn fine_print_8_limits_not_given_are_those_of_the_contract() {
    let manifest = Manifest::parse("name: a\nlimits: { wall: 1500 }", "f").unwrap();
    assert_eq!(manifest.limits.wall, Duration::from_millis(1500));
    assert_eq!(manifest.limits.cpu, Duration::from_millis(200));
    assert_eq!(manifest.limits.memory, 64 << 20);
}

#[test]
fn a_built_in_command_is_warned_of() {
    let manifest = Manifest::parse("name: a\ntriggers: [{ command: /new }]", "f").unwrap();
    assert!(manifest.warnings()[0].contains("/new is built in"));
}

proptest! {
    #[test]
    fn any_text_is_a_manifest_or_has_its_mistakes_told(text in "\\PC{0,200}") {
        if let Err(problems) = Manifest::parse(&text, "skill.yaml") {
            prop_assert!(!problems.0.is_empty());
        }
    }

    #[test]
    fn any_tree_of_known_keys_is_a_manifest_or_has_its_mistakes_told(
        key in "name|entry|tool|triggers|permissions|limits|parameters|priority",
        value in "(\\[|\\{|null|true|1e400|-1|\"x\"|a: b|\\]|\\}|, ){0,6}",
    ) {
        if let Err(problems) = Manifest::parse(&format!("name: a\n{key}: {value}"), "f") {
            prop_assert!(!problems.0.is_empty());
        }
    }
}
