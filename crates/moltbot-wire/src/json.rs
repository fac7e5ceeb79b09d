//! Walks over JSON text without building a tree and without recursion.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// Deepest nesting that is taken: above what any schema needs, below what crashes common parsers.
const DEPTH: usize = 512;

/// How far a string is read byte by byte before a vector search is begun, which has its own cost.
const HOP: usize = 12;

/// Where JSON text is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The byte at fault; the text's length where it ends too early.
    pub(crate) at: usize,
    /// Where the token at fault begins.
    pub(crate) token: usize,
    /// What is wrong, in words.
    pub(crate) what: &'static str,
}

impl Broken {
    fn new(at: usize, what: &'static str) -> Self {
        Self {
            at,
            token: at,
            what,
        }
    }
}

/// A member of an object whose value has not been read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The key, quotes included.
    pub(crate) at: Range<usize>,
    /// Where its value begins.
    pub(crate) value: usize,
}

/// Walks over the members of one object.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    text: &'a [u8],
    at: usize,
    first: bool,
    /// Where the member begins that is being read.
    pub(crate) member: usize,
}

impl<'a> Members<'a> {
    /// Begins at the `{` that is the first byte after blanks from `at`.
    pub(crate) fn open(text: &'a [u8], at: usize) -> Result<Self, Broken> {
        let at = skip_blanks(text, at);
        if text.get(at) != Some(&b'{') {
            return Err(Broken::new(at, "expected `{`"));
        }
        Ok(Self {
            text,
            at: at + 1,
            first: true,
            member: at + 1,
        })
    }

    /// The next key, or `None` behind the closing brace. The value must be passed before the next.
    pub(crate) fn key(&mut self) -> Result<Option<Key>, Broken> {
        let mut at = skip_blanks(self.text, self.at);
        self.member = at;
        match (self.text.get(at), self.first) {
            (Some(b'}'), _) => {
                self.at = at + 1;
                return Ok(None);
            }
            (_, true) => self.first = false,
            (Some(b','), false) => at = skip_blanks(self.text, at + 1),
            (_, false) => return Err(Broken::new(at, "expected `,` or `}`")),
        }
        self.member = at;
        let (end, value) = skip_key(self.text, at)?;
        Ok(Some(Key { at: at..end, value }))
    }

    /// Passes over the value of `key`; gives where it stands.
    pub(crate) fn pass(&mut self, key: &Key) -> Result<Range<usize>, Broken> {
        self.at = skip_value(self.text, key.value)?;
        Ok(key.value..self.at)
    }

    /// Where the walk stands: behind the closing brace once [`Members::key`] gave `None`.
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

/// Calls `each` with every key (without quotes, decoded) and value of the object in `text`.
pub(crate) fn each_member<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&[u8], &'a [u8]),
) -> Result<(), Broken> {
    let mut members = Members::open(text, 0)?;
    while let Some(key) = members.key()? {
        let value = members.pass(&key)?;
        let quoted = &text[key.at];
        let plain = &quoted[1..quoted.len() - 1];
        if !plain.contains(&b'\\') {
            each(plain, &text[value]);
        } else if let Some(name) = decode(quoted) {
            each(name.as_bytes(), &text[value]);
        }
    }
    nothing_follows(text, members.position())
}

/// Fails where anything but blanks stands behind `end`.
pub(crate) fn nothing_follows(text: &[u8], end: usize) -> Result<(), Broken> {
    match skip_blanks(text, end) {
        at if at == text.len() => Ok(()),
        at => Err(Broken::new(at, "something follows the value")),
    }
}

/// Calls `each` with every element of the array in `text`.
pub(crate) fn each_element<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8]),
) -> Result<(), Broken> {
    let mut at = skip_blanks(text, 0);
    if text.get(at) != Some(&b'[') {
        return Err(Broken::new(at, "expected `[`"));
    }
    at = skip_blanks(text, at + 1);
    if text.get(at) == Some(&b']') {
        return Ok(());
    }
    loop {
        let end = skip_value(text, at)?;
        each(&text[at..end]);
        at = skip_blanks(text, end);
        match text.get(at) {
            Some(b',') => at = skip_blanks(text, at + 1),
            Some(b']') => return Ok(()),
            _ => return Err(Broken::new(at, "expected `,` or `]`")),
        }
    }
}

/// The first position from `at` that holds no blank.
pub(crate) fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

/// The position behind the string whose opening quote stands at `start`.
pub(crate) fn skip_string(text: &[u8], start: usize) -> Result<usize, Broken> {
    let cut = Broken {
        at: text.len(),
        token: start,
        what: "expected `\"`, but the text ends",
    };
    let raw = |at| Broken::new(at, "a control character in a string must be escaped");
    let mut at = start + 1;
    let mut hop = at + HOP;
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => {
                at = skip_escape(text, at)?.ok_or(cut)?;
                hop = at + HOP;
            }
            Some(..0x20) => return Err(raw(at)),
            Some(_) if at < hop => at += 1,
            Some(_) => {
                let run = memchr2(b'"', b'\\', &text[at..]).ok_or(cut)?;
                if let Some(found) = control(&text[at..at + run], |_| true) {
                    return Err(raw(at + found));
                }
                at += run;
            }
            None => return Err(cut),
        }
    }
}

/// The first control character that is `wrong`.
fn control(text: &[u8], wrong: impl Fn(u8) -> bool) -> Option<usize> {
    /// Looked at together, by their least byte.
    const LANE: usize = 64;
    let wrong = |byte: &u8| *byte < 0x20 && wrong(*byte);
    let lane = text.chunks(LANE).position(|lane| {
        let least = lane.iter().copied().fold(u8::MAX, u8::min);
        least < 0x20 && lane.iter().any(wrong)
    })?;
    let at = text[lane * LANE..].iter().position(wrong)?;
    Some(lane * LANE + at)
}

/// Fails where `text` is no text: bytes that are no UTF-8, control characters that are no blanks.
pub(crate) fn readable(text: &[u8]) -> Result<(), Broken> {
    if let Some(at) = control(text, |byte| !matches!(byte, b'\t' | b'\n' | b'\r')) {
        return Err(Broken::new(at, "a control character must be escaped"));
    }
    if text.is_ascii() {
        return Ok(());
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Broken::new(error.valid_up_to(), "the text is no UTF-8")),
    }
}

/// The position behind the escape at `at`; `None` where the text ends in it.
fn skip_escape(text: &[u8], at: usize) -> Result<Option<usize>, Broken> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(Some(at + 2)),
        Some(b'u') => match text.get(at + 2..at + 6) {
            Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => Ok(Some(at + 6)),
            Some(_) => Err(Broken::new(
                at,
                "expected four hexadecimal digits after `\\u`",
            )),
            None => Ok(None),
        },
        Some(_) => Err(Broken::new(at, "this escape is unknown")),
        None => Ok(None),
    }
}

/// The end of the key at `at`, quotes included, and where its value begins.
fn skip_key(text: &[u8], at: usize) -> Result<(usize, usize), Broken> {
    if text.get(at) != Some(&b'"') {
        return Err(Broken::new(at, "expected a key in double quotes"));
    }
    let end = skip_string(text, at)?;
    let colon = skip_blanks(text, end);
    if text.get(colon) != Some(&b':') {
        return Err(Broken::new(colon, "expected `:`"));
    }
    let value = skip_blanks(text, colon + 1);
    if value == text.len() {
        return Err(Broken::new(value, "expected a value"));
    }
    Ok((end, value))
}

/// The position behind the value that begins at `at`.
pub(crate) fn skip_value(text: &[u8], at: usize) -> Result<usize, Broken> {
    match text.get(at) {
        Some(b'{' | b'[') => skip_container(text, at),
        _ => skip_scalar(text, at),
    }
}

fn skip_scalar(text: &[u8], at: usize) -> Result<usize, Broken> {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'-' | b'0'..=b'9') => skip_number(text, at),
        Some(b't') => skip_word(text, at, b"true"),
        Some(b'f') => skip_word(text, at, b"false"),
        Some(b'n') => skip_word(text, at, b"null"),
        _ => Err(Broken::new(at, "expected a value")),
    }
}

/// The containers that are open, innermost last: a bit is set for an object.
#[derive(Default)]
struct Open {
    objects: [u64; DEPTH / 64],
    depth: usize,
}

impl Open {
    fn push(&mut self, object: bool, at: usize) -> Result<(), Broken> {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        let Some(word) = self.objects.get_mut(word) else {
            return Err(Broken::new(at, "nested deeper than 512 levels"));
        };
        *word = *word & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        Ok(())
    }

    fn in_object(&self) -> bool {
        let last = self.depth - 1;
        self.objects[last / 64] >> (last % 64) & 1 == 1
    }
}

/// Walks a container with a stack of bits instead of recursion.
fn skip_container(text: &[u8], mut at: usize) -> Result<usize, Broken> {
    let mut open = Open::default();
    loop {
        at = match text.get(at) {
            Some(opener @ (b'{' | b'[')) => {
                let object = *opener == b'{';
                let inside = skip_blanks(text, at + 1);
                if text.get(inside) == Some(if object { &b'}' } else { &b']' }) {
                    inside + 1
                } else {
                    open.push(object, at)?;
                    at = if object {
                        skip_key(text, inside)?.1
                    } else {
                        inside
                    };
                    continue;
                }
            }
            _ => skip_scalar(text, at)?,
        };
        // A value ends here: close what ends with it, then begin the next one.
        loop {
            if open.depth == 0 {
                return Ok(at);
            }
            let object = open.in_object();
            let next = skip_blanks(text, at);
            match (text.get(next), object) {
                (Some(b','), true) => {
                    at = skip_key(text, skip_blanks(text, next + 1))?.1;
                    break;
                }
                (Some(b','), false) => {
                    at = skip_blanks(text, next + 1);
                    break;
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    open.depth -= 1;
                    at = next + 1;
                }
                (_, true) => return Err(Broken::new(next, "expected `,` or `}`")),
                (_, false) => return Err(Broken::new(next, "expected `,` or `]`")),
            }
        }
    }
}

fn skip_word(text: &[u8], at: usize, word: &[u8]) -> Result<usize, Broken> {
    let rest = &text[at..];
    if rest.starts_with(word) {
        return Ok(at + word.len());
    }
    let same = rest.iter().zip(word).take_while(|(a, b)| a == b).count();
    Err(Broken {
        at: at + same,
        token: at,
        what: "expected `true`, `false` or `null`",
    })
}

fn skip_number(text: &[u8], start: usize) -> Result<usize, Broken> {
    let digits = |from: usize| {
        let count = text[from..].iter().take_while(|b| b.is_ascii_digit());
        match count.count() {
            0 => Err(Broken {
                at: from,
                token: start,
                what: "expected a digit",
            }),
            count => Ok(from + count),
        }
    };
    let first = start + usize::from(text[start] == b'-');
    let mut at = digits(first)?;
    if text[first] == b'0' && at > first + 1 {
        return Err(Broken::new(first, "a number has no leading zero"));
    }
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let signed = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = digits(at + 1 + usize::from(signed))?;
    }
    Ok(at)
}

/// The text of a JSON string, quotes included in `raw`. `None` where it can't be decoded.
pub(crate) fn decode(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.iter().any(|byte| *byte == b'\\' || *byte < 0x20) {
        return serde_json::from_slice(raw).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// Which of `names` the key `raw`, quotes included, spells.
pub(crate) fn which(raw: &[u8], names: &[&str]) -> Option<usize> {
    let is = |text: &[u8]| names.iter().position(|name| name.as_bytes() == text);
    let inner = &raw[1..raw.len() - 1];
    if inner.contains(&b'\\') {
        return is(decode(raw)?.as_bytes());
    }
    is(inner)
}

/// Line and column of a position, both from 1; a column is a character.
pub(crate) fn line_column(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let characters = before[start..].iter().filter(|byte| **byte & 0xC0 != 0x80);
    (line, characters.count() + 1)
}

#[cfg(test)]
mod tests;
