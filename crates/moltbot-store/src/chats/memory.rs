//! Messages, sendings and conversations that end with the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;

use crate::error::{Result, StoreError};
use crate::inbox::{Arrival, Arrived, Finish, Inbox, Kept, Scope};
use crate::lock;
use crate::outbox::{NewRow, Outbox, Row, Settled, State};
use crate::sessions::{Change, Exchange, Session, Sessions, What};

/// All of it, under one lock.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    last: i64,
    inbox: BTreeMap<i64, (Scope, Message)>,
    ids: HashMap<(Scope, Id), i64>,
    outbox: BTreeMap<i64, (Scope, Row)>,
    rows: HashMap<String, i64>,
    sessions: HashMap<String, Talk>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Id {
    Message(String),
    Event(String),
}

#[derive(Debug)]
struct Message {
    kept: Kept,
    event: Option<String>,
    /// It was ended as it came.
    held: bool,
}

#[derive(Debug, Default)]
struct Talk {
    model: Option<String>,
    touched: Timestamp,
    exchanges: Vec<Exchange>,
}

impl Books {
    fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    fn arrive(&mut self, scope: &Scope, arrival: Arrival) -> Arrived {
        let id = (scope.clone(), Id::Message(arrival.id.clone()));
        let event = arrival.event.clone();
        let event = event.map(|event| (scope.clone(), Id::Event(event)));
        if let Some(seq) = self.ids.get(&id).copied() {
            return self.again(seq, arrival);
        }
        if event
            .as_ref()
            .is_some_and(|event| self.ids.contains_key(event))
        {
            return Arrived::Known;
        }
        let seq = self.next();
        self.ids.insert(id, seq);
        if let Some(event) = event {
            self.ids.insert(event, seq);
        }
        let message = Message {
            kept: kept(seq, &arrival),
            event: arrival.event,
            held: arrival.ended.is_some(),
        };
        self.inbox.insert(seq, (scope.clone(), message));
        Arrived::New(seq)
    }

    fn again(&mut self, seq: i64, arrival: Arrival) -> Arrived {
        match self.inbox.get_mut(&seq) {
            Some((_, there)) if there.held && arrival.ended.is_none() => {
                there.held = false;
                there.kept.body = arrival.body;
                there.kept.end = None;
                Arrived::Reopened(seq)
            }
            _ => Arrived::Known,
        }
    }

    /// Keeps rows. One that is there and still open is prepared anew.
    fn put(&mut self, scope: &Scope, rows: Vec<NewRow>) {
        for row in rows {
            if let Some((_, there)) = self.row(&row.id) {
                if there.state.is_open() {
                    there.state = State::Prepared;
                    there.row.body = row.body;
                    there.row.sent = row.sent.or(there.row.sent.take());
                }
                continue;
            }
            let seq = self.next();
            self.rows.insert(row.id.clone(), seq);
            let row = Row {
                channel: scope.channel.clone(),
                state: State::Prepared,
                attempts: 0,
                error: None,
                changed: row.created,
                row,
            };
            self.outbox.insert(seq, (scope.clone(), row));
        }
    }

    fn row(&mut self, id: &str) -> Option<&mut (Scope, Row)> {
        let seq = self.rows.get(id)?;
        self.outbox.get_mut(seq)
    }

    fn change(&mut self, change: Change) {
        let talk = self.sessions.entry(change.key).or_default();
        if talk.touched < change.alive_since {
            talk.exchanges.clear();
        }
        talk.touched = change.at;
        match change.what {
            What::Touched => {}
            What::Said { exchange, keep } => {
                talk.exchanges.push(exchange);
                let over = talk.exchanges.len().saturating_sub(keep);
                talk.exchanges.drain(..over);
            }
            What::Cleared => talk.exchanges.clear(),
            What::Model(model) => talk.model = model,
        }
    }
}

fn kept(seq: i64, arrival: &Arrival) -> Kept {
    Kept {
        seq,
        id: arrival.id.clone(),
        lane: arrival.lane.clone(),
        body: arrival.body.clone(),
        at: arrival.at,
        trace: arrival.trace.clone(),
        end: arrival.ended.clone(),
    }
}

#[async_trait]
impl Inbox for Memory {
    async fn arrive(&self, scope: &Scope, arrivals: Vec<Arrival>) -> Result<Vec<Arrived>> {
        let mut books = lock(&self.0);
        let arrived = arrivals
            .into_iter()
            .map(|arrival| books.arrive(scope, arrival));
        Ok(arrived.collect())
    }

    async fn find(&self, scope: &Scope, id: &str) -> Result<Option<Kept>> {
        let books = lock(&self.0);
        let seq = books.ids.get(&(scope.clone(), Id::Message(id.to_owned())));
        let message = seq.and_then(|seq| books.inbox.get(seq));
        Ok(message.map(|(_, message)| message.kept.clone()))
    }

    async fn waiting(&self, scope: &Scope) -> Result<Vec<Kept>> {
        let books = lock(&self.0);
        let messages = books.inbox.values();
        let waiting = messages.filter(|(of, message)| of == scope && message.kept.end.is_none());
        Ok(waiting.map(|(_, message)| message.kept.clone()).collect())
    }

    async fn finish(&self, scope: &Scope, finish: Finish) -> Result<bool> {
        let mut books = lock(&self.0);
        match books.inbox.get_mut(&finish.seq) {
            Some((of, message)) if of == scope && message.kept.end.is_none() => {
                message.kept.end = Some(finish.end);
                message.kept.body.clear();
            }
            _ => return Ok(false),
        }
        books.put(scope, finish.rows);
        if let Some(change) = finish.session {
            books.change(change);
        }
        Ok(true)
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        let books = &mut *lock(&self.0);
        let ids = &mut books.ids;
        books.inbox.retain(|_, (scope, message)| {
            let keep = message.kept.end.is_none() || message.kept.at >= before;
            if !keep {
                ids.remove(&(scope.clone(), Id::Message(message.kept.id.clone())));
                if let Some(event) = &message.event {
                    ids.remove(&(scope.clone(), Id::Event(event.clone())));
                }
            }
            keep
        });
        Ok(())
    }
}

#[async_trait]
impl Outbox for Memory {
    async fn put(&self, scope: &Scope, rows: Vec<NewRow>) -> Result<()> {
        let mut books = lock(&self.0);
        let taken = rows.iter().find(|row| books.row(&row.id).is_some());
        if let Some(row) = taken {
            return Err(StoreError::Duplicate(format!("the sending {}", row.id)));
        }
        books.put(scope, rows);
        Ok(())
    }

    async fn open(&self, scope: &Scope) -> Result<Vec<Row>> {
        let books = lock(&self.0);
        let rows = books.outbox.values();
        let open = rows.filter(|(of, row)| of == scope && row.state.is_open());
        Ok(open.map(|(_, row)| row.clone()).collect())
    }

    async fn begin(&self, id: &str, at: Timestamp) -> Result<bool> {
        let mut books = lock(&self.0);
        let Some((_, row)) = books.row(id).filter(|(_, row)| row.state.is_open()) else {
            return Ok(false);
        };
        row.state = State::Sending;
        row.attempts += 1;
        row.changed = at;
        Ok(true)
    }

    async fn settle(&self, id: &str, settled: Settled) -> Result<bool> {
        let mut books = lock(&self.0);
        let Some((_, row)) = books.row(id).filter(|(_, row)| row.state.is_open()) else {
            return Ok(false);
        };
        row.state = settled.state;
        row.error = settled.error;
        row.changed = settled.at;
        if settled.sent.is_some() {
            row.row.sent = settled.sent;
        }
        Ok(true)
    }

    async fn list(&self, workspace: &Workspace, closed_since: Timestamp) -> Result<Vec<Row>> {
        let books = lock(&self.0);
        let rows = books.outbox.values();
        let shown = rows.filter(|(scope, row)| {
            scope.workspace == *workspace && (row.state.is_open() || row.changed >= closed_since)
        });
        Ok(shown.map(|(_, row)| row.clone()).collect())
    }

    async fn get(&self, workspace: &Workspace, id: &str) -> Result<Option<Row>> {
        let mut books = lock(&self.0);
        let row = books.row(id).filter(|(of, _)| of.workspace == *workspace);
        Ok(row.map(|(_, row)| row.clone()))
    }

    async fn resend(
        &self,
        workspace: &Workspace,
        id: &str,
        at: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<Row>> {
        let mut books = lock(&self.0);
        let row = books.row(id).filter(|(of, _)| of.workspace == *workspace);
        let Some((_, row)) = row.filter(|(_, row)| row.state.may_be_resent()) else {
            return Ok(None);
        };
        row.state = State::Prepared;
        row.error = None;
        row.changed = at;
        row.row.expires = expires;
        Ok(Some(row.clone()))
    }

    async fn discard(&self, workspace: &Workspace, id: &str, at: Timestamp) -> Result<bool> {
        let mut books = lock(&self.0);
        let row = books.row(id).filter(|(of, _)| of.workspace == *workspace);
        let ended = [State::Delivered, State::Dropped];
        let Some((_, row)) = row.filter(|(_, row)| !ended.contains(&row.state)) else {
            return Ok(false);
        };
        row.state = State::Dropped;
        row.changed = at;
        Ok(true)
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        let books = &mut *lock(&self.0);
        let rows = &mut books.rows;
        books.outbox.retain(|_, (_, row)| {
            let keep = row.state.is_open() || row.changed >= before;
            if !keep {
                rows.remove(&row.row.id);
            }
            keep
        });
        Ok(())
    }
}

#[async_trait]
impl Sessions for Memory {
    async fn load(&self, key: &str, turns: usize, alive_since: Timestamp) -> Result<Session> {
        let books = lock(&self.0);
        let Some(talk) = books.sessions.get(key) else {
            return Ok(Session::default());
        };
        let begun = talk.touched >= alive_since;
        let from = match begun {
            true => talk.exchanges.len().saturating_sub(turns),
            false => talk.exchanges.len(),
        };
        Ok(Session {
            begun,
            model: talk.model.clone(),
            exchanges: talk.exchanges[from..].to_vec(),
        })
    }

    async fn change(&self, change: Change) -> Result<()> {
        lock(&self.0).change(change);
        Ok(())
    }

    async fn forget(&self, alive_since: Timestamp, before: Timestamp) -> Result<()> {
        lock(&self.0).sessions.retain(|_, talk| {
            if talk.touched < alive_since {
                talk.exchanges.clear();
            }
            talk.touched >= before
        });
        Ok(())
    }
}
