//! A platform where people talk to bots: how messages arrive, and how texts leave.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::message::Message;
use crate::send::{Capabilities, Chunk, Format, Outgoing, Place, SendError, Sent};

/// A platform, as an account of one bot.
///
/// Whoever drives it keeps the order: what [`Channel::receive`] or [`Channel::listen`] give is written to disk
/// first and acknowledged then; work comes later.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// The kind's name: `slack`.
    fn kind(&self) -> &'static str;

    /// What the platform can do.
    fn capabilities(&self) -> Capabilities;

    /// An answer as it is sent: in the platform's formatting, in pieces that it takes, measured after rendering.
    /// None where there is nothing to see.
    fn render(&self, answer: &str, format: Format) -> Vec<Chunk>;

    /// Whether messages arrive as posts to the channel's own path.
    fn takes_posts(&self) -> bool {
        false
    }

    /// Whether answers are the responses of posts, or are fetched: then nothing is sent.
    fn answers_in_response(&self) -> bool {
        false
    }

    /// Verifies a post over its raw bytes, then its age, then reads it.
    ///
    /// # Errors
    /// What cannot be trusted is 401, what makes no sense 400; of both nothing may be kept.
    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Received, Refused> {
        let _ = (request, now);
        Err(Refused::nothing_here())
    }

    /// The response that carries an answer, for channels whose posts wait for it: see [`Ack::Answer`].
    /// `None` is an answer that says nothing.
    fn response(&self, message: &Message, answer: Option<&str>) -> Response<Bytes> {
        let _ = (message, answer);
        Response::new(Bytes::new())
    }

    /// Brings messages by a socket or by polling until `stop`; returns early only when that fails.
    ///
    /// The driver calls it again after a pause that grows until [`Host::up`] is called. A channel whose
    /// messages arrive as posts alone logs in here, if at all, calls [`Host::up`] and waits for `stop`.
    ///
    /// # Errors
    /// Why it could not go on, in words for the operator, without secrets.
    async fn listen(&self, host: &dyn Host, stop: CancellationToken) -> Result<(), ChannelError> {
        host.up();
        stop.cancelled().await;
        Ok(())
    }

    /// Logs in at the platform and tells as whom.
    ///
    /// # Errors
    /// The platform cannot be reached or refuses, in words for the operator.
    async fn login(&self) -> Result<Account, ChannelError>;

    /// Sends one text.
    ///
    /// # Errors
    /// By what is known of the sending: see [`SendError`].
    async fn send(&self, outgoing: &Outgoing) -> Result<Sent, SendError>;

    /// Replaces the whole text of an earlier sending; `id` is its [`Sent::id`]. May be repeated.
    ///
    /// # Errors
    /// As [`Channel::send`].
    async fn edit(&self, id: &str, outgoing: &Outgoing) -> Result<(), SendError> {
        let _ = (id, outgoing);
        Err(SendError::Refused("texts can't be edited here".to_owned()))
    }

    /// Shows that the bot is writing; lasts some seconds.
    ///
    /// # Errors
    /// As [`Channel::send`]; nobody repeats it.
    async fn typing(&self, place: &Place) -> Result<(), SendError> {
        let _ = place;
        Ok(())
    }

    /// Looks for a sending of unknown outcome in the room's history, where the platform has one.
    ///
    /// # Errors
    /// As [`Channel::send`]: the history can't be read now.
    async fn find(&self, outgoing: &Outgoing) -> Result<Option<Sent>, SendError> {
        let _ = outgoing;
        Ok(None)
    }
}

/// Who drives a channel: takes what a socket or a poll brings.
#[async_trait]
pub trait Host: Send + Sync {
    /// Writes messages to disk. Only what this took may be acknowledged towards the platform.
    ///
    /// # Errors
    /// Nothing was kept: do not acknowledge.
    async fn accept(&self, messages: Vec<Message>) -> Result<(), NotKept>;

    /// The channel is logged in and messages can arrive: it is `running`, and pauses start anew.
    fn up(&self);
}

/// What a post brought.
#[derive(Debug)]
pub enum Received {
    /// Messages, none for events that are not answered; the post is acknowledged once they are on disk.
    Messages {
        /// The messages.
        messages: Vec<Message>,
        /// How.
        ack: Ack,
    },
    /// An answer at once, for handshakes: nothing is kept.
    Reply(Response<Bytes>),
}

/// How a post is acknowledged.
#[derive(Debug)]
pub enum Ack {
    /// With this response.
    Now(Response<Bytes>),
    /// With the answer to its one message, as [`Channel::response`] writes it.
    Answer,
}

impl Received {
    /// Messages that are acknowledged with an empty 200.
    pub fn messages(messages: Vec<Message>) -> Self {
        Self::Messages {
            messages,
            ack: Ack::Now(Response::new(Bytes::new())),
        }
    }
}

/// A post that is refused; nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// The status of the response.
    pub status: StatusCode,
    /// What is wrong, in words that the poster may read.
    pub reason: String,
}

impl Refused {
    /// The signature is missing, wrong or old: 401.
    pub fn untrusted(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            reason: reason.into(),
        }
    }

    /// The body makes no sense: 400.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: reason.into(),
        }
    }

    /// The channel takes no posts: 404.
    pub fn nothing_here() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            reason: "there is no such channel".to_owned(),
        }
    }
}

/// As whom a channel is logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The bot's id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

/// Why a channel does not work now; it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelError(pub String);

/// Messages could not be kept, so nothing may be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message could not be kept: {0}")]
pub struct NotKept(pub String);
