//! An answer that grows in its room while it is written: shown once it is a second old, then edited as a whole.
//!
//! It has its row in the outbox before it is shown, under an id that follows from the message. So after the death of
//! the process its next turn finds the text that stands there and goes on with it, instead of writing a second one.
//! What does not fit into one text comes at the end, as further ones.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_store::inbox::Scope;
use moltbot_store::outbox::{NewRow, Row, Settled, State};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, interval_at, sleep_until, timeout};
use tracing::warn;

use crate::channel::Channel;
use crate::deliver::{Letter, Post, TRY};
use crate::grow::Grow;
use crate::send::{Chunk, Format, SendError, Sent};

/// The least time between two edits, and before the first text.
pub(crate) const PACE: Duration = Duration::from_secs(1);
/// How often the platform is told that the bot is writing; it forgets that after some five seconds.
const TYPING: Duration = Duration::from_secs(4);
/// An answer that is there so soon is not announced.
const QUICK: Duration = Duration::from_millis(500);

/// The id of the row of a message's growing answer.
pub(crate) fn row_id(scope: &Scope, message: &str) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [scope.workspace.as_str(), &scope.channel, message] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    hash.finalize_xof().fill(&mut bytes);
    uuid::Builder::from_custom_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// Hears an answer grow, for the task that shows it.
pub(crate) struct Growing {
    pub(crate) text: watch::Sender<Option<String>>,
    /// The channel's platform can edit, and its owner wants that.
    pub(crate) edits: bool,
}

#[async_trait]
impl Grow for Growing {
    fn wants(&self) -> bool {
        self.edits
    }

    fn begin(&mut self, opening: &str) {
        self.text.send_replace(Some(opening.to_owned()));
    }

    async fn grow(&mut self, piece: &str) {
        let add = |text: &mut Option<String>| text.get_or_insert_default().push_str(piece);
        self.text.send_modify(add);
    }
}

/// What stands in the room when an answer is whole.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// The row of the text, where it has one.
    pub(crate) row: Option<String>,
    /// The platform's id of the text.
    pub(crate) sent: Option<String>,
    /// When the next edit may be.
    pub(crate) next: Option<Instant>,
    /// Nobody knows whether the text was shown, and why; it may not be sent again.
    pub(crate) lost: Option<String>,
}

/// Shows an answer while it grows.
pub(crate) struct Growth {
    pub(crate) post: Post,
    pub(crate) scope: Scope,
    /// The row, without a text.
    pub(crate) row: NewRow,
    /// The sending, without a text.
    pub(crate) letter: Letter,
    pub(crate) format: Format,
    pub(crate) edits: bool,
}

/// What came of showing a text.
enum Next {
    /// Another one may be shown from then on.
    At(Instant),
    /// None before the answer is whole.
    Never,
}

impl Growth {
    /// Shows the answer until it is whole.
    pub(crate) async fn show(self, mut text: watch::Receiver<Option<String>>) -> Shown {
        let mut shown = self.left_behind().await;
        if text.wait_for(Option::is_some).await.is_err() {
            return shown;
        }
        let mut seen = String::new();
        let mut typing = interval_at(Instant::now() + QUICK, TYPING);
        let mut next = Instant::now() + PACE;
        while self.wait(&mut text, next, &mut typing, &shown).await {
            let answer = text.borrow_and_update().clone().unwrap_or_default();
            let chunks = self.post.channel.render(&answer, self.format);
            let chunk = chunks.into_iter().next();
            let Some(chunk) = chunk.filter(|chunk| self.edits && chunk.text != seen) else {
                next = Instant::now() + PACE;
                continue;
            };
            seen.clone_from(&chunk.text);
            match self.once(chunk, &mut shown).await {
                Next::At(at) => next = at,
                Next::Never => break,
            }
            shown.next = Some(next);
        }
        // Until the answer is whole.
        while text.changed().await.is_ok() {}
        shown
    }

    /// Waits; `false` once the answer is whole. Until there is something to see, the platform says that it is written.
    async fn wait(
        &self,
        text: &mut watch::Receiver<Option<String>>,
        until: Instant,
        typing: &mut Interval,
        shown: &Shown,
    ) -> bool {
        let types = shown.sent.is_none() && self.post.channel.capabilities().typing;
        loop {
            tokio::select! {
                () = sleep_until(until) => return true,
                changed = text.changed() => if changed.is_err() {
                    return false;
                },
                _ = typing.tick(), if types => {
                    // It is a courtesy, which nobody repeats.
                    let _ = timeout(PACE, self.post.channel.typing(&self.letter.place)).await;
                }
            }
        }
    }

    /// What an earlier process showed of this answer.
    async fn left_behind(&self) -> Shown {
        let mut shown = Shown::default();
        let id = &self.row.id;
        let known = self.post.outbox.get(&self.scope.workspace, id).await;
        let Some(row) = known.ok().flatten().filter(|row| row.state.is_open()) else {
            return shown;
        };
        shown.row = Some(id.clone());
        shown.sent = row.row.sent.clone();
        let may_repeat = self.post.channel.capabilities().idempotent;
        if shown.sent.is_none() && row.state == State::Sending && !may_repeat {
            let reason = "the daemon ended while it was being sent".to_owned();
            self.look(&row, reason, &mut shown).await;
        }
        shown
    }

    /// Sends the text, or edits it as a whole.
    async fn once(&self, chunk: Chunk, shown: &mut Shown) -> Next {
        if shown.lost.is_some() {
            return Next::Never;
        }
        let letter = Letter {
            chunk,
            ..self.letter.clone()
        };
        let outgoing = letter.outgoing(&self.row.id, false);
        let result = match &shown.sent {
            Some(id) => {
                let edited = timeout(TRY, self.post.channel.edit(id, &outgoing)).await;
                edited.map(|edited| edited.map(|()| Sent::default()))
            }
            None => {
                if !self.prepare(&letter, shown).await {
                    return Next::Never;
                }
                timeout(TRY, self.post.channel.send(&outgoing)).await
            }
        };
        let late = || SendError::Unknown(format!("no answer within {} s", TRY.as_secs()));
        let result = result.unwrap_or_else(|_| Err(late()));
        let is_edit = shown.sent.is_some();
        match result {
            Ok(_) if is_edit => {}
            Ok(Sent { id: Some(id) }) => {
                self.note(State::Sending, Some(id.clone())).await;
                shown.sent = Some(id);
            }
            // It stands there and can't be edited: what follows can only be sent.
            Ok(Sent { id: None }) | Err(SendError::Refused(_) | SendError::Marks(_)) => {
                if !is_edit {
                    self.note(State::Prepared, None).await;
                }
                return Next::Never;
            }
            Err(SendError::Later { after, .. }) => {
                if !is_edit {
                    self.note(State::Prepared, None).await;
                }
                return Next::At(Instant::now() + after.unwrap_or(PACE).max(PACE));
            }
            Err(SendError::Unknown(_))
                if is_edit || self.post.channel.capabilities().idempotent => {}
            Err(SendError::Unknown(reason)) => {
                let row = self.prepared(&letter);
                self.look(&row, reason, shown).await;
            }
        }
        Next::At(Instant::now() + PACE)
    }

    /// The row is on disk, and says that it is being sent.
    async fn prepare(&self, letter: &Letter, shown: &mut Shown) -> bool {
        let row = self.prepared(letter).row;
        let outbox = &self.post.outbox;
        if shown.row.is_none() {
            if let Err(error) = outbox.put(&self.scope, vec![row]).await {
                warn!(channel = self.scope.channel, %error, "an answer does not grow");
                return false;
            }
            shown.row = Some(self.row.id.clone());
        }
        let begun = outbox.begin(&self.row.id, Timestamp::now()).await;
        begun.unwrap_or(false)
    }

    fn prepared(&self, letter: &Letter) -> Row {
        let row = NewRow {
            body: serde_json::to_string(letter).unwrap_or_default(),
            ..self.row.clone()
        };
        Row {
            channel: self.scope.channel.clone(),
            state: State::Prepared,
            attempts: 0,
            error: None,
            changed: row.created,
            row,
        }
    }

    /// Looks in the room's history for a text of unknown outcome.
    async fn look(&self, row: &Row, reason: String, shown: &mut Shown) {
        let letter = serde_json::from_str::<Letter>(&row.row.body);
        let found = match &letter {
            Ok(letter) => {
                let outgoing = letter.outgoing(&self.row.id, false);
                timeout(TRY, self.post.channel.find(&outgoing)).await
            }
            Err(_) => return,
        };
        match found {
            Ok(Ok(Some(Sent { id: Some(id) }))) => {
                self.note(State::Sending, Some(id.clone())).await;
                shown.sent = Some(id);
            }
            _ => shown.lost = Some(reason),
        }
    }

    async fn note(&self, state: State, sent: Option<String>) {
        let settled = Settled {
            state,
            error: None,
            sent,
            at: Timestamp::now(),
        };
        if let Err(error) = self.post.outbox.settle(&self.row.id, settled).await {
            warn!(channel = self.scope.channel, %error, "what stands in a room could not be noted");
        }
    }
}

/// Whether answers of a channel are shown while they grow, or at least announced.
pub(crate) fn shows(channel: &Arc<dyn Channel>, stream: bool) -> bool {
    let can = channel.capabilities();
    can.typing || can.edit && stream
}
