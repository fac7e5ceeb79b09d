use super::*;

/// What is found in `text`, each as `kind text`.
fn found(text: &str) -> Vec<String> {
    let window = Window::new(text, true);
    let (mut at, mut found) = (0, Vec::new());
    while let Step::Found(hit) = Pii.next(window, at, at) {
        at = hit.at.end;
        found.push(format!("{} {}", hit.what, &text[hit.at]));
    }
    found
}

#[test]
fn check_digits_tell_numbers_from_look_alikes() {
    for (right, wrong) in [
        ("id 11010519491231002X", "110105194912310021"),
        ("card 4111111111111111", "4111111111111112"),
        ("card 6222021234567890128", "6222021234567890129"),
        ("iban DE89370400440532013000", "DE89370400440532013001"),
        (
            "iban GB82 WEST 1234 5698 7654 32",
            "GB82 WEST 1234 5698 7654 33",
        ),
    ] {
        let number = right.split_once(' ').unwrap().1;
        assert_eq!(found(&format!("号码 {number}，好")), [right]);
        assert!(found(wrong).is_empty(), "{wrong}: {:?}", found(wrong));
    }
}

#[test]
fn a_number_within_a_longer_one_is_none() {
    for text in [
        "913812345678",
        "138123456789",
        "A13812345678",
        "0.13812345678",
        "13812345678.5",
        "x4111111111111111",
        "1.2.3.4.5",
        "10.0.0.256",
    ] {
        assert!(found(text).is_empty(), "{text}: {:?}", found(text));
    }
}

#[test]
fn an_address_is_more_than_the_phone_it_begins_with() {
    assert_eq!(found("13812345678@qq.com"), ["email 13812345678@qq.com"]);
}

#[test]
fn full_stops_do_not_belong_to_what_they_end() {
    assert_eq!(
        found("Mail a@example.com. Call 13812345678."),
        ["email a@example.com", "phone 13812345678"]
    );
    assert_eq!(
        found("at 2001:db8::1: refused, 192.0.2.7."),
        ["ip 2001:db8::1", "ip 192.0.2.7"]
    );
}

#[test]
fn several_stand_side_by_side() {
    assert_eq!(
        found("13812345678,13912345678;a@b.cn/c@d.cn"),
        [
            "phone 13812345678",
            "phone 13912345678",
            "email a@b.cn",
            "email c@d.cn"
        ]
    );
}
