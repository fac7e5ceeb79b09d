//! The life of a message. Read downwards: each line is a step, and a step that stops it says what its sender hears.
//!
//! Before this list [`Channel::receive`](crate::Channel::receive) verified the raw bytes and looked at their age, the
//! driver wrote the message to disk under the platform's id, and the post was acknowledged; after it the driver
//! keeps the end of the message, its answer and what its conversation learns in one step, and delivers the answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moltbot_store::Sessions;
use moltbot_store::sessions::{Change, Exchange, Session, What};
use moltbot_types::filter::{Direction, Filter, Screen};
use moltbot_types::{CallError, Door, Kind, RequestId};

use crate::ask::{Answering, Question, ask};
use crate::channel::Channel;
use crate::command::Command;
use crate::conversation::{self, LIFE};
use crate::gate;
use crate::grow::Grow;
use crate::house::{House, Model, Outcome};
use crate::limit::Verdict;
use crate::message::{Content, Message};
use crate::notice::{Notice, write};
use crate::send::Chunk;
use crate::settings::Settings;
use crate::trace::Trace;

/// Exchanges that are kept of a conversation at least, so that a wider window finds some.
pub(crate) const KEPT: usize = 50;

/// What a turn stands on.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) settings: Arc<Settings>,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) door: Arc<dyn Door>,
    pub(crate) house: Arc<dyn House>,
}

/// A message whose turn it is.
pub(crate) struct Said<'a> {
    pub(crate) message: &'a Message,
    /// Names it from its event to the receipt of its answer.
    pub(crate) id: RequestId,
    pub(crate) arrived: Timestamp,
    /// What the limit of its sender says; counted when it arrived.
    pub(crate) limit: Verdict,
    /// Nothing is to come of it: no session learns, no skill writes.
    pub(crate) dry: bool,
}

/// What came of a turn.
pub(crate) struct Turn {
    pub(crate) outcome: Outcome,
    /// What its sender hears, as Markdown; `None` is nothing.
    pub(crate) answer: Option<String>,
    /// The same as it is sent.
    pub(crate) chunks: Vec<Chunk>,
    /// What the conversation learns.
    pub(crate) change: Option<Change>,
    pub(crate) trace: Trace,
    /// Why it failed, for the log.
    pub(crate) error: Option<String>,
}

/// Why a turn ends before its end.
struct Stop {
    outcome: Outcome,
    notice: Option<String>,
    error: Option<String>,
}

/// What a turn that went through gives.
struct Answer {
    text: String,
    what: What,
}

/// Takes a turn.
pub(crate) async fn take(desk: &Desk, said: &Said<'_>, grow: &mut dyn Grow) -> Turn {
    let mut trace = Trace::new();
    let end = steps(desk, said, &mut trace, grow).await;
    let (outcome, answer, what, error) = match end {
        Ok(answer) => (Outcome::Answered, Some(answer.text), answer.what, None),
        Err(stop) => (stop.outcome, stop.notice, What::Touched, stop.error),
    };
    let chunks = match &answer {
        Some(text) => desk.channel.render(text, desk.settings.format),
        None => Vec::new(),
    };
    if outcome == Outcome::Answered {
        trace.ok("render");
    }
    // Whoever may not talk here leaves no trace in a conversation.
    let touches = !said.dry && outcome != Outcome::Ignored && outcome != Outcome::Expired;
    let change = touches.then(|| change(desk, said, what));
    Turn {
        outcome,
        answer,
        chunks,
        change,
        trace,
        error,
    }
}

async fn steps(
    desk: &Desk,
    said: &Said<'_>,
    trace: &mut Trace,
    grow: &mut dyn Grow,
) -> Result<Answer, Stop> {
    // an answer that would come too late is not asked for
    fresh(desk, said)?;
    // who is answered at all: nothing is spent on others
    gate(desk, said, trace)?;
    // how often: one notice, then silence
    limit(said, trace)?;
    // nothing below sees what must not be seen
    let filter = desk
        .house
        .filter(&desk.settings.workspace, &desk.settings.filters);
    let text = filter_in(filter.as_deref(), said, trace).await?;
    // what was said before, by this sender alone
    let session = session(desk, said, trace).await?;
    // what the bot answers itself costs no call
    if let Some(command) = Command::parse(&said.message.text) {
        for step in ["skills", "model", "filter_out"] {
            trace.note(step, "skipped", Some("a command of the bot".to_owned()));
        }
        return Ok(obey(desk, said, command, &session));
    }
    let opening = opening(desk, &session);
    grow.begin(&opening);
    // skills or the model, by the path of every call; then what must not be said
    let answer = answer(desk, said, &session, &text, filter, trace, grow).await?;
    Ok(Answer {
        text: opening + &answer,
        what: What::Said {
            exchange: Exchange {
                user: text.into_owned(),
                assistant: answer,
            },
            keep: desk.settings.context_window.max(KEPT),
        },
    })
}

fn fresh(desk: &Desk, said: &Said<'_>) -> Result<(), Stop> {
    let age = Timestamp::now().duration_since(said.arrived);
    let age = Duration::try_from(age).unwrap_or_default();
    match age <= desk.settings.reply_ttl {
        true => Ok(()),
        false => Err(Stop::silent(Outcome::Expired)),
    }
}

fn gate(desk: &Desk, said: &Said<'_>, trace: &mut Trace) -> Result<(), Stop> {
    if let Some(reason) = gate::refuses(&desk.settings, said.message) {
        trace.note("gate", "stopped", Some(reason.to_owned()));
        return Err(Stop::silent(Outcome::Ignored));
    }
    trace.ok("gate");
    Ok(())
}

fn limit(said: &Said<'_>, trace: &mut Trace) -> Result<(), Stop> {
    let text = &said.message.text;
    match said.limit {
        Verdict::Within => trace.ok("rate_limit"),
        Verdict::Notice(wait) => {
            trace.note(
                "rate_limit",
                "stopped",
                Some("the sender is told".to_owned()),
            );
            return Err(Stop::notice(Outcome::Limited, Notice::Limited(wait), text));
        }
        Verdict::Silence => {
            trace.note(
                "rate_limit",
                "stopped",
                Some("the sender was told".to_owned()),
            );
            return Err(Stop::silent(Outcome::Limited));
        }
    }
    if said.message.content == Content::Other {
        trace.note(
            "filter_in",
            "stopped",
            Some("the message holds no text".to_owned()),
        );
        return Err(Stop::notice(Outcome::Ignored, Notice::NoText, text));
    }
    Ok(())
}

async fn filter_in<'a>(
    filter: Option<&dyn Filter>,
    said: &Said<'a>,
    trace: &mut Trace,
) -> Result<Cow<'a, str>, Stop> {
    let text = &said.message.text;
    let Some(filter) = filter.filter(|filter| filter.looks(Direction::Inbound)) else {
        trace.note("filter_in", "skipped", None);
        return Ok(Cow::Borrowed(text));
    };
    match filter.text(Direction::Inbound, text).await {
        Ok(changed) => {
            let reason = changed.is_some().then(|| "parts are masked".to_owned());
            trace.note("filter_in", "ok", reason);
            Ok(changed.map_or(Cow::Borrowed(text), Cow::Owned))
        }
        Err(error) => Err(blocked("filter_in", Notice::BlockedIn, text, &error, trace)),
    }
}

async fn session(desk: &Desk, said: &Said<'_>, trace: &mut Trace) -> Result<Session, Stop> {
    let key = conversation::key(&desk.settings, said.message);
    let window = desk.settings.context_window;
    match desk.sessions.load(&key, window, alive_since()).await {
        Ok(session) => {
            let turns = session.exchanges.len();
            trace.note("session", "ok", Some(format!("{turns} earlier turns")));
            Ok(session)
        }
        Err(error) => {
            trace.note("session", "failed", Some(error.to_string()));
            Err(Stop::failed(&said.message.text, error.to_string()))
        }
    }
}

/// Answers a command of the bot's own.
fn obey(desk: &Desk, said: &Said<'_>, command: Command<'_>, session: &Session) -> Answer {
    let (text, workspace) = (&said.message.text, &desk.settings.workspace);
    let (notice, what) = match command {
        Command::New => (Notice::New, What::Cleared),
        Command::Help => (Notice::Help, What::Touched),
        Command::Model(Some(name)) => match desk.house.model(workspace, Some(name)) {
            Ok(model) => {
                let chosen = What::Model(Some(model.name.to_string()));
                return told(Notice::Model(name), text, chosen);
            }
            Err(_) => (Notice::NoModel(name), What::Touched),
        },
        Command::Model(None) => {
            let used = model(desk, session);
            let used = used.map_or_else(|_| "-".to_owned(), |model| model.name.to_string());
            let all = desk.house.models(workspace);
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            return told(Notice::Models(&used, &all), text, What::Touched);
        }
    };
    told(notice, text, what)
}

fn told(notice: Notice<'_>, text: &str, what: What) -> Answer {
    Answer {
        text: write(notice, text),
        what,
    }
}

/// What comes before the first answer of a conversation.
fn opening(desk: &Desk, session: &Session) -> String {
    match &desk.settings.greeting {
        Some(greeting) if !session.begun => format!("{greeting}\n\n"),
        _ => String::new(),
    }
}

/// The model that was chosen in the conversation, where it may still be used; else the channel's.
fn model(desk: &Desk, session: &Session) -> Result<Model, CallError> {
    let workspace = &desk.settings.workspace;
    let chosen = session.model.as_deref();
    let chosen = chosen.and_then(|name| desk.house.model(workspace, Some(name)).ok());
    match chosen {
        Some(model) => Ok(model),
        None => desk.house.model(workspace, desk.settings.model.as_deref()),
    }
}

async fn answer(
    desk: &Desk,
    said: &Said<'_>,
    session: &Session,
    text: &str,
    filter: Option<Arc<dyn Filter>>,
    trace: &mut Trace,
    grow: &mut dyn Grow,
) -> Result<String, Stop> {
    let failed = |error: CallError, step: &str, trace: &mut Trace| {
        trace.note(step, "failed", Some(error.message().to_owned()));
        Stop::of(error, &said.message.text)
    };
    let model = model(desk, session).map_err(|error| failed(error, "model", trace))?;
    let question = Question {
        id: said.id,
        workspace: &desk.settings.workspace,
        channel: &desk.settings.name,
        sender: &said.message.sender,
        model: &model,
        system: desk.settings.system.as_deref(),
        history: &session.exchanges,
        text,
        images: &said.message.images,
        dry: said.dry,
        stream: grow.wants(),
        filtered: true,
    };
    let mut answering = match ask(&*desk.door, &question).await {
        Ok(answering) => answering,
        Err(error) => {
            trace.note("skills", "skipped", None);
            return Err(failed(error, "model", trace));
        }
    };
    let skill = answering.skill().map(str::to_owned);
    match &skill {
        Some(name) => trace.note("skills", "ok", Some(format!("{name} answers"))),
        None => trace.note("skills", "skipped", None),
    }
    let mut screen = filter
        .filter(|filter| filter.looks(Direction::Outbound))
        .map(|filter| filter.begin(Direction::Outbound));
    let read = read(&mut answering, screen.as_deref_mut(), grow).await;
    let answer = match read {
        Ok(answer) if answer.trim().is_empty() => {
            let empty = CallError::new(Kind::BadReply, "the answer is empty");
            return Err(failed(empty, "model", trace));
        }
        Ok(answer) => answer,
        Err(error) if is_filters(&error) => {
            trace.ok("model");
            let text = &said.message.text;
            return Err(blocked(
                "filter_out",
                Notice::BlockedOut,
                text,
                &error,
                trace,
            ));
        }
        Err(error) => return Err(failed(error, "model", trace)),
    };
    match &skill {
        Some(_) => trace.note("model", "skipped", Some("a skill answers".to_owned())),
        None => trace.note("model", "ok", answering.model()),
    }
    let outcome = if screen.is_some() { "ok" } else { "skipped" };
    trace.note("filter_out", outcome, None);
    Ok(answer)
}

/// Reads an answer to its end, through the filters, and shows how it grows.
async fn read(
    answering: &mut Answering,
    mut screen: Option<&mut (dyn Screen + 'static)>,
    grow: &mut dyn Grow,
) -> Result<String, CallError> {
    let mut answer = String::new();
    while let Some(piece) = answering.next().await? {
        let piece = match &mut screen {
            Some(screen) => screen.push(&piece).await?,
            None => piece,
        };
        if !piece.is_empty() {
            answer.push_str(&piece);
            grow.grow(&piece).await;
        }
    }
    if let Some(screen) = screen {
        let rest = screen.finish().await?;
        answer.push_str(&rest);
    }
    Ok(answer)
}

fn is_filters(error: &CallError) -> bool {
    error.kind() == Kind::ContentFilter || error.word() == "filter_unavailable"
}

fn blocked(
    step: &str,
    notice: Notice<'_>,
    text: &str,
    error: &CallError,
    trace: &mut Trace,
) -> Stop {
    let reason = Some(error.message().to_owned());
    if error.kind() == Kind::ContentFilter {
        trace.note(step, "stopped", reason);
        return Stop::notice(Outcome::Filtered, notice, text);
    }
    trace.note(step, "failed", reason);
    Stop::failed(text, error.chain())
}

fn change(desk: &Desk, said: &Said<'_>, what: What) -> Change {
    Change {
        key: conversation::key(&desk.settings, said.message),
        at: Timestamp::now(),
        alive_since: alive_since(),
        what,
    }
}

/// A conversation without a message since then has ended.
pub(crate) fn alive_since() -> Timestamp {
    Timestamp::now()
        .checked_sub(LIFE)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Stop {
    fn silent(outcome: Outcome) -> Self {
        Self {
            outcome,
            notice: None,
            error: None,
        }
    }

    fn notice(outcome: Outcome, notice: Notice<'_>, text: &str) -> Self {
        Self {
            outcome,
            notice: Some(write(notice, text)),
            error: None,
        }
    }

    fn failed(text: &str, error: String) -> Self {
        Self {
            error: Some(error),
            ..Self::notice(Outcome::Failed, Notice::Failed, text)
        }
    }

    /// The failure of a call. A filter of the path blocked it; all else is the model's failure.
    fn of(error: CallError, text: &str) -> Self {
        match error.kind() {
            Kind::ContentFilter => Self::notice(Outcome::Filtered, Notice::BlockedIn, text),
            _ => Self::failed(text, error.chain()),
        }
    }
}
