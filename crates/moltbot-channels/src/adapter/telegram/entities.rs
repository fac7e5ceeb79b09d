//! Whom a text names. Entities say where, in UTF-16 units.

use std::ops::Range;

use serde_json::Value;

use super::super::answer::text;
use super::update::Bot;

/// A text, and whether it is for us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addressed {
    /// The text without the bot's own name.
    pub(super) text: String,
    /// The bot is named, or its command is.
    pub(super) mentioned: bool,
    /// It is a command that names another bot.
    pub(super) for_another: bool,
}

/// Reads a text with its entities. Offsets that lie outside it count for nothing.
pub(super) fn read(said: &str, entities: &Value, bot: Option<&Bot>) -> Addressed {
    let units: Vec<u16> = said.encode_utf16().collect();
    let mut addressed = Addressed::default();
    let mut cut: Vec<Range<usize>> = Vec::new();
    if !entities.is_array() {
        // Not every relay passes them on.
        cut.extend(find(said, bot));
    }
    for entity in entities.as_array().into_iter().flatten() {
        let Some(range) = range(entity, units.len()) else {
            continue;
        };
        let named = String::from_utf16_lossy(&units[range.clone()]);
        match text(entity, "type") {
            "mention" if is_bot(named.strip_prefix('@'), bot) => cut.push(range),
            "text_mention" if bot.is_some_and(|bot| entity["user"]["id"] == bot.id) => {
                cut.push(range);
            }
            "bot_command" => {
                let Some((command, name)) = named.split_once('@') else {
                    continue;
                };
                if is_bot(Some(name), bot) {
                    let begins = range.start + command.encode_utf16().count();
                    cut.push(begins..range.end);
                } else if range.start == 0 && bot.is_some() {
                    addressed.for_another = true;
                }
            }
            _ => {}
        }
    }
    addressed.mentioned = !cut.is_empty();
    let kept = units.iter().enumerate();
    let kept = kept.filter(|(at, _)| !cut.iter().any(|range| range.contains(at)));
    let kept: Vec<u16> = kept.map(|(_, unit)| *unit).collect();
    addressed.text = String::from_utf16_lossy(&kept).trim().to_owned();
    addressed
}

/// Where the bot's name stands.
fn find(said: &str, bot: Option<&Bot>) -> Option<Range<usize>> {
    let own = bot
        .map(|bot| bot.name.as_str())
        .filter(|own| !own.is_empty())?;
    let before = said.match_indices('@').find_map(|(at, _)| {
        let rest = &said[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named = &rest[..end.unwrap_or(rest.len())];
        named.eq_ignore_ascii_case(own).then_some(&said[..at])
    })?;
    let start = before.encode_utf16().count();
    Some(start..start + 1 + own.len())
}

fn range(entity: &Value, length: usize) -> Option<Range<usize>> {
    let number = |name: &str| usize::try_from(entity[name].as_u64()?).ok();
    let start = number("offset")?;
    let end = start.checked_add(number("length")?)?;
    (start < end && end <= length).then_some(start..end)
}

/// Names are compared without regard to case.
fn is_bot(name: Option<&str>, bot: Option<&Bot>) -> bool {
    let own = bot.map(|bot| bot.name.as_str()).unwrap_or_default();
    name.is_some_and(|name| !own.is_empty() && name.eq_ignore_ascii_case(own))
}
