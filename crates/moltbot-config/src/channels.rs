//! `channels.toml`: in this version read and checked for its form alone.

use crate::file;
use crate::home::{CHANNELS, Home};
use crate::problem::{Problem, Problems};

/// Reports what is no TOML, and gives notice when it switches a channel on.
pub(crate) fn check(home: &Home, problems: &mut Problems, notices: &mut Vec<String>) {
    let text = match file::read(&home.channels_file(), CHANNELS) {
        Ok(Some(text)) => text,
        Ok(None) => return,
        Err(problem) => return problems.push(problem),
    };
    let table: toml::Table = match toml::from_str(&text) {
        Ok(table) => table,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let before = text.get(..at).unwrap_or_default();
            return problems.push(Problem {
                file: CHANNELS.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before
                    .rsplit('\n')
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .count()
                    + 1,
                message: format!("is no TOML: {}", error.message()),
                ..Problem::default()
            });
        }
    };
    let channels = table.get("channel").and_then(toml::Value::as_table);
    let on = |channel: &toml::Value| channel.get("enabled").and_then(toml::Value::as_bool);
    let enabled: Vec<_> = channels
        .into_iter()
        .flatten()
        .filter(|(_, channel)| on(channel) == Some(true))
        .map(|(name, _)| name.as_str())
        .collect();
    if !enabled.is_empty() {
        let enabled = enabled.join(", ");
        notices.push(format!(
            "channels are not in use yet in this version: {CHANNELS} enables {enabled}"
        ));
    }
}
