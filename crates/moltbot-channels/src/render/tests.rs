//! Golden files of one answer on each platform, and what holds for any answer.

use std::path::PathBuf;

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::dialect::Dialect;
use super::telegram::Telegram;
use super::{Platform, feishu::Feishu, mentions, pieces, plain, render, slack::Slack};
use crate::send::{Chunk, Format};

const PLATFORMS: [(&str, Platform); 4] = [
    ("slack", Platform::Slack),
    ("telegram", Platform::Telegram),
    ("feishu", Platform::Feishu),
    ("text", Platform::Text),
];
const FORMATS: [(&str, Format); 3] = [
    ("markdown", Format::Markdown),
    ("plain", Format::Plain),
    ("native", Format::Native),
];

fn one(answer: &str, platform: Platform, format: Format) -> String {
    let pieces = render(answer, platform, format);
    assert_eq!(pieces.len(), 1, "{pieces:?}");
    pieces[0].text.clone()
}

fn slack(answer: &str) -> String {
    one(answer, Platform::Slack, Format::Markdown)
}

fn telegram(answer: &str) -> String {
    one(answer, Platform::Telegram, Format::Markdown)
}

fn short(answer: &str, dialect: &dyn Dialect, limit: usize) -> Vec<String> {
    let pieces = pieces(answer, dialect, Format::Markdown, limit);
    pieces.into_iter().map(|piece| piece.text).collect()
}

/// The answer of `golden/answer.md` is written as the files beside it say; `BLESS=1` writes them.
#[test]
fn an_answer_looks_on_each_platform_as_its_golden_file_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/render/golden");
    let answer = std::fs::read_to_string(folder.join("answer.md")).expect("readable");
    for (platform_name, platform) in PLATFORMS {
        for (format_name, format) in FORMATS {
            let file = folder.join(format!("{platform_name}.{format_name}.txt"));
            let text = one(&answer, platform, format).replace('\u{200b}', "{ZWSP}") + "\n";
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&file, &text).expect("written");
            }
            let golden = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(text, golden, "{}", file.display());
        }
    }
}

/// What alerts everybody on one platform or another.
const ALERTS: [&str; 7] = [
    "@everyone",
    "@here",
    "@channel",
    "@all",
    "@所有人",
    "<!",
    "<at ",
];

#[test]
fn a_mention_of_everybody_alerts_nobody_in_any_format() {
    let mentions = [
        "@everyone",
        "@here",
        "@channel",
        "@all",
        "@Everyone",
        "@所有人",
        "@**everyone**",
        "&#64;everyone",
        "<!channel>",
        "<!here|here>",
        "<!everyone>",
        "<!subteam^S1>",
        "<at user_id=\"all\">all</at>",
        "<at id=all></at>",
    ];
    for (name, platform) in PLATFORMS {
        for (_, format) in FORMATS {
            for mention in mentions {
                let text = one(&format!("Hello {mention} there"), platform, format);
                // Tags in angle brackets mean nothing to Telegram.
                let alerts = match platform {
                    Platform::Telegram => &ALERTS[..5],
                    _ => &ALERTS[..],
                };
                for alert in alerts {
                    let found = text.to_lowercase().contains(alert);
                    assert!(!found, "{name} {format:?} {mention}: {text}");
                }
            }
        }
    }
}

#[test]
fn an_address_that_looks_like_a_mention_is_left_alone() {
    assert_eq!(slack("me@all.com and @allison"), "me@all.com and @allison");
    assert_eq!(slack("`@all` of"), "`@all` of");
}

#[test]
fn raw_html_is_text() {
    assert_eq!(
        telegram("<b>x</b> <u>y</u>"),
        "&lt;b&gt;x&lt;/b&gt; &lt;u&gt;y&lt;/u&gt;"
    );
    assert_eq!(
        slack("<div>\n*x*\n</div>"),
        "&lt;div&gt;\n*x*\n&lt;/div&gt;"
    );
    let plain = one("a <b>x</b>", Platform::Telegram, Format::Plain);
    assert_eq!(plain, "a <b>x</b>");
}

#[test]
fn plain_links_are_text_and_address() {
    let text = "**See** [the page](https://a.example/x) or <https://b.example>";
    for platform in [
        Platform::Slack,
        Platform::Telegram,
        Platform::Feishu,
        Platform::Text,
    ] {
        let plain = one(text, platform, Format::Plain);
        assert_eq!(
            plain,
            "See the page (https://a.example/x) or https://b.example"
        );
    }
}

#[test]
fn a_table_is_a_code_block_without_the_rule_row() {
    let table = "| a | bb |\n|---|----|\n| ccc | d |";
    assert_eq!(slack(table), "```\na   | bb\nccc | d\n```");
    assert_eq!(telegram(table), "<pre>a   | bb\nccc | d</pre>");
}

#[test]
fn native_is_as_the_model_wrote_it() {
    let text = "# A *b*\n\n\n```rs\n<x>\n```\n\n- c";
    assert_eq!(one(text, Platform::Telegram, Format::Native), text);
    assert_eq!(one(text, Platform::Feishu, Format::Native), text);
    assert_eq!(
        one(
            "a <https://x.example|b> & c",
            Platform::Slack,
            Format::Native
        ),
        "a <https://x.example|b> & c"
    );
}

#[test]
fn an_address_that_cannot_be_opened_is_shown() {
    assert_eq!(telegram("[go](javascript:x)"), "go (javascript:x)");
}

#[test]
fn telegram_counts_utf16_units_of_what_is_seen() {
    let text = "😀".repeat(2048);
    assert_eq!(render(&text, Platform::Telegram, Format::Markdown).len(), 1);
    let text = format!("**{}**", "&<>x".repeat(1024));
    assert_eq!(render(&text, Platform::Telegram, Format::Markdown).len(), 1);
    let text = "😀".repeat(2049);
    assert_eq!(render(&text, Platform::Telegram, Format::Markdown).len(), 2);
}

#[test]
fn feishu_counts_the_bytes_of_json() {
    let text = "\\".repeat(14_000);
    assert_eq!(render(&text, Platform::Feishu, Format::Native).len(), 1);
    let text = "\\".repeat(14_001);
    assert_eq!(render(&text, Platform::Feishu, Format::Native).len(), 2);
}

#[test]
fn a_long_answer_is_split_at_paragraphs() {
    let paragraph = "word ".repeat(12);
    let text = format!("{paragraph}\n\n{paragraph}\n\n{paragraph}");
    let pieces = short(&text, &Slack(Format::Markdown), 130);
    let paragraph = paragraph.trim();
    assert_eq!(
        pieces,
        [format!("{paragraph}\n\n{paragraph}"), paragraph.to_owned()]
    );
}

#[test]
fn a_heading_stays_with_what_it_heads() {
    let text = format!("{}\n\n# Head\n\n{}", "a ".repeat(40), "b ".repeat(40));
    let pieces = short(&text, &Slack(Format::Markdown), 100);
    assert!(pieces[1].starts_with("*Head*\n\nb b"), "{pieces:?}");
}

#[test]
fn a_code_block_is_closed_and_opened_again() {
    let code = "let x = 1;\n".repeat(12);
    let pieces = short(
        &format!("```rust\n{code}```"),
        &Telegram(Format::Markdown),
        60,
    );
    assert!(pieces.len() > 1);
    for piece in &pieces {
        assert!(
            piece.starts_with("<pre><code class=\"language-rust\">let x"),
            "{piece}"
        );
        assert!(piece.ends_with(";</code></pre>"), "{piece}");
    }
    let pieces = short(
        &format!("> ```\n{}", "> x y\n".repeat(40)),
        &Slack(Format::Markdown),
        60,
    );
    for piece in &pieces {
        assert!(piece.starts_with("> ```\n> x y\n"), "{piece}");
        assert!(piece.ends_with("\n> ```"), "{piece}");
    }
}

#[test]
fn bold_text_is_closed_and_opened_again() {
    let pieces = short(
        &format!("**{}**", "word ".repeat(40).trim()),
        &Slack(Format::Markdown),
        60,
    );
    for piece in &pieces {
        assert!(
            piece.starts_with("*word") && piece.ends_with("word*"),
            "{piece}"
        );
    }
}

#[test]
fn a_character_is_not_split() {
    let family = "👩‍👩‍👧‍👦";
    let pieces = short(&family.repeat(60), &Feishu(Format::Markdown), 250);
    assert!(
        pieces
            .iter()
            .all(|piece| piece.replace(family, "").is_empty()),
        "{pieces:?}"
    );
}

#[test]
fn an_empty_answer_is_no_piece() {
    for (_, platform) in PLATFORMS {
        for (_, format) in FORMATS {
            assert_eq!(render(" \n\n ", platform, format), []);
            assert_eq!(render("", platform, format), []);
        }
    }
}

#[test]
fn containers_without_end_are_read() {
    for mark in ["> ", "- ", "*", "[", "1. "] {
        let text = format!("{}x", mark.repeat(20_000));
        assert!(!render(&text, Platform::Telegram, Format::Markdown).is_empty());
    }
}

#[test]
fn marks_in_slack_are_parted_from_letters() {
    assert_eq!(slack("中文**粗体**文字"), "中文\u{200b}*粗体*\u{200b}文字");
    assert_eq!(slack("a **b** c"), "a *b* c");
}

/// What is seen, without blanks and what nobody sees.
fn bare(text: &str) -> String {
    let nothing = |c: char| c.is_whitespace() || c == '\u{200b}';
    text.chars().filter(|c| !nothing(*c)).collect()
}

fn markdown() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        5 => "[a-zA-Z ]{1,30}",
        2 => "[\u{4e00}-\u{4e40}，。]{1,20}",
        1 => Just("👩‍👩‍👧‍👦🇩🇪e\u{301}".to_owned()),
        4 => prop::sample::select(vec![
            "\n", "\n\n", "\n\n", "**", "*", "_", "`", "```\n", "\n```rust\n", "\n- ", "\n  - ", "\n1. ", "\n> ",
            "\n# ", "[", "](https://example.com)", "|", "\n|---|---|\n", "<b>", "&amp;", "&", "<", ">", "\\", "~~",
            "@everyone", "<!channel>", "<at id=all>", "\n---\n", "\"", "\t", "\r\n",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

fn dialects(format: Format) -> [Box<dyn Dialect>; 3] {
    [
        Box::new(Slack(format)),
        Box::new(Telegram(format)),
        Box::new(Feishu(format)),
    ]
}

/// What a platform measures of a piece.
fn measured(dialect: usize, format: Format, piece: &Chunk) -> usize {
    match dialect {
        0 => piece.text.chars().count(),
        1 if format == Format::Markdown => piece.plain.encode_utf16().count(),
        1 => piece.text.encode_utf16().count(),
        _ => serde_json::to_string(&piece.text).expect("text").len() - 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_piece_fits_and_nothing_is_lost(text in markdown(), limit in 200_usize..400) {
        for (_, format) in FORMATS {
            for (index, dialect) in dialects(format).iter().enumerate() {
                let whole = pieces(&text, dialect.as_ref(), format, usize::MAX);
                let split = pieces(&text, dialect.as_ref(), format, limit);
                for piece in &split {
                    let size = measured(index, format, piece);
                    prop_assert!(size <= limit, "{index} {format:?}: {size} > {limit} in {piece:?}");
                    prop_assert!(!piece.text.trim().is_empty());
                }
                let seen = |pieces: &[Chunk]| bare(&pieces.iter().map(|piece| piece.plain.as_str()).collect::<String>());
                prop_assert_eq!(seen(&split), seen(&whole), "{} {:?}", index, format);
                // The ends of pieces are ends of characters.
                let joined: String = whole.iter().map(|piece| piece.plain.as_str()).collect();
                let characters: std::collections::HashSet<&str> = joined.graphemes(true).collect();
                for piece in &split {
                    for character in piece.plain.graphemes(true) {
                        let known = characters.contains(character) || character.trim().is_empty();
                        prop_assert!(known, "{index}: {character:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_keeps_its_letters(text in "\\PC{0,300}") {
        let dialect = Telegram(Format::Native);
        let split = pieces(&text, &dialect, Format::Native, 64);
        let seen: String = split.iter().map(|piece| piece.text.as_str()).collect();
        if !text.contains("```") && !text.contains("~~~") {
            prop_assert_eq!(bare(&seen), bare(&text));
        }
        let _ = pieces(&text, &plain::Text, Format::Markdown, 64);
    }

    #[test]
    fn tags_of_telegram_are_balanced_in_every_piece(text in markdown()) {
        for piece in pieces(&text, &Telegram(Format::Markdown), Format::Markdown, 200) {
            let mut open = Vec::new();
            for tag in piece.text.split('<').skip(1) {
                let tag = &tag[..tag.find('>').expect("every < begins a tag")];
                match tag.strip_prefix('/') {
                    Some(name) => prop_assert_eq!(open.pop(), Some(name.to_owned())),
                    None => open.push(tag.split(' ').next().expect("a name").to_owned()),
                }
            }
            prop_assert!(open.is_empty(), "{piece:?}");
        }
    }

    #[test]
    fn no_tag_and_no_name_of_everybody_survives(text in markdown()) {
        for format in [Format::Markdown, Format::Plain, Format::Native] {
            for piece in pieces(&text, &Slack(format), format, 300) {
                prop_assert!(!piece.text.contains("<!channel"), "{piece:?}");
            }
        }
    }
}

#[test]
fn a_mention_is_defused_within_its_own_text() {
    let mut atoms = super::native::layout("x @all\n@here");
    mentions::defuse(&mut atoms, &plain::Text, true);
    let texts: Vec<_> = atoms.iter().map(|atom| format!("{atom:?}")).collect();
    assert!(
        texts[0].contains("@\\u{200b}all") && texts[2].contains("@\\u{200b}here"),
        "{texts:?}"
    );
}
