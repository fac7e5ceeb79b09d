//! A channel at work: messages in, turns one after the other in each conversation, answers out.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;
use moltbot_store::inbox::{Arrival, Arrived, End, Finish, Kept, Scope};
use moltbot_store::outbox::{NewRow, Row};
use moltbot_store::{Inbox, Outbox, Sessions};
use moltbot_types::{Door, RequestId};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::channel::{Channel, Host, NotKept};
use crate::conversation;
use crate::deliver::{Letter, Post};
use crate::gate;
use crate::grow::{Grow, Shown, Unseen};
use crate::growth::{self, Growing, Growth};
use crate::house::{House, Outcome, Way};
use crate::lanes::Lanes;
use crate::limit::{Limiter, Verdict};
use crate::message::Message;
use crate::send::{Chunk, Place};
use crate::settings::Settings;
use crate::turn::{self, Desk, Said, Turn};

mod operate;
mod post;

pub use operate::{Simulation, tidy};
use post::Watchers;

/// The longest pause of a channel that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Where a channel keeps what it must not lose.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Messages.
    pub inbox: Arc<dyn Inbox>,
    /// Sendings.
    pub outbox: Arc<dyn Outbox>,
    /// Conversations.
    pub sessions: Arc<dyn Sessions>,
}

/// What a channel is made of.
#[derive(Clone)]
pub struct Parts {
    /// How it works.
    pub settings: Settings,
    /// The platform.
    pub channel: Arc<dyn Channel>,
    /// What it must not lose.
    pub stores: Stores,
    /// Where its questions go.
    pub door: Arc<dyn Door>,
    /// What else it asks.
    pub house: Arc<dyn House>,
}

/// How a channel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `None` while it runs; else why it does not, in words.
    pub problem: Option<String>,
    /// Messages that came.
    pub received: u64,
    /// Messages that were answered.
    pub answered: u64,
    /// Messages that could not be answered, and answers that did not arrive.
    pub failed: u64,
    /// Messages and answers that wait.
    pub queued: u64,
}

/// A channel at work. Clones are the same channel.
#[derive(Clone)]
pub struct Driver(Arc<Inner>);

struct Inner {
    scope: Scope,
    settings: ArcSwap<Settings>,
    channel: Arc<dyn Channel>,
    stores: Stores,
    door: Arc<dyn Door>,
    house: Arc<dyn House>,
    past: Arc<Past>,
    lanes: Lanes<Work>,
    turns: Semaphore,
    watchers: Watchers,
    problem: Mutex<Option<String>>,
    /// The channel was up since its last pause.
    was_up: AtomicBool,
    /// Whose place it takes: it works once that one has ended.
    before: Mutex<Option<Driver>>,
    done: CancellationToken,
    /// What an earlier process left is taken up: only then is anything new, or it would have two turns.
    recovered: CancellationToken,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What a channel hands to the one that takes its place.
#[derive(Default)]
struct Past {
    limiter: Limiter,
    received: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// What a conversation's worker does.
enum Work {
    Turn(Box<Item>),
    Deliver(Box<Row>),
}

/// A message that waits for its turn.
struct Item {
    seq: i64,
    message: Message,
    at: Timestamp,
    id: RequestId,
    limit: Verdict,
}

impl Driver {
    /// The channel, not running yet. `before` is the one whose place it takes: what its senders used of their limits
    /// and what it counted stays.
    pub fn new(parts: Parts, before: Option<&Self>) -> Self {
        let scope = Scope {
            workspace: parts.settings.workspace.clone(),
            channel: parts.settings.name.clone(),
        };
        Self(Arc::new(Inner {
            scope,
            turns: Semaphore::new(parts.settings.turns.max(1)),
            settings: ArcSwap::from_pointee(parts.settings),
            channel: parts.channel,
            stores: parts.stores,
            door: parts.door,
            house: parts.house,
            past: before.map_or_else(Arc::default, |before| Arc::clone(&before.0.past)),
            lanes: Lanes::default(),
            watchers: Watchers::default(),
            problem: Mutex::new(Some("it is about to log in".to_owned())),
            was_up: AtomicBool::new(false),
            before: Mutex::new(before.cloned()),
            done: CancellationToken::new(),
            recovered: CancellationToken::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Works until [`Driver::stop`], first on what an earlier process left undone. Turns that run then are finished.
    /// It waits for the channel whose place it takes, so that no message has two turns.
    pub async fn run(&self) {
        let before = self.lock_before().take();
        let takes_over = before.is_some();
        if let Some(before) = before {
            before.stop();
            before.0.done.cancelled().await;
        }
        if !self.0.stop.is_cancelled() {
            self.recover(takes_over).await;
            self.listen().await;
        }
        self.0.stop.cancelled().await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.watchers.clear();
        self.0.done.cancel();
    }

    fn lock_before(&self) -> MutexGuard<'_, Option<Self>> {
        let before = self.0.before.lock();
        before.unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the work: nothing new begins, and [`Driver::run`] returns when what runs is finished.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Other settings for the same platform, name and workspace, from the next message on.
    pub fn set(&self, settings: Settings) {
        self.0.settings.store(Arc::new(settings));
    }

    /// The platform.
    pub fn channel(&self) -> &Arc<dyn Channel> {
        &self.0.channel
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.0.settings.load_full()
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let past = &self.0.past;
        Status {
            problem: self.problem().clone(),
            received: past.received.load(Ordering::Relaxed),
            answered: past.answered.load(Ordering::Relaxed),
            failed: past.failed.load(Ordering::Relaxed),
            queued: self.0.lanes.waiting() as u64,
        }
    }

    fn problem(&self) -> MutexGuard<'_, Option<String>> {
        let problem = self.0.problem.lock();
        problem.unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for as long as it works. It never gives up: it pauses, longer each time.
    async fn listen(&self) {
        let mut pause = Duration::from_secs(1);
        while !self.0.stop.is_cancelled() {
            let ended = self.0.channel.listen(self, self.0.stop.clone()).await;
            if self.0.stop.is_cancelled() {
                return;
            }
            if self.0.was_up.swap(false, Ordering::Relaxed) {
                pause = Duration::from_secs(1);
            }
            let reason = match ended {
                Ok(()) => "the connection ended".to_owned(),
                Err(error) => error.to_string(),
            };
            let (workspace, channel) = self.names();
            let wait_s = pause.as_secs();
            warn!(
                workspace,
                channel,
                wait_s,
                error = reason,
                "the channel does not work; it is tried again"
            );
            *self.problem() = Some(reason);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.0.stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes up what an earlier process left: answers that were not delivered, messages that had no turn.
    async fn recover(&self, takes_over: bool) {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.left_undone().await {
                Ok((rows, messages)) => {
                    for row in rows {
                        let lane = row.row.lane.clone();
                        self.push(&lane, Work::Deliver(Box::new(row)));
                    }
                    for kept in messages {
                        self.resume(kept, takes_over);
                    }
                    return self.0.recovered.cancel();
                }
                Err(error) => {
                    let (workspace, channel) = self.names();
                    warn!(workspace, channel, %error, "what waits can't be read; it is tried again");
                    *self.problem() = Some(error.to_string());
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.0.stop.cancelled() => return,
            }
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    async fn left_undone(&self) -> moltbot_store::Result<(Vec<Row>, Vec<Kept>)> {
        let rows = self.0.stores.outbox.open(&self.0.scope).await?;
        let messages = self.0.stores.inbox.waiting(&self.0.scope).await?;
        // The turn of a message goes on with what it showed of its answer.
        let grown: HashSet<String> = messages
            .iter()
            .map(|kept| growth::row_id(&self.0.scope, &kept.id))
            .collect();
        let rows = rows.into_iter().filter(|row| !grown.contains(&row.row.id));
        Ok((rows.collect(), messages))
    }

    fn resume(&self, kept: Kept, is_counted: bool) {
        let Ok(message) = serde_json::from_str::<Message>(&kept.body) else {
            let (workspace, channel) = self.names();
            let id = kept.id;
            error!(
                workspace,
                channel, id, "a message that was kept can't be read"
            );
            return;
        };
        let id = kept.trace.parse().unwrap_or_else(|_| RequestId::new());
        let limit = match is_counted {
            true => Verdict::Within,
            false => self.limit(&message, kept.at),
        };
        self.admit(kept.seq, message, kept.at, id, limit);
    }

    /// Keeps messages, and gives each its turn.
    async fn take(&self, messages: Vec<Message>) -> Result<Vec<Arrived>, NotKept> {
        tokio::select! {
            () = self.0.recovered.cancelled() => {}
            () = self.0.stop.cancelled() => {}
        }
        let settings = self.0.settings.load_full();
        if self.0.stop.is_cancelled() {
            return Err(NotKept("the channel is stopping".to_owned()));
        }
        if self.0.lanes.waiting() + messages.len() > settings.waiting {
            return Err(NotKept(format!("{} messages wait", settings.waiting)));
        }
        let at = Timestamp::now();
        let ids: Vec<RequestId> = messages.iter().map(|_| RequestId::new()).collect();
        let arrivals = messages.iter().zip(&ids);
        let arrivals = arrivals.map(|(message, id)| arrival(&settings, message, *id, at));
        let inbox = &self.0.stores.inbox;
        let arrived = inbox.arrive(&self.0.scope, arrivals.collect()).await;
        let arrived = arrived.map_err(|error| NotKept(error.to_string()))?;
        for ((message, id), arrived) in messages.into_iter().zip(ids).zip(&arrived) {
            match arrived {
                Arrived::New(seq) | Arrived::Reopened(seq) => {
                    self.0.past.received.fetch_add(1, Ordering::Relaxed);
                    match gate::refuses(&settings, &message) {
                        Some(_) => self.count(Way::In, Outcome::Ignored),
                        None => {
                            let limit = self.limit(&message, at);
                            self.admit(*seq, message, at, id, limit);
                        }
                    }
                }
                Arrived::Known => self.count(Way::In, Outcome::Duplicate),
            }
        }
        Ok(arrived)
    }

    /// Counts a message against its sender's limit.
    fn limit(&self, message: &Message, at: Timestamp) -> Verdict {
        let rate = self.0.settings.load().rate_limit;
        let limiter = &self.0.past.limiter;
        limiter.hit(&message.sender, at.as_millisecond(), rate)
    }

    /// Gives a message its turn.
    fn admit(&self, seq: i64, message: Message, at: Timestamp, id: RequestId, limit: Verdict) {
        let settings = self.0.settings.load();
        let mut lane = conversation::key(&settings, &message);
        if limit != Verdict::Within {
            // Who is above the limit hears so at once, not behind the answers that he waits for.
            lane.push_str("/limit");
        }
        let item = Item {
            seq,
            message,
            at,
            id,
            limit,
        };
        self.push(&lane, Work::Turn(Box::new(item)));
    }

    fn push(&self, lane: &str, work: Work) {
        if self.0.lanes.push(lane, work) {
            let (driver, lane) = (self.clone(), lane.to_owned());
            self.0.tasks.spawn(async move { driver.work(&lane).await });
        }
    }

    /// The worker of one conversation.
    async fn work(&self, lane: &str) {
        while let Some(work) = self.0.lanes.next(lane) {
            if self.0.stop.is_cancelled() {
                // It is on the disk, for the next start.
                return self.0.lanes.abandon(lane);
            }
            match work {
                Work::Turn(item) => self.turn(*item).await,
                Work::Deliver(row) => self.deliver(&row).await,
            }
        }
    }

    /// One message: its turn, its end on disk, its answer on the way.
    async fn turn(&self, item: Item) {
        let begun = Instant::now();
        let Ok(permit) = self.0.turns.acquire().await else {
            return;
        };
        let desk = self.desk();
        let said = Said {
            message: &item.message,
            id: item.id,
            arrived: item.at,
            limit: item.limit,
            dry: false,
        };
        let (mut grow, growth) = self.grow(&desk, &item);
        let taken = caught(turn::take(&desk, &said, &mut *grow)).await;
        drop(grow);
        drop(permit);
        let grown = match growth {
            // An answer of which the task showed nothing is sent as any other.
            Some(growth) => growth.await.unwrap_or_default(),
            None => growth::Shown::default(),
        };
        let Some(turn) = taken else {
            return self.panicked(&item).await;
        };
        let answer = self.response(&turn);
        let mut rows = self.rows(&desk, &item, &turn.chunks);
        if let (Some(row), Some(id)) = (rows.first_mut(), grown.row) {
            (row.id, row.sent) = (id, grown.sent);
        }
        let finish = Finish {
            seq: item.seq,
            end: End {
                outcome: turn.outcome.word().to_owned(),
                answer: answer.clone(),
            },
            rows: rows.clone(),
            session: turn.change.clone(),
        };
        if !self.finish(finish).await {
            return;
        }
        self.told(&item, &turn, begun);
        self.0.watchers.end(&item.message.id, answer);
        if let Some(next) = grown.next {
            sleep_until(next).await;
        }
        let mut lost = grown.lost;
        for row in rows {
            let row = prepared(&self.0.scope, row);
            match lost.take() {
                Some(reason) => self.delivered(self.mail().lose(&row, reason).await),
                None => self.deliver(&row).await,
            }
        }
    }

    /// Who hears the answer grow: those who wait for it, else the room.
    fn grow(&self, desk: &Desk, item: &Item) -> (Box<dyn Grow>, Option<JoinHandle<growth::Shown>>) {
        if let Some(shown) = self.0.watchers.of(&item.message.id) {
            return (Box::new(shown), None);
        }
        let (channel, settings) = (&self.0.channel, &desk.settings);
        if !growth::shows(channel, settings.stream) {
            return (Box::new(Unseen), None);
        }
        let edits = channel.capabilities().edit && settings.stream;
        let letter = letter(item, Chunk::default());
        let mut row = self.row(desk, item, &letter);
        row.id = growth::row_id(&self.0.scope, &item.message.id);
        let growth = Growth {
            post: self.mail(),
            scope: self.0.scope.clone(),
            row,
            letter,
            format: settings.format,
            edits,
        };
        let (text, grows) = watch::channel(None);
        let growth = self.0.tasks.spawn(growth.show(grows));
        (Box::new(Growing { text, edits }), Some(growth))
    }

    /// The answer for whoever waits for it, where answers are responses.
    fn response(&self, turn: &Turn) -> Option<String> {
        let is_response = self.0.channel.answers_in_response() && !turn.chunks.is_empty();
        let texts = turn.chunks.iter().map(|chunk| chunk.text.as_str());
        is_response.then(|| texts.collect::<Vec<_>>().join("\n\n"))
    }

    fn rows(&self, desk: &Desk, item: &Item, chunks: &[Chunk]) -> Vec<NewRow> {
        if self.0.channel.answers_in_response() {
            return Vec::new();
        }
        let chunks = chunks.iter().cloned();
        let letters = chunks.map(|chunk| letter(item, chunk));
        letters
            .map(|letter| self.row(desk, item, &letter))
            .collect()
    }

    fn row(&self, desk: &Desk, item: &Item, letter: &Letter) -> NewRow {
        let settings = &desk.settings;
        let expires = item.at.checked_add(settings.reply_ttl);
        let lane = conversation::key(settings, &item.message);
        let expires = expires.unwrap_or(Timestamp::MAX);
        row(letter, &lane, &item.id.to_string(), expires)
    }

    /// Keeps the end of a message, however long the store takes. `false`: it was ended before, or the process ends.
    async fn finish(&self, finish: Finish) -> bool {
        let mut pause = Duration::from_millis(100);
        loop {
            let inbox = &self.0.stores.inbox;
            match inbox.finish(&self.0.scope, finish.clone()).await {
                Ok(was_open) => return was_open,
                Err(error) => {
                    let (workspace, channel) = self.names();
                    warn!(workspace, channel, %error, "an answer waits for the store");
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.0.stop.cancelled() => return false,
            }
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    /// A fault of ours within a turn ends that message alone.
    async fn panicked(&self, item: &Item) {
        let (workspace, channel) = self.names();
        error!(request_id = %item.id, workspace, channel, "an internal error ended a message's turn");
        let end = End {
            outcome: Outcome::Failed.word().to_owned(),
            answer: None,
        };
        let finish = Finish {
            seq: item.seq,
            end,
            rows: Vec::new(),
            session: None,
        };
        self.finish(finish).await;
        self.0.past.failed.fetch_add(1, Ordering::Relaxed);
        self.count(Way::In, Outcome::Failed);
        self.0.watchers.end(&item.message.id, None);
    }

    /// Counts and logs the end of a message.
    fn told(&self, item: &Item, turn: &Turn, begun: Instant) {
        let (workspace, channel) = self.names();
        let latency_ms = begun.elapsed().as_millis() as u64;
        let (request_id, outcome) = (item.id, turn.outcome.word());
        let message = item.message.id.as_str();
        match &turn.error {
            Some(error) => {
                warn!(%request_id, workspace, channel, message, outcome, latency_ms, error, "a message could not be answered");
            }
            None => {
                info!(%request_id, workspace, channel, message, outcome, latency_ms, "a message had its turn");
            }
        }
        match turn.outcome {
            Outcome::Answered => self.0.past.answered.fetch_add(1, Ordering::Relaxed),
            Outcome::Failed => self.0.past.failed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        self.count(Way::In, turn.outcome);
    }

    async fn deliver(&self, row: &Row) {
        self.delivered(self.mail().deliver(row).await);
    }

    /// Counts the end of a sending.
    fn delivered(&self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            if outcome != Outcome::Answered {
                self.0.past.failed.fetch_add(1, Ordering::Relaxed);
            }
            self.count(Way::Out, outcome);
        }
    }

    /// Where sendings leave.
    fn mail(&self) -> Post {
        Post {
            channel: Arc::clone(&self.0.channel),
            outbox: Arc::clone(&self.0.stores.outbox),
            name: self.0.scope.channel.clone(),
            workspace: self.0.scope.workspace.to_string(),
            stop: self.0.stop.clone(),
        }
    }

    fn desk(&self) -> Desk {
        Desk {
            settings: self.0.settings.load_full(),
            channel: Arc::clone(&self.0.channel),
            sessions: Arc::clone(&self.0.stores.sessions),
            door: Arc::clone(&self.0.door),
            house: Arc::clone(&self.0.house),
        }
    }

    fn count(&self, way: Way, outcome: Outcome) {
        let scope = &self.0.scope;
        self.0
            .house
            .count(&scope.workspace, &scope.channel, way, outcome);
    }

    fn names(&self) -> (&str, &str) {
        (self.0.scope.workspace.as_str(), &self.0.scope.channel)
    }
}

#[async_trait]
impl Host for Driver {
    async fn accept(&self, messages: Vec<Message>) -> Result<(), NotKept> {
        self.take(messages).await.map(|_| ())
    }

    fn up(&self) {
        self.0.was_up.store(true, Ordering::Relaxed);
        if self.problem().take().is_some() {
            let (workspace, channel) = self.names();
            info!(workspace, channel, "the channel is running");
        }
    }
}

fn arrival(settings: &Settings, message: &Message, id: RequestId, at: Timestamp) -> Arrival {
    let ended = gate::refuses(settings, message).map(|_| End {
        outcome: Outcome::Ignored.word().to_owned(),
        answer: None,
    });
    let body = match &ended {
        // Of what is not answered nothing but its id is kept.
        Some(_) => String::new(),
        None => serde_json::to_string(message).unwrap_or_default(),
    };
    Arrival {
        id: message.id.clone(),
        event: message.event.clone(),
        lane: conversation::key(settings, message),
        body,
        at,
        trace: id.to_string(),
        ended,
    }
}

/// A part of the answer to a message.
fn letter(item: &Item, chunk: Chunk) -> Letter {
    Letter {
        place: item.message.place(),
        chunk,
        in_reply_to: Some(item.message.id.clone()),
        sender: Some(item.message.sender.clone()),
    }
}

fn row(letter: &Letter, lane: &str, trace: &str, expires: Timestamp) -> NewRow {
    NewRow {
        id: uuid::Uuid::now_v7().to_string(),
        lane: lane.to_owned(),
        to: shown(&letter.place),
        body: serde_json::to_string(letter).unwrap_or_default(),
        trace: trace.to_owned(),
        created: Timestamp::now(),
        expires,
        sent: None,
    }
}

/// A place, for people.
fn shown(place: &Place) -> String {
    match &place.thread {
        Some(thread) => format!("{}/{thread}", place.room),
        None => place.room.clone(),
    }
}

fn prepared(scope: &Scope, row: NewRow) -> Row {
    Row {
        channel: scope.channel.clone(),
        state: moltbot_store::outbox::State::Prepared,
        attempts: 0,
        error: None,
        changed: row.created,
        row,
    }
}

async fn caught(turn: impl Future<Output = Turn>) -> Option<Turn> {
    AssertUnwindSafe(turn).catch_unwind().await.ok()
}

#[cfg(test)]
mod tests;
