use super::*;

fn finds(words: &[&str], text: &str) -> Vec<String> {
    let words = Words::new(words.iter().copied()).unwrap();
    let window = Window::new(text, true);
    let (mut at, mut found) = (0, Vec::new());
    while let Step::Found(hit) = words.next(window, at, at) {
        at = hit.at.end;
        found.push(text[hit.at].to_owned());
    }
    found
}

#[test]
fn chinese_words_are_found_anywhere_and_latin_ones_whole() {
    assert_eq!(finds(&["内幕"], "有内幕消息"), ["内幕"]);
    assert_eq!(finds(&["ass"], "class, ass, grass"), ["ass"]);
    assert_eq!(
        finds(&["order"], "查order状态, reorder, order_id"),
        ["order"]
    );
}

#[test]
fn case_does_not_matter_beyond_ascii_either() {
    assert_eq!(finds(&["Gold", "ÉTÉ"], "GOLD en été"), ["GOLD", "été"]);
}

#[test]
fn the_longest_word_wins_and_a_shorter_one_stands_in() {
    assert_eq!(finds(&["gold", "gold rush"], "gold rush"), ["gold rush"]);
    assert_eq!(finds(&["gold", "gold rush"], "gold rushes"), ["gold"]);
}

#[test]
fn blanks_and_empty_lines_of_a_list_are_no_words() {
    assert!(finds(&["", "  ", "\t"], "any text").is_empty());
    assert_eq!(finds(&["  two words  "], "just two words."), ["two words"]);
}

#[test]
fn a_word_that_is_too_long_is_refused() {
    let word = "x".repeat(LONGEST + 1);
    assert!(matches!(Words::new([&*word]), Err(FilterError::TooLong)));
}
