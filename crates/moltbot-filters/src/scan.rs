//! Runs detectors over a text, whole or in pieces, and puts masks where they found something.

use std::sync::Arc;

use moltbot_types::filter::{Action, Hit};
use smallvec::SmallVec;

use crate::detect::{CONTEXT, Detector, Found, Step};
use crate::window::Window;

/// A detector and what is done about its matches.
#[derive(Clone)]
pub(crate) struct Part {
    /// The filter's name.
    pub(crate) name: &'static str,
    pub(crate) action: Action,
    pub(crate) detector: Arc<dyn Detector>,
}

/// How far a detector came in a text.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// Where its last match ended.
    floor: usize,
    /// Where it goes on.
    from: usize,
}

/// A match whose place a mask takes.
#[derive(Debug)]
struct Mask {
    found: Found,
    /// The place of its detector in the list.
    order: usize,
}

/// What detectors have found in one text so far.
#[derive(Debug)]
pub(crate) struct Scan {
    cursors: SmallVec<[Cursor; 3]>,
    /// Matches that did not take their places yet.
    masks: Vec<Mask>,
    /// The text up to here has been given out.
    done: usize,
    /// What was found, each kind once.
    hits: Vec<Hit>,
}

/// The match that stops a text.
pub(crate) type Blocked = Hit;

impl Scan {
    pub(crate) fn new(parts: &[Part]) -> Self {
        Self {
            cursors: parts.iter().map(|_| Cursor::default()).collect(),
            masks: Vec::new(),
            done: 0,
            hits: Vec::new(),
        }
    }

    /// Looks at a whole text; gives what it is now where it changed.
    pub(crate) fn whole(&mut self, parts: &[Part], text: &str) -> Result<Option<String>, Blocked> {
        self.advance(parts, Window::new(text, true))?;
        if self.masks.is_empty() {
            return Ok(None);
        }
        let mut out = String::with_capacity(text.len());
        self.give(text, text.len(), &mut out);
        Ok(Some(out))
    }

    /// What was found since it was last asked.
    pub(crate) fn hits(&mut self) -> Vec<Hit> {
        std::mem::take(&mut self.hits)
    }

    /// Lets every detector go as far as it can; gives how far all of them came.
    fn advance(&mut self, parts: &[Part], text: Window<'_>) -> Result<usize, Blocked> {
        let mut decided = text.len();
        for (order, part) in parts.iter().enumerate() {
            loop {
                let Cursor { floor, from } = self.cursors[order];
                match part.detector.next(text, floor, from) {
                    Step::Found(found) => {
                        self.cursors[order] = Cursor {
                            floor: found.at.end,
                            from: found.at.end,
                        };
                        self.note(part, order, found)?;
                    }
                    Step::Held(at) => {
                        self.cursors[order].from = at;
                        decided = decided.min(at);
                        break;
                    }
                    Step::Nothing => {
                        self.cursors[order].from = text.len();
                        break;
                    }
                }
            }
        }
        Ok(decided)
    }

    fn note(&mut self, part: &Part, order: usize, found: Found) -> Result<(), Blocked> {
        let hit = Hit {
            filter: part.name,
            what: found.what,
            action: part.action,
        };
        if !self.hits.contains(&hit) {
            self.hits.push(hit);
        }
        match part.action {
            Action::Block => return Err(hit),
            Action::Mask => self.masks.push(Mask { found, order }),
            Action::Count => {}
        }
        Ok(())
    }

    /// Gives out the text up to `limit`, and up to the end of a match that begins before it.
    ///
    /// Matches that overlap share the mask of the first.
    fn give(&mut self, text: &str, limit: usize, out: &mut String) {
        self.masks
            .sort_unstable_by_key(|mask| (mask.found.at.start, mask.order));
        let due = self
            .masks
            .partition_point(|mask| mask.found.at.start < limit);
        for Mask { found, .. } in self.masks.drain(..due) {
            if found.at.start >= self.done {
                out.push_str(&text[self.done..found.at.start]);
                out.push('[');
                out.push_str(found.what);
                out.push(']');
            }
            self.done = self.done.max(found.at.end);
        }
        if limit > self.done {
            out.push_str(&text[self.done..limit]);
            self.done = limit;
        }
    }
}

/// A text that comes in pieces.
pub(crate) struct Stream {
    parts: Arc<[Part]>,
    scan: Scan,
    /// What was not given out yet, and some text before it.
    text: String,
}

impl Stream {
    pub(crate) fn new(parts: Arc<[Part]>) -> Self {
        Self {
            scan: Scan::new(&parts),
            parts,
            text: String::new(),
        }
    }

    /// Takes a piece; gives what is decided now.
    pub(crate) fn push(&mut self, piece: &str) -> Result<String, Blocked> {
        self.text.push_str(piece);
        let window = Window::new(&self.text, false);
        let decided = self.scan.advance(&self.parts, window)?;
        let mut out = String::new();
        self.scan.give(&self.text, decided, &mut out);
        self.forget();
        Ok(out)
    }

    /// The text is over; gives the rest. What comes then is another text.
    pub(crate) fn finish(&mut self) -> Result<String, Blocked> {
        let window = Window::new(&self.text, true);
        let end = self.scan.advance(&self.parts, window)?;
        let mut out = String::new();
        self.scan.give(&self.text, end, &mut out);
        let hits = self.scan.hits();
        self.scan = Scan::new(&self.parts);
        self.scan.hits = hits;
        self.text.clear();
        Ok(out)
    }

    pub(crate) fn hits(&mut self) -> Vec<Hit> {
        self.scan.hits()
    }

    /// Drops text that nobody looks at again.
    fn forget(&mut self) {
        let scan = &mut self.scan;
        let needed = scan.cursors.iter().map(|cursor| cursor.from);
        let needed = needed.min().unwrap_or(scan.done).min(scan.done);
        let gone = self
            .text
            .floor_char_boundary(needed.saturating_sub(CONTEXT));
        // moving the rest is worth it once there is much to drop
        if gone < CONTEXT {
            return;
        }
        self.text.drain(..gone);
        scan.done -= gone;
        for cursor in &mut scan.cursors {
            cursor.from -= gone;
            cursor.floor = cursor.floor.saturating_sub(gone);
        }
        for mask in &mut scan.masks {
            mask.found.at.start -= gone;
            mask.found.at.end -= gone;
        }
    }
}

#[cfg(test)]
mod tests;
