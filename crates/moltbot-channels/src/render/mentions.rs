//! Mentions of everybody become text that alerts nobody.

use super::atoms::Atom;
use super::dialect::Dialect;

/// The names that platforms give to everybody in a room.
const EVERYBODY: [&str; 11] = [
    "everyone",
    "everybody",
    "channel",
    "here",
    "all",
    "room",
    "group",
    "所有人",
    "全体成员",
    "全員",
    "全员",
];

/// Makes each mention of everybody one of nobody, also one that stands across marks.
/// `code_too` says that the platform does not know code when it sees it.
pub(super) fn defuse(atoms: &mut [Atom], dialect: &dyn Dialect, code_too: bool) {
    let text: String = atoms.iter().map(|atom| seen(atom).unwrap_or("")).collect();
    let tag_mark = dialect.tag_mark();
    let places = places(&text, tag_mark.is_some());
    let mut places = places.into_iter().rev().peekable();
    let mut end = text.len();
    for atom in atoms.iter_mut().rev() {
        let start = end - seen(atom).map_or(0, str::len);
        while let Some(place) = places.next_if(|place| *place >= start) {
            let text = match atom {
                Atom::Text(text) => text,
                Atom::Code(text) if code_too => text,
                _ => continue,
            };
            let at = place - start;
            match tag_mark {
                Some(mark) if text[at..].starts_with('<') => text.replace_range(at..=at, mark),
                // Nobody sees it, and no platform reads a mention across it.
                _ => text.insert(
                    at + text[at..].chars().next().map_or(0, char::len_utf8),
                    '\u{200b}',
                ),
            }
        }
        end = start;
    }
}

fn seen(atom: &Atom) -> Option<&str> {
    match atom {
        Atom::Text(text) | Atom::Code(text) => Some(text),
        Atom::Break(..) => Some("\n"),
        Atom::Mark(_) | Atom::Open(_) | Atom::Close => None,
    }
}

/// Where mentions begin: with an `@`, and with the `<` of a tag where `tags` are read in text.
fn places(text: &str, tags: bool) -> Vec<usize> {
    let mut places = Vec::new();
    for (at, mark) in text.char_indices() {
        let after = at + mark.len_utf8();
        let mention = match mark {
            '@' | '＠' => !within_a_word(&text[..at]) && names_everybody(&text[after..]),
            '<' => tags && begins_a_tag(&text[after..]),
            _ => false,
        };
        if mention {
            places.push(at);
        }
    }
    places
}

fn within_a_word(before: &str) -> bool {
    let last = before.chars().next_back();
    last.is_some_and(|last| last.is_ascii_alphanumeric() || matches!(last, '.' | '_' | '-' | '+'))
}

fn names_everybody(after: &str) -> bool {
    EVERYBODY.iter().any(|name| {
        let begins = after.get(..name.len());
        let next = after.get(name.len()..).and_then(|rest| rest.chars().next());
        let ends = !name.is_ascii()
            || !next.is_some_and(|next| next.is_ascii_alphanumeric() || next == '_');
        begins.is_some_and(|begins| begins.eq_ignore_ascii_case(name)) && ends
    })
}

/// Feishu's `<at …>` and Slack's `<!channel>`; Slack's `<!date^…>` alerts nobody.
fn begins_a_tag(after: &str) -> bool {
    let lower: String = after
        .chars()
        .take(12)
        .collect::<String>()
        .to_ascii_lowercase();
    if let Some(name) = lower.strip_prefix('!') {
        return name.starts_with("subteam^") || names_everybody(name);
    }
    let rest = lower.strip_prefix("at");
    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}
