//! `filters:`, its lists of words, and what policies may name.

use super::*;
use crate::config::{FilterAction, FilterName, OnError};

const ALL: &str = "filters:\n  pii: { action: mask }\n  secrets: { action: block, enforce: false }\n  words: { files: [words.txt], action: block }\n  safety: { endpoint: 'http://127.0.0.1:9/check', on_error: pass }\n";

#[test]
fn filters_are_read_with_their_words() {
    let bench = bench(ALL).file(
        "config/words.txt",
        "\u{feff}# comment\r\n 内幕 \r\n\r\nGold rush\r\n",
    );
    let loaded = bench.load().unwrap();
    let filters = &loaded.config.filters;
    assert_eq!(filters.pii.as_ref().unwrap().action, FilterAction::Mask);
    assert!(!filters.secrets.as_ref().unwrap().enforce);
    assert_eq!(filters.words.as_ref().unwrap().words, ["内幕", "Gold rush"]);
    assert_eq!(filters.safety.as_ref().unwrap().on_error, OnError::Pass);
    assert_eq!(filters.names().len(), 4);
    assert!(
        loaded
            .watched
            .iter()
            .any(|path| path.ends_with("config/words.txt"))
    );
}

#[test]
fn a_list_that_is_not_there_and_a_word_that_is_too_long_are_told_with_their_place() {
    let problem = bench(ALL).problem();
    assert!(
        problem.starts_with("config/gateway.yaml:4:20: filters.words.files.0: there is no file"),
        "{problem}"
    );
    let long = format!("ok\n{}\n", "x".repeat(257));
    let problem = bench(ALL).file("config/words.txt", &long).problem();
    assert!(
        problem.starts_with("config/words.txt:2:1: a word has at most 256 bytes"),
        "{problem}"
    );
}

#[test]
fn safety_masks_nothing_and_needs_an_address() {
    let problem = bench("filters: { safety: { endpoint: 'http://h/', action: mask } }").problem();
    assert!(
        problem.contains("filters.safety.action: expected one of block, count"),
        "{problem}"
    );
    let problem = bench("filters: { safety: { action: block } }").problem();
    assert!(problem.contains("`endpoint` is missing"), "{problem}");
}

#[test]
fn a_policy_names_filters_that_are_there() {
    let policy = |text: &str| {
        let bench = bench("filters: { pii: {} }").file("workspaces/a/policy.yaml", text);
        bench.load().unwrap()
    };
    let good = policy("filters: { inbound: [pii], outbound: [] }");
    let rules = good.config.workspace("a").unwrap().rules.as_ref().unwrap();
    assert_eq!(rules.policy.filters.inbound, Some(vec![FilterName::Pii]));
    let bad = policy("filters:\n  outbound: [secrets]");
    let problem = bad.parts.to_string();
    assert!(problem.starts_with("workspaces/a/policy.yaml:2:14: filters.outbound.0: gateway.yaml has no filter `secrets`"), "{problem}");
}
