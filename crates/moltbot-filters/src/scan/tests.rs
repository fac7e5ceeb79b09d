use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::pii::Pii;
use crate::secrets::Secrets;
use crate::words::Words;

type Named = (&'static str, Arc<dyn Detector>);

/// The filters, built once for all tests.
static DETECTORS: LazyLock<[Named; 3]> = LazyLock::new(|| {
    let words = ["股票", "Gold", "gold rush", "内幕消息", "naïve", "C++"];
    [
        ("pii", Arc::new(Pii)),
        ("secrets", Arc::new(Secrets::new().unwrap())),
        ("words", Arc::new(Words::new(words).unwrap())),
    ]
});

fn parts(action: Action) -> Arc<[Part]> {
    let part = |(name, detector): &Named| Part {
        name,
        action,
        detector: Arc::clone(detector),
    };
    DETECTORS.iter().map(part).collect()
}

fn whole(text: &str) -> String {
    let parts = parts(Action::Mask);
    let changed = Scan::new(&parts).whole(&parts, text).unwrap();
    changed.unwrap_or_else(|| text.to_owned())
}

/// Cuts `text` after as many characters as each number says.
fn in_pieces(text: &str, sizes: &[usize]) -> String {
    let mut stream = Stream::new(parts(Action::Mask));
    let mut letters = text.chars().peekable();
    let mut out = String::new();
    for size in sizes.iter().cycle() {
        let piece: String = letters.by_ref().take(*size).collect();
        out.push_str(&stream.push(&piece).unwrap());
        if letters.peek().is_none() {
            break;
        }
    }
    out + &stream.finish().unwrap()
}

/// What texts are made of here: things to be found, parts of such things, and what stands between.
const PIECES: [&str; 56] = [
    "zhang@example.com",
    "@",
    ".",
    "example",
    ".com",
    "13812345678",
    "138",
    "1234",
    "5678",
    "+86",
    "+",
    "(",
    ")",
    "-",
    " ",
    " ",
    "4111 1111 1111 1111",
    "4111",
    "1111",
    "DE89370400440532013000",
    "DE",
    "89",
    "192.168.1.10",
    "192.",
    "168",
    "2001:db8::1",
    ":",
    "fe80",
    "110101199003074514",
    "110101",
    "X",
    "AKIAIOSFODNN7EXAMPLE",
    "AKIA",
    "sk-",
    "sk-ant-",
    "a8f5f167f44f4964e6c998dee827110c",
    "password",
    "token",
    ": ",
    "=",
    "密码",
    "是",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "\n",
    "eyJhbGciOi",
    "股票",
    "股",
    "gold",
    " rush",
    "内幕",
    "消息",
    "NAÏVE",
    "c++",
    "你好",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn however_a_text_is_cut_the_same_comes_out(
        text in text(),
        sizes in prop::collection::vec(1..30usize, 1..8),
    ) {
        prop_assert_eq!(in_pieces(&text, &sizes), whole(&text));
    }

    #[test]
    fn however_any_text_is_cut_the_same_comes_out(text in ".{0,200}", sizes in prop::collection::vec(1..9usize, 1..5)) {
        prop_assert_eq!(in_pieces(&text, &sizes), whole(&text));
    }
}

#[test]
fn a_match_across_pieces_is_found() {
    for size in 1..12 {
        let masked = in_pieces("写信到 zhang@example.com 或打 138-1234-5678。", &[size]);
        assert_eq!(masked, "写信到 [email] 或打 [phone]。");
    }
}

#[test]
fn little_is_held_back_of_ordinary_text() {
    let mut stream = Stream::new(parts(Action::Mask));
    let (mut given, mut taken) = (0, 0);
    for word in
        "The answer is 42, and it was known to all; 我们今天去公园散步。".split_inclusive(' ')
    {
        taken += word.len();
        given += stream.push(word).unwrap().len();
        assert!(
            taken - given <= 24,
            "{} bytes wait after {word:?}",
            taken - given
        );
    }
    let mut long = Stream::new(parts(Action::Mask));
    let held = 100_000 - long.push(&"a".repeat(100_000)).unwrap().len();
    assert!(held <= 80, "{held} bytes of one endless word wait");
}

#[test]
fn what_is_forgotten_of_a_long_text_is_not_missed() {
    let line = "词语 word 1234 and an address: zhang@example.com; token: a8f5f167f44f4964e6c998dee827110c。\n";
    let text = line.repeat(300);
    assert_eq!(in_pieces(&text, &[7, 1, 13]), whole(&text));
    assert_eq!(whole(&text).matches("[email]").count(), 300);
    assert_eq!(whole(&text).matches("[secret]").count(), 300);
}

#[test]
fn matches_that_overlap_share_one_mask_and_leave_nothing() {
    assert_eq!(
        whole("password: zhang8Kq2Lm9Xw4@example.com!"),
        "password: [email]!"
    );
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let parts = parts(Action::Count);
    let mut scan = Scan::new(&parts);
    assert_eq!(
        scan.whole(&parts, "zhang@example.com, li@example.com")
            .unwrap(),
        None
    );
    let hits = scan.hits();
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].filter, hits[0].what), ("pii", "email"));
}

#[test]
fn a_block_stops_the_stream_as_soon_as_it_is_sure() {
    let mut stream = Stream::new(parts(Action::Block));
    assert!(stream.push("mail zhang@exam").unwrap().ends_with("mail "));
    let blocked = stream.push("ple.com, please").unwrap_err();
    assert_eq!((blocked.filter, blocked.what), ("pii", "email"));
}
