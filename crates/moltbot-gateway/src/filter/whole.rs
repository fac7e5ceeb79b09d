//! Whole bodies: a request, or an answer that came in one piece.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use moltbot_types::filter::{Direction, Filter};
use moltbot_types::text::put;
use moltbot_types::{CallError, Dialect, Text, Trail};
use moltbot_wire::texts::within;

use super::note;

/// A place in JSON text, and the text that is put there.
type Edit = (Range<usize>, String);

/// Where a text stands that the filters look at.
enum Place {
    /// It is a text of the body.
    Own(Range<usize>),
    /// It stands in the JSON that is a text of the body.
    Within(usize, Range<usize>),
}

/// Looks at all texts of `body`; gives it anew where one of them changed.
pub(super) async fn look(
    filter: &dyn Filter,
    direction: Direction,
    dialect: &'static dyn Dialect,
    body: &Bytes,
    trail: &Trail,
) -> Result<Option<Bytes>, CallError> {
    let texts = dialect.texts(body)?;
    let mut places = Vec::with_capacity(texts.len());
    let mut asked: Vec<Cow<'_, str>> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match within(&text.text) {
            None => {
                places.push(Place::Own(text.at.clone()));
                asked.push(Cow::Borrowed(&text.text));
            }
            Some(inner) => {
                for Text { at, text } in inner {
                    places.push(Place::Within(index, at));
                    asked.push(text);
                }
            }
        }
    }
    if asked.is_empty() {
        return Ok(None);
    }
    let screened = filter.screen(direction, &asked).await?;
    note(trail, &screened.hits);
    if screened.changed.is_empty() {
        return Ok(None);
    }
    let mut edits: Vec<Edit> = Vec::new();
    let mut inner: BTreeMap<usize, Vec<Edit>> = BTreeMap::new();
    for (place, changed) in screened.changed {
        match &places[place] {
            Place::Own(at) => edits.push((at.clone(), changed)),
            Place::Within(index, at) => {
                let changes = inner.entry(*index).or_default();
                changes.push((at.clone(), changed));
            }
        }
    }
    for (index, changes) in inner {
        let text = &texts[index];
        edits.push((text.at.clone(), within_put(&text.text, &changes)));
    }
    edits.sort_by_key(|(at, _)| at.start);
    Ok(Some(put(body, &edits)))
}

/// JSON with other texts in it.
fn within_put(json: &str, changes: &[Edit]) -> String {
    let changed = put(&Bytes::copy_from_slice(json.as_bytes()), changes);
    String::from_utf8_lossy(&changed).into_owned()
}

/// Looks at one text that is complete, as JSON where it is some.
pub(super) async fn look_at(
    filter: &dyn Filter,
    direction: Direction,
    text: &str,
    trail: &Trail,
) -> Result<Option<String>, CallError> {
    let (asked, places): (Vec<Cow<'_, str>>, Vec<Range<usize>>) = match within(text) {
        None => (vec![Cow::Borrowed(text)], Vec::new()),
        Some(inner) => inner.into_iter().map(|it| (it.text, it.at)).unzip(),
    };
    let screened = filter.screen(direction, &asked).await?;
    note(trail, &screened.hits);
    if places.is_empty() {
        return Ok(screened.changed.into_iter().next().map(|(_, text)| text));
    }
    let changes: Vec<_> = screened
        .changed
        .into_iter()
        .map(|(place, text)| (places[place].clone(), text))
        .collect();
    Ok((!changes.is_empty()).then(|| within_put(text, &changes)))
}
