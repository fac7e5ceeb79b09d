//! Long random tokens beside a word that announces one: `password: …`, `API_KEY=…`, `密码是…`.

use std::ops::Range;

use crate::window::{More, Window, is_word};

/// Words that announce a secret, also as parts of names.
pub(super) const WORDS: [&str; 28] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "api key",
    "access_key",
    "access-key",
    "accesskey",
    "access key",
    "private_key",
    "privatekey",
    "auth_key",
    "credential",
    "authorization",
    "bearer",
    "密码",
    "口令",
    "密钥",
    "秘钥",
    "令牌",
    "密碼",
    "金鑰",
];

/// Words that may stand between.
const FILLERS: [&str; 9] = [
    "is", "was", "are", "bearer", "basic", "value", "to", "equals", "key",
];

/// Longest rest of a name: `token_for_production`.
const NAME: usize = 24;
/// Most signs between the word and its token.
const BETWEEN: usize = 12;
/// Longest token that is looked at; what follows it is text again.
const LONGEST: usize = 1024;
/// Fewest bytes of a token.
const SHORTEST: usize = 12;
/// Least entropy of random text, in bits a byte.
const EVEN: f64 = 3.0;

/// Where the token stands that follows the word ending at `end`, if one does.
pub(super) fn look(text: Window<'_>, end: usize) -> Result<Option<Range<usize>>, More> {
    let mut at = end;
    if text.before(end).is_some_and(is_word) {
        at = text.run(end, NAME, |byte| is_word(byte) || byte == b'-')?;
    }
    let Some(start) = skip_between(text, at)? else {
        return Ok(None);
    };
    let run = text.run(start, LONGEST, is_token)?;
    let body =
        text.text()[start..run].trim_end_matches(['.', '!', '?', '-', '/', '*', '~', '#', '@']);
    if !is_random(body) {
        return Ok(None);
    }
    let end = start + body.len();
    let padding = text.run(end, 2, |byte| byte == b'=')?;
    Ok(Some(start..padding))
}

/// Where a token may begin behind the signs and small words from `from` on.
fn skip_between(text: Window<'_>, from: usize) -> Result<Option<usize>, More> {
    let mut at = from;
    for _ in 0..BETWEEN {
        if text.byte(at)?.is_none() {
            return Ok(None);
        }
        let rest = &text.text()[at..];
        match rest.chars().next() {
            Some(sign) if is_between(sign) => at += sign.len_utf8(),
            Some(sign) if sign.is_ascii_alphabetic() => match filler(text, at)? {
                Some(end) => at = end,
                None => return Ok(Some(at)),
            },
            Some(sign) if sign.is_ascii() && is_token(sign as u8) => return Ok(Some(at)),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// The end of the small word that stands at `at`, where one does.
fn filler(text: Window<'_>, at: usize) -> Result<Option<usize>, More> {
    const LONGEST: usize = 7;
    let end = text.run(at, LONGEST, |byte| byte.is_ascii_alphabetic())?;
    let word = &text.text()[at..end];
    let known = FILLERS
        .iter()
        .any(|filler| filler.eq_ignore_ascii_case(word));
    Ok((known && !text.is(end, is_token)?).then_some(end))
}

fn is_between(sign: char) -> bool {
    matches!(
        sign,
        ' ' | '\t'
            | '\n'
            | '\r'
            | '"'
            | '\''
            | '`'
            | ':'
            | '='
            | '>'
            | ','
            | '('
            | '['
            | '{'
            | '\\'
            | '<'
            | '：'
            | '是'
            | '为'
            | '為'
            | '“'
            | '”'
            | '‘'
            | '「'
            | '『'
            | '＝'
            | '，'
            | '（'
            | '　'
    )
}

fn is_token(byte: u8) -> bool {
    is_word(byte)
        || matches!(
            byte,
            b'+' | b'/'
                | b'-'
                | b'.'
                | b'!'
                | b'@'
                | b'#'
                | b'$'
                | b'%'
                | b'^'
                | b'*'
                | b'~'
                | b'?'
        )
}

/// Classes of characters, among which random text changes often.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Sign,
    /// Stands between the parts of names.
    Joint,
}

fn class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' => Class::Lower,
        b'A'..=b'Z' => Class::Upper,
        b'0'..=b'9' => Class::Digit,
        b'-' | b'_' | b'.' | b'/' => Class::Joint,
        _ => Class::Sign,
    }
}

/// Whether a token was made by chance rather than by a person who names something.
///
/// Names hold few kinds of characters and keep to one for long; random text changes between them, and its
/// characters are spread evenly, which its entropy tells.
fn is_random(token: &str) -> bool {
    let bytes = token.as_bytes();
    if bytes.len() < SHORTEST || bytes[0] == b'/' || bytes[0] == b'.' {
        return false;
    }
    let has = |wanted| bytes.iter().any(|byte| class(*byte) == wanted);
    let (lower, upper) = (has(Class::Lower), has(Class::Upper));
    if !has(Class::Digit) || !(lower || upper) {
        return false;
    }
    let mixed = lower && upper;
    let hex = bytes.len() >= 32 && bytes.iter().all(u8::is_ascii_hexdigit);
    // the size that AWS gives its secret keys
    let aws = bytes.len() == 40 && mixed && !bytes.contains(&b'-');
    if hex || aws || is_uuid(bytes) {
        return entropy(bytes) >= EVEN;
    }
    if bytes.len() < 16 && !(mixed && has(Class::Sign)) {
        return false;
    }
    let changes = bytes
        .windows(2)
        .filter(|pair| {
            let (left, right) = (class(pair[0]), class(pair[1]));
            left != right && left != Class::Joint && right != Class::Joint
        })
        .count();
    let least = if mixed { 0.36 } else { 0.2 };
    changes as f64 >= least * (bytes.len() - 1) as f64 && entropy(bytes) >= EVEN
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Shannon's entropy, in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}
