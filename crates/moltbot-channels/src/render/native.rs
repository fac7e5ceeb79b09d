//! An answer as the model wrote it: only its blank lines and fences are looked at, to know where it may be cut.

use super::atoms::{Atom, Gap, Span};

pub(super) fn layout(answer: &str) -> Vec<Atom> {
    let mut atoms = Vec::new();
    let mut fence: Option<&str> = None;
    let mut breaks = 0;
    for line in answer.lines() {
        let mark = fence_of(line);
        if line.trim().is_empty() && fence.is_none() {
            breaks += 1;
            continue;
        }
        let closes = fence.is_some_and(|open| {
            mark.is_some_and(|mark| mark.starts_with(open) && line.trim() == mark)
        });
        // The lines around code belong to its fence.
        let first = fence.is_some()
            && atoms
                .last()
                .is_some_and(|atom| matches!(atom, Atom::Open(_)));
        if !first && !closes && !atoms.is_empty() {
            let gap = match (fence, breaks) {
                (Some(_), _) => Gap::CodeLine,
                (None, 1) => Gap::Line,
                (None, _) => Gap::Paragraph,
            };
            atoms.push(Atom::Break(gap, breaks.max(1)));
        }
        breaks = 1;
        match (mark, fence) {
            _ if closes => {
                atoms.push(Atom::Close);
                fence = None;
            }
            (Some(mark), None) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                let (open, close) = (line.to_owned(), format!("{indent}{mark}"));
                atoms.push(Atom::Open(Span::Fence { open, close }));
                fence = Some(mark);
            }
            (_, Some(_)) => atoms.push(Atom::Code(line.to_owned())),
            (None, None) => atoms.push(Atom::Text(line.to_owned())),
        }
    }
    if fence.is_some() {
        atoms.push(Atom::Close);
    }
    atoms
}

/// The mark with which a line begins or ends code.
fn fence_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let run = |mark: char| line.len() - line.trim_start_matches(mark).len();
    match (run('`'), run('~')) {
        (3.., _) => Some(&line[..run('`')]),
        (_, 3..) => Some(&line[..run('~')]),
        _ => None,
    }
}
