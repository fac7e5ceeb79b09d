//! Streamed answers: each running text has its own screen, and what a screen holds back goes out with a later frame.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use moltbot_types::filter::{Direction, Filter, Screen};
use moltbot_types::text::put;
use moltbot_types::{CallError, Dialect, FrameStream, Frames, Mark, Operation, Slot, Trail};

use super::{note, whole};

/// One running text of an answer.
struct Running {
    slot: Slot,
    kind: Kind,
    /// The last frame that added to it.
    like: Bytes,
}

enum Kind {
    /// Words, which go out as they come but for a few.
    Words(Box<dyn Screen>),
    /// Arguments of a tool: JSON, looked at once it is complete.
    Arguments(String),
}

/// A streamed answer whose texts the filters look at.
pub(super) struct Rewritten {
    filter: Arc<dyn Filter>,
    dialect: &'static dyn Dialect,
    operation: Operation,
    trail: Arc<Trail>,
    running: Vec<Running>,
    /// Text went out.
    shown: bool,
}

/// Frames under construction.
#[derive(Default)]
struct Outgoing {
    raw: BytesMut,
    marks: Vec<(u32, Mark)>,
}

impl Outgoing {
    fn push(&mut self, frame: &[u8], mark: Mark) {
        self.raw.extend_from_slice(frame);
        self.marks.push((self.raw.len() as u32, mark));
    }
}

impl Rewritten {
    pub(super) fn new(
        filter: Arc<dyn Filter>,
        dialect: &'static dyn Dialect,
        operation: Operation,
        trail: Arc<Trail>,
    ) -> Self {
        Self {
            filter,
            dialect,
            operation,
            trail,
            running: Vec::new(),
            shown: false,
        }
    }

    /// Reads until text may go out or the answer ends: until then a text that is blocked is an error, not a cut.
    pub(super) async fn begin(mut self, mut frames: FrameStream) -> Result<FrameStream, CallError> {
        let mut ready = VecDeque::new();
        let mut open = true;
        while !self.shown {
            match frames.next().await {
                Some(next) => {
                    let next = self.rewrite(next?).await?;
                    let ended = next.has(Mark::End) || next.has(Mark::Error);
                    ready.push_back(Ok(next));
                    self.shown |= ended;
                }
                None => {
                    open = false;
                    break;
                }
            }
        }
        let first = stream::iter(ready);
        if !open {
            return Ok(Box::pin(first));
        }
        let rest = stream::unfold(Some((self, frames)), |state| async {
            let (mut this, mut frames) = state?;
            match frames.next().await? {
                Ok(next) => match this.rewrite(next).await {
                    Ok(next) => Some((Ok(next), Some((this, frames)))),
                    Err(blocked) => Some((Err(blocked), None)),
                },
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Box::pin(first.chain(rest)))
    }

    async fn rewrite(&mut self, frames: Frames) -> Result<Frames, CallError> {
        let mut out = Outgoing::default();
        for (frame, mark) in frames.iter() {
            match mark {
                Mark::Ping | Mark::Error => out.push(&frame, mark),
                _ => self.frame(frame, mark, &mut out).await?,
            }
        }
        let mut rewritten = Frames::new(out.raw.freeze(), out.marks);
        rewritten.usage = frames.usage;
        Ok(rewritten)
    }

    async fn frame(
        &mut self,
        frame: Bytes,
        mark: Mark,
        out: &mut Outgoing,
    ) -> Result<(), CallError> {
        let frame = self.dialect.plain(frame);
        let added = self.dialect.additions(self.operation, &frame);
        let mut edits = Vec::new();
        for (slot, text) in &added.texts {
            self.close_words(|other| other.choice == slot.choice && other != slot, out)
                .await?;
            let ended = added.ended.contains(&slot.choice);
            let new = self.piece(*slot, &text.text, &frame, ended).await?;
            self.shown |= !new.is_empty();
            if new != text.text {
                edits.push((text.at.clone(), new));
            }
        }
        // what ended without a text of its own in this frame goes out before it
        let last = mark == Mark::End && added.texts.is_empty() && added.ended.is_empty();
        self.close(|slot| last || added.ended.contains(&slot.choice), out)
            .await?;
        out.push(&put(&frame, &edits), mark);
        Ok(())
    }

    /// Takes a piece of a running text; gives what takes its place.
    async fn piece(
        &mut self,
        slot: Slot,
        text: &str,
        frame: &Bytes,
        ended: bool,
    ) -> Result<String, CallError> {
        let at = match self.running.iter().position(|it| it.slot == slot) {
            Some(at) => at,
            None => {
                self.running.push(Running {
                    slot,
                    kind: match slot.call {
                        Some(_) => Kind::Arguments(String::new()),
                        None => Kind::Words(self.filter.begin(Direction::Outbound)),
                    },
                    like: Bytes::new(),
                });
                self.running.len() - 1
            }
        };
        let running = &mut self.running[at];
        running.like = frame.clone();
        let mut new = match &mut running.kind {
            Kind::Words(screen) => {
                let new = screen.push(text).await;
                note(&self.trail, &screen.hits());
                new?
            }
            Kind::Arguments(held) => {
                held.push_str(text);
                String::new()
            }
        };
        if ended {
            let running = self.running.swap_remove(at);
            new.push_str(&self.rest(running.kind).await?);
        }
        Ok(new)
    }

    /// What a running text still held back.
    async fn rest(&self, kind: Kind) -> Result<String, CallError> {
        match kind {
            Kind::Words(mut screen) => {
                let rest = screen.finish().await;
                note(&self.trail, &screen.hits());
                rest
            }
            Kind::Arguments(held) => {
                let looked = whole::look_at(&*self.filter, Direction::Outbound, &held, &self.trail);
                Ok(looked.await?.unwrap_or(held))
            }
        }
    }

    /// Ends running texts of words that `ends` names: another field of the answer goes on.
    async fn close_words(
        &mut self,
        ends: impl Fn(&Slot) -> bool,
        out: &mut Outgoing,
    ) -> Result<(), CallError> {
        self.close(|slot| slot.call.is_none() && ends(slot), out)
            .await
    }

    /// Ends running texts; their rest goes out in frames of its own.
    async fn close(
        &mut self,
        ends: impl Fn(&Slot) -> bool,
        out: &mut Outgoing,
    ) -> Result<(), CallError> {
        loop {
            let Some(at) = self.running.iter().position(|it| ends(&it.slot)) else {
                return Ok(());
            };
            let Running { slot, kind, like } = self.running.remove(at);
            let rest = self.rest(kind).await?;
            if !rest.is_empty() {
                self.shown = true;
                let frame = self.dialect.piece_like(self.operation, &like, slot, &rest);
                out.push(&frame, Mark::Content);
            }
        }
    }
}
