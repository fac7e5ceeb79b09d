//! What an operator does with a channel: a trial, a text of his own, another try, and tidying up.

use std::time::Duration;

use jiff::Timestamp;
use moltbot_store::outbox::{Row, State};
use moltbot_store::sessions::Exchange;
use moltbot_types::RequestId;
use serde::{Deserialize, Serialize};

use super::{Driver, Stores, Work, prepared, row};
use crate::conversation::{self, LIFE};
use crate::deliver::Letter;
use crate::grow::Unseen;
use crate::message::Message;
use crate::send::{Chunk, Place};
use crate::trace::Step;
use crate::turn::{self, Said};

/// How long a chosen model is remembered in a conversation in which nothing is said.
const CHOICE_LIVES: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long an operator's own sending may take before he is told that it is under way.
const SENT_WITHIN: Duration = Duration::from_secs(20);

/// What a message would go through, and what its sender would hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// The steps, as far as it came.
    pub steps: Vec<Step>,
    /// The answer, as Markdown.
    pub answer: Option<String>,
    /// The texts as they would be sent.
    pub chunks: Vec<String>,
}

impl Driver {
    /// Takes a message through its turn without keeping anything of it. It reads limits and contexts and calls the
    /// model; only with `deliver` do skills write, and the answer is sent.
    pub async fn simulate(&self, message: Message, deliver: bool) -> Simulation {
        let desk = self.desk();
        let (id, now) = (RequestId::new(), Timestamp::now());
        let limiter = &self.0.past.limiter;
        let rate = desk.settings.rate_limit;
        let said = Said {
            message: &message,
            id,
            arrived: now,
            limit: limiter.peek(&message.sender, now.as_millisecond(), rate),
            dry: !deliver,
        };
        let turn = turn::take(&desk, &said, &mut Unseen).await;
        let chunks = turn.chunks.iter().map(|chunk| chunk.text.clone());
        let chunks: Vec<String> = chunks.collect();
        let mut trace = turn.trace;
        if !turn.chunks.is_empty() {
            if deliver && !self.0.channel.answers_in_response() {
                let place = message.place();
                let states = self.send_all(&place, turn.chunks, &id.to_string()).await;
                let failed = states.into_iter().find(|state| state.is_err());
                match failed {
                    Some(Err(reason)) => trace.note("send", "failed", Some(reason)),
                    _ => trace.ok("send"),
                }
            } else {
                let reason = match deliver {
                    true => "the answer is the response of a post",
                    false => "nothing is sent without --deliver",
                };
                trace.note("send", "skipped", Some(reason.to_owned()));
            }
        }
        Simulation {
            steps: trace.into_steps(),
            answer: turn.answer,
            chunks,
        }
    }

    /// Sends a text of an operator's own to a room.
    ///
    /// # Errors
    /// It was not sent, or nobody knows; in words.
    pub async fn send(&self, room: &str, text: &str) -> Result<(), String> {
        let place = Place {
            room: room.to_owned(),
            ..Place::default()
        };
        let chunks = self.0.channel.render(text, self.settings().format);
        if chunks.is_empty() {
            return Err("there is nothing to send".to_owned());
        }
        let trace = RequestId::new().to_string();
        let states = self.send_all(&place, chunks, &trace).await;
        states.into_iter().collect()
    }

    /// Sends texts one after the other, through the outbox.
    async fn send_all(
        &self,
        place: &Place,
        chunks: Vec<Chunk>,
        trace: &str,
    ) -> Vec<Result<(), String>> {
        let settings = self.settings();
        let expires = Timestamp::now().checked_add(settings.reply_ttl);
        let expires = expires.unwrap_or(Timestamp::MAX);
        let lane = format!("operator/{}", place.room);
        let rows = chunks.into_iter().map(|chunk| {
            let letter = Letter {
                place: place.clone(),
                chunk,
                in_reply_to: None,
                sender: None,
            };
            row(&letter, &lane, trace, expires)
        });
        let rows: Vec<_> = rows.collect();
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let outbox = &self.0.stores.outbox;
        if let Err(error) = outbox.put(&self.0.scope, rows.clone()).await {
            return vec![Err(error.to_string())];
        }
        for row in rows {
            let row = prepared(&self.0.scope, row);
            self.push(&lane, Work::Deliver(Box::new(row)));
        }
        let mut states = Vec::with_capacity(ids.len());
        for id in ids {
            states.push(self.outcome(&id).await);
        }
        states
    }

    /// What becomes of a sending, as far as that shows soon.
    async fn outcome(&self, id: &str) -> Result<(), String> {
        let workspace = &self.0.scope.workspace;
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(20);
        loop {
            let row = self.0.stores.outbox.get(workspace, id).await;
            let row = row.map_err(|error| error.to_string())?;
            let Some(row) = row else {
                return Err("the sending is gone".to_owned());
            };
            let reason = row.error.unwrap_or_default();
            match row.state {
                State::Delivered => return Ok(()),
                state if state.is_open() && waited >= SENT_WITHIN => {
                    return Err(format!(
                        "it is still under way ({reason}); `moltctl outbox list` shows it"
                    ));
                }
                state if state.is_open() => {}
                state => return Err(format!("it is {state}: {reason}")),
            }
            tokio::time::sleep(step).await;
            waited += step;
        }
    }

    /// What a person and the bot said to each other lately, without a room; nothing where it can't be read.
    pub async fn history(&self, sender: &str) -> Vec<Exchange> {
        let message = Message {
            sender: sender.to_owned(),
            ..Message::default()
        };
        let key = conversation::key(&self.settings(), &message);
        let sessions = &self.0.stores.sessions;
        let session = sessions.load(&key, turn::KEPT, turn::alive_since()).await;
        session.map_or_else(|_| Vec::new(), |session| session.exchanges)
    }

    /// Takes up a row that was opened again.
    pub fn resume_row(&self, row: Row) {
        let lane = row.row.lane.clone();
        self.push(&lane, Work::Deliver(Box::new(row)));
    }
}

/// Forgets what is over: messages and sendings after a day, conversations that ended.
///
/// # Errors
/// The store cannot be written.
pub async fn tidy(stores: &Stores) -> moltbot_store::Result<()> {
    let ago = |time: Duration| {
        let now = Timestamp::now();
        now.checked_sub(time).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let yesterday = ago(LIFE);
    stores.inbox.forget(yesterday).await?;
    stores.outbox.forget(yesterday).await?;
    stores.sessions.forget(yesterday, ago(CHOICE_LIVES)).await
}
