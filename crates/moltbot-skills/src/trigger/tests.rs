use proptest::prelude::*;

use super::*;
use crate::{Manifest, woken};

fn holds(keyword: &str, text: &str) -> bool {
    let trigger = Trigger::of_keywords(&[keyword.to_owned()]).unwrap();
    trigger.find(text).is_some()
}

fn order(skills: &[&str], text: &str) -> Vec<String> {
    let skills: Vec<_> = skills
        .iter()
        .map(|yaml| Manifest::parse(yaml, "skill.yaml").unwrap())
        .collect();
    let woken = woken(&skills, text);
    woken.iter().map(|woken| woken.skill.name.clone()).collect()
}

#[test]
fn fine_print_8_a_keyword_is_a_whole_word_where_words_have_spaces() {
    for (keyword, text, is) in [
        ("order", "my Order, please", true),
        ("order", "reorder", false),
        ("order", "orders", false),
        ("order", "order_id", false),
        ("order", "order2", false),
        ("order", "查order状态", true),
        ("order", "ORDER", true),
        ("order", "order\u{301}", false),
        ("Straße", "die STRAßE", true),
        ("订单", "我的订单呢", true),
        ("订单", "定单", false),
        ("注文", "ご注文は", true),
        ("주문", "주문했어요", true),
        ("c++", "I like C++.", true),
        ("c++", "c+++", true),
        ("c++", "abc++", false),
        ("order单", "新order单号", true),
        ("order单", "reorder单", false),
        ("new order", "a new order!", true),
        ("заказ", "мой заказ", true),
        ("заказ", "заказы", false),
    ] {
        assert_eq!(holds(keyword, text), is, "`{keyword}` in `{text}`");
    }
}

#[test]
fn fine_print_8_a_command_begins_the_text_and_ends_at_white_space() {
    let order = Trigger::of_command("/order").unwrap();
    let args = |text: &str| order.find(text).map(|hit| hit.args.unwrap());
    assert_eq!(args("/order 7  8 "), Some("7  8".to_owned()));
    assert_eq!(args("/order"), Some(String::new()));
    assert_eq!(args("/order\n7"), Some("7".to_owned()));
    assert_eq!(args("/order\u{3000}7"), Some("7".to_owned()));
    for no in ["/orders", "/Order", " /order", "x /order", "/order:7"] {
        assert_eq!(args(no), None, "{no}");
    }
}

#[test]
fn fine_print_8_a_regex_gives_its_groups_and_what_the_crate_lacks_is_refused() {
    let trigger = Trigger::of_regex(r"^order (?<id>\d+)( now)?$").unwrap();
    let hit = trigger.find("order 12").unwrap();
    assert_eq!(
        hit.texts,
        [Some("order 12".into()), Some("12".into()), None]
    );
    assert_eq!(hit.groups["id"], "12");
    assert!(trigger.find("order x").is_none());
    for wrong in [r"(?=a)", r"(a)\1", "(", r"(?:(?:a{1000}){1000})"] {
        assert!(Trigger::of_regex(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn several_skills_run_by_priority_then_kind_then_name() {
    let skills = [
        "name: event\ntriggers: [{ event: message.received }]",
        "name: word-b\ntriggers: [{ keyword: order }]",
        "name: word-a\ntriggers: [{ keyword: order }]",
        "name: pattern\ntriggers: [{ regex: order }]",
        "name: command\ntriggers: [{ command: /order }]",
        "name: first\npriority: 0.5\ntriggers: [{ event: message.received }]",
        "name: last\npriority: -1\ntriggers: [{ command: /order }]",
        "name: cron\ntriggers: [{ cron: '* * * * *' }]",
    ];
    let expected = [
        "first", "command", "pattern", "word-a", "word-b", "event", "last",
    ];
    assert_eq!(order(&skills, "/order order"), expected);
}

#[test]
fn fine_print_8_the_best_of_several_triggers_ranks_a_skill() {
    let skills = [
        "name: a\ntriggers: [{ event: message.received }, { keyword: x }]",
        "name: b\ntriggers: [{ event: message.received }, { command: x }]",
    ];
    assert_eq!(order(&skills, "x"), ["b", "a"]);
    assert_eq!(order(&skills, "y"), ["a", "b"]);
}

fn fires(fields: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let trigger = Trigger::of_cron(fields, zone, None).unwrap();
    let schedule = trigger.schedule().unwrap();
    let mut now: jiff::Timestamp = after.parse().unwrap();
    let mut times = Vec::new();
    for _ in 0..count {
        now = schedule.after(now).unwrap();
        times.push(now.to_string());
    }
    times
}

#[test]
fn fine_print_8_cron_is_utc_unless_a_zone_is_named() {
    assert_eq!(
        fires("0 9 * * 1-5", "UTC", "2026-05-01T09:00:00Z", 1),
        ["2026-05-04T09:00:00Z"]
    );
    assert_eq!(
        fires("0 9 * * *", "Asia/Shanghai", "2026-05-01T00:00:00Z", 1),
        ["2026-05-01T01:00:00Z"]
    );
    for wrong in ["0 9 * *", "0 0 9 * * *", "61 * * * *", "@daily"] {
        assert!(Trigger::of_cron(wrong, "UTC", None).is_err(), "{wrong}");
    }
    assert!(Trigger::of_cron("* * * * *", "Mars/Base", None).is_err());
}

#[test]
fn fine_print_8_a_skipped_time_fires_just_after_and_a_doubled_one_the_first_time() {
    // Berlin 2026: 02:00 becomes 03:00 on 29 March, 03:00 becomes 02:00 on 25 October.
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    assert_eq!(
        fires("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:10:00Z", 3),
        [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z"
        ]
    );
}

proptest! {
    #[test]
    fn a_keyword_of_letters_is_found_between_blanks_and_not_within_a_word(
        word in "[a-z]{1,8}", text in "[a-z]{1,8}"
    ) {
        let alone = format!("{text} {word} {text}");
        let glued = format!("{text}{word}");
        prop_assert!(holds(&word, &alone));
        prop_assert!(!holds(&word, &glued) || text == word && glued.is_empty());
    }

    #[test]
    fn any_keyword_is_found_in_itself(word in "\\PC{1,12}") {
        prop_assume!(!word.trim().is_empty());
        prop_assert!(holds(&word, word.trim()));
    }

    #[test]
    fn the_order_does_not_depend_on_where_skills_stand(seed in any::<u64>(), text in "(a|b|/a|/b| ){0,5}") {
        let mut skills = vec![
            "name: a\ntriggers: [{ keyword: a }]",
            "name: b\npriority: 1\ntriggers: [{ regex: b }]",
            "name: c\ntriggers: [{ command: /a }, { keyword: b }]",
            "name: d\ntriggers: [{ event: message.received }]",
        ];
        let before = order(&skills, &text);
        let turns = (seed % 4) as usize;
        skills.rotate_left(turns);
        prop_assert_eq!(before, order(&skills, &text));
    }
}
