//! The text of a message as Slack writes it: escaped, with people, rooms and addresses in angle brackets.

/// Whether a text names that user.
pub(super) fn mentions(text: &str, user: &str) -> bool {
    !user.is_empty() && parts(text).any(|part| matches!(part, Part::Tag(tag) if is_user(tag, user)))
}

/// The text as a person reads it, without the bot's own mention. `named` says that the first mention is the bot's,
/// even where its id is not known.
pub(super) fn read(text: &str, user: &str, named: bool) -> String {
    let mut said = String::with_capacity(text.len());
    let mut unknown = named && !mentions(text, user);
    for part in parts(text) {
        match part {
            Part::Text(text) => said.push_str(&unescape(text)),
            Part::Tag(tag) if is_user(tag, user) => {}
            Part::Tag(tag) if unknown && tag.starts_with('@') => unknown = false,
            Part::Tag(tag) => said.push_str(&readable(tag)),
        }
    }
    said.trim().to_owned()
}

enum Part<'a> {
    Text(&'a str),
    /// What stands between `<` and `>`.
    Tag(&'a str),
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let tag = rest
            .strip_prefix('<')
            .and_then(|after| after.split_once('>'));
        if let Some((tag, after)) = tag {
            rest = after;
            return Some(Part::Tag(tag));
        }
        // A lone `<` is text.
        let mut marks = rest.char_indices().skip(1).filter(|(_, c)| *c == '<');
        let (text, after) = rest.split_at(marks.next().map_or(rest.len(), |(at, _)| at));
        rest = after;
        Some(Part::Text(text))
    })
}

fn is_user(tag: &str, user: &str) -> bool {
    let id = tag.strip_prefix('@').map(|tag| tag.split('|').next());
    !user.is_empty() && id.flatten() == Some(user)
}

/// `@U1`, `#room`, `@here`, `label (address)`.
fn readable(tag: &str) -> String {
    let (target, label) = match tag.split_once('|') {
        Some((target, label)) => (target, unescape(label)),
        None => (tag, String::new()),
    };
    let target = unescape(target);
    match target.chars().next() {
        Some(mark @ ('@' | '#')) if !label.is_empty() => {
            format!("{mark}{}", label.trim_start_matches(mark))
        }
        Some('!') => match label.is_empty() {
            true => format!("@{}", &target[1..]),
            false => label,
        },
        Some('@' | '#') | None => target,
        _ if label.is_empty() || label == target => target,
        // Slack makes links of what looks like an address.
        _ if target.ends_with(&label) && target.contains(':') => label,
        _ => format!("{label} ({target})"),
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}
