//! One sending from its row to a receipt: repeated only where that is safe, and never when it is too late.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moltbot_store::Outbox;
use moltbot_store::outbox::{Row, Settled, State};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::channel::Channel;
use crate::house::Outcome;
use crate::send::{Chunk, Outgoing, Place, SendError, Sent};

/// The first pause before a repeat; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// One try takes no longer; what it did is unknown then.
pub(crate) const TRY: Duration = Duration::from_secs(60);

/// A sending as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) place: Place,
    pub(crate) chunk: Chunk,
    pub(crate) in_reply_to: Option<String>,
    pub(crate) sender: Option<String>,
}

impl Letter {
    pub(crate) fn outgoing(&self, key: &str, plain: bool) -> Outgoing {
        let text = if plain {
            &self.chunk.plain
        } else {
            &self.chunk.text
        };
        Outgoing {
            key: key.to_owned(),
            place: self.place.clone(),
            text: text.clone(),
            marked: self.chunk.marked && !plain,
            in_reply_to: self.in_reply_to.clone(),
            sender: self.sender.clone(),
        }
    }
}

/// Where sendings leave.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) name: String,
    pub(crate) workspace: String,
    pub(crate) stop: CancellationToken,
}

/// What a try came to.
enum Tried {
    Closed(State, Option<String>, Option<Sent>),
    Again(String, Option<Duration>),
    Plain,
}

impl Post {
    /// Delivers a row, or closes it as what became of it. `None`: it is still open, because the process ends or
    /// the store does not answer, or someone else has closed it.
    pub(crate) async fn deliver(&self, row: &Row) -> Option<Outcome> {
        let letter: Letter = match serde_json::from_str(&row.row.body) {
            Ok(letter) => letter,
            Err(error) => {
                let reason = format!("its text can't be read: {error}");
                return self.close(row, State::Failed, Some(reason), None).await;
            }
        };
        if row.state == State::Sending
            && !self.channel.capabilities().idempotent
            && row.row.sent.is_none()
        {
            return self.left_behind(row, &letter).await;
        }
        self.try_until_closed(row, &letter).await
    }

    /// Closes a row whose sending has no known outcome.
    pub(crate) async fn lose(&self, row: &Row, reason: String) -> Option<Outcome> {
        self.close(row, State::Unknown, Some(reason), None).await
    }

    async fn try_until_closed(&self, row: &Row, letter: &Letter) -> Option<Outcome> {
        let (mut pause, mut plain) = (FIRST_PAUSE, false);
        loop {
            let left = left(row.row.expires);
            if left.is_zero() {
                let error = row.error.clone();
                return self.close(row, State::Expired, error, None).await;
            }
            match self.outbox.begin(&row.row.id, Timestamp::now()).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    warn!(channel = self.name, workspace = self.workspace, %error, "an answer waits for the store");
                    self.wait(pause.min(left)).await?;
                    continue;
                }
            }
            match self.once(row, &letter.outgoing(&row.row.id, plain)).await {
                Tried::Closed(state, error, sent) => {
                    return self.close(row, state, error, sent).await;
                }
                Tried::Plain if !plain && !letter.chunk.plain.is_empty() => plain = true,
                Tried::Plain => {
                    let error = Some("the platform refuses the text".to_owned());
                    return self.close(row, State::Failed, error, None).await;
                }
                Tried::Again(reason, after) => {
                    let wait = after.unwrap_or(pause).max(Duration::from_millis(50));
                    self.note(row, State::Prepared, Some(reason), None).await;
                    self.wait(wait.min(left)).await?;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One try.
    async fn once(&self, row: &Row, outgoing: &Outgoing) -> Tried {
        let edit = row.row.sent.as_deref();
        let result = match edit {
            Some(id) => timeout(TRY, self.channel.edit(id, outgoing))
                .await
                .map(|edited| edited.map(|()| Sent::default())),
            None => timeout(TRY, self.channel.send(outgoing)).await,
        };
        let result = result.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", TRY.as_secs());
            Err(SendError::Unknown(reason))
        });
        let may_repeat = edit.is_some() || self.channel.capabilities().idempotent;
        match result {
            Ok(sent) => Tried::Closed(State::Delivered, None, Some(sent)),
            Err(SendError::Refused(reason)) => Tried::Closed(State::Failed, Some(reason), None),
            Err(SendError::Marks(_)) => Tried::Plain,
            Err(SendError::Later { reason, after }) => Tried::Again(reason, after),
            Err(SendError::Unknown(reason)) if may_repeat => Tried::Again(reason, None),
            Err(SendError::Unknown(reason)) => self.look(outgoing, reason).await,
        }
    }

    /// Looks in the room's history for a sending of unknown outcome.
    async fn look(&self, outgoing: &Outgoing, reason: String) -> Tried {
        match timeout(TRY, self.channel.find(outgoing)).await {
            Ok(Ok(Some(sent))) => Tried::Closed(State::Delivered, None, Some(sent)),
            _ => Tried::Closed(State::Unknown, Some(reason), None),
        }
    }

    /// The process ended while this was sent, and the platform would not know a repeat.
    async fn left_behind(&self, row: &Row, letter: &Letter) -> Option<Outcome> {
        let reason = "the daemon ended while it was being sent".to_owned();
        let outgoing = letter.outgoing(&row.row.id, false);
        let Tried::Closed(state, error, sent) = self.look(&outgoing, reason).await else {
            return None;
        };
        self.close(row, state, error, sent).await
    }

    async fn close(
        &self,
        row: &Row,
        state: State,
        error: Option<String>,
        sent: Option<Sent>,
    ) -> Option<Outcome> {
        let (id, to) = (row.row.id.as_str(), row.row.to.as_str());
        let (channel, workspace) = (self.name.as_str(), self.workspace.as_str());
        let request_id = row.row.trace.as_str();
        match (state, &error) {
            (State::Delivered, _) => {
                info!(
                    request_id,
                    channel,
                    workspace,
                    outbox = id,
                    to,
                    "an answer was delivered"
                );
            }
            (_, Some(error)) => {
                warn!(
                    request_id,
                    channel,
                    workspace,
                    outbox = id,
                    to,
                    error,
                    "an answer was not delivered: it is {state}"
                );
            }
            _ => {
                warn!(
                    request_id,
                    channel,
                    workspace,
                    outbox = id,
                    to,
                    "an answer was not delivered: it is {state}"
                );
            }
        }
        self.note(row, state, error, sent.and_then(|sent| sent.id))
            .await;
        Some(match state {
            State::Delivered => Outcome::Answered,
            State::Expired => Outcome::Expired,
            _ => Outcome::Failed,
        })
    }

    /// Notes what is known of a row. Without the store, what is known ends with the process.
    async fn note(&self, row: &Row, state: State, error: Option<String>, sent: Option<String>) {
        let settled = Settled {
            state,
            error,
            sent,
            at: Timestamp::now(),
        };
        if let Err(error) = self.outbox.settle(&row.row.id, settled).await {
            warn!(channel = self.name, workspace = self.workspace, %error, "what became of an answer could not be noted");
        }
    }

    /// Waits; `None` when the process ends meanwhile.
    async fn wait(&self, pause: Duration) -> Option<()> {
        tokio::select! {
            () = sleep_until(Instant::now() + pause) => Some(()),
            () = self.stop.cancelled() => None,
        }
    }
}

fn left(expires: Timestamp) -> Duration {
    let left = expires.duration_since(Timestamp::now());
    Duration::try_from(left).unwrap_or_default()
}
