//! One JSON line, written into a buffer that is used again.

use std::fmt::{self, Write};

use crate::level::Level;

/// Longest text of one value, in bytes; longer ones are cut, since callers choose some of them.
const LONGEST: usize = 4096;

/// A line that is being written. Its fields follow each other in the order of the calls.
pub struct Line<'a> {
    buffer: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// Begins a line with the fields that each one has; `ts` is taken as it is.
    pub(crate) fn begin(buffer: &'a mut Vec<u8>, ts: &str, level: Level, msg: &str) -> Self {
        buffer.extend_from_slice(b"{\"ts\":\"");
        buffer.extend_from_slice(ts.as_bytes());
        buffer.extend_from_slice(b"\",\"level\":\"");
        buffer.extend_from_slice(level.word().as_bytes());
        buffer.push(b'"');
        let mut line = Self { buffer };
        line.text("msg", msg);
        line
    }

    pub(crate) fn end(self) {
        self.buffer.extend_from_slice(b"}\n");
    }

    /// A text; what could disturb a terminal or break the line is escaped, more than 4 KiB is cut.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        string(self.buffer, value);
        self
    }

    /// A whole number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        integer(self.buffer, value);
        self
    }

    /// Any number that JSON knows; `null` for one that it does not.
    pub fn float(&mut self, key: &str, value: f64) -> &mut Self {
        self.key(key);
        if value.is_finite() {
            self.display(value);
        } else {
            self.buffer.extend_from_slice(b"null");
        }
        self
    }

    /// A whole number below zero, or above.
    pub fn signed(&mut self, key: &str, value: i64) -> &mut Self {
        self.key(key);
        self.display(value);
        self
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.display(value);
        self
    }

    /// A list of objects; `write` fills one of them.
    pub fn list<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Line<'_>, T),
    ) -> &mut Self {
        self.key(key);
        self.buffer.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.buffer.push(b',');
            }
            self.buffer.push(b'{');
            write(
                &mut Line {
                    buffer: self.buffer,
                },
                item,
            );
            self.buffer.push(b'}');
        }
        self.buffer.push(b']');
        self
    }

    fn key(&mut self, key: &str) {
        if self.buffer.last() != Some(&b'{') {
            self.buffer.push(b',');
        }
        string(self.buffer, key);
        self.buffer.push(b':');
    }

    fn display(&mut self, value: impl fmt::Display) {
        // Writing to a `Vec` does not fail.
        let _ = write!(Text(self.buffer), "{value}");
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn integer(buffer: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&digits[at..]);
}

fn string(buffer: &mut Vec<u8>, text: &str) {
    let cut = text.floor_char_boundary(LONGEST);
    let (text, rest) = text.split_at(cut);
    buffer.push(b'"');
    // Looks at every byte, which the compiler turns into a few wide comparisons.
    if text
        .bytes()
        .fold(true, |plain, byte| plain & is_plain(byte))
    {
        buffer.extend_from_slice(text.as_bytes());
    } else {
        escape(buffer, text);
    }
    if !rest.is_empty() {
        buffer.extend_from_slice("…".as_bytes());
    }
    buffer.push(b'"');
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

fn escape(buffer: &mut Vec<u8>, text: &str) {
    for char in text.chars() {
        match char {
            '"' => buffer.extend_from_slice(b"\\\""),
            '\\' => buffer.extend_from_slice(b"\\\\"),
            '\n' => buffer.extend_from_slice(b"\\n"),
            '\r' => buffer.extend_from_slice(b"\\r"),
            '\t' => buffer.extend_from_slice(b"\\t"),
            char if disturbs(char) => {
                let _ = write!(Text(buffer), "\\u{:04x}", u32::from(char));
            }
            char => {
                buffer.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

/// Controls (ANSI sequences begin with one), line separators, and marks that turn the reading order.
fn disturbs(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_values_make_one_line_of_valid_json(
            msg in ".*", key in "[a-z_]{4,12}", text in "(?s).{0,200}",
            number: u64, float: f64, signed: i64,
        ) {
            prop_assume!(key != "level");
            let mut buffer = Vec::new();
            let mut line = Line::begin(&mut buffer, "2026-01-31T12:00:00.000Z", Level::Info, &msg);
            line.text(&key, &text).number("n", number).float("f", float).signed("s", signed);
            line.list("l", [&text], |item, text| { item.text("t", text).flag("b", true); });
            line.end();
            prop_assert_eq!(buffer.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert!(!buffer.iter().any(|byte| *byte < b' ' && *byte != b'\n'));
            let value: serde_json::Value = serde_json::from_slice(&buffer).unwrap();
            prop_assert_eq!(value["msg"].as_str(), Some(&*msg));
            prop_assert_eq!(value[&key].as_str(), Some(&*text));
            prop_assert_eq!(value["n"].as_u64(), Some(number));
            prop_assert_eq!(value["s"].as_i64(), Some(signed));
            prop_assert_eq!(value["l"][0]["t"].as_str(), Some(&*text));
        }
    }

    #[test]
    fn a_text_without_end_is_cut_between_characters() {
        let mut buffer = Vec::new();
        Line::begin(&mut buffer, "", Level::Info, &"é".repeat(LONGEST)).end();
        let value: serde_json::Value = serde_json::from_slice(&buffer).unwrap();
        assert_eq!(
            value["msg"].as_str().unwrap().chars().count(),
            LONGEST / 2 + 1
        );
    }
}
