//! Posts to a channel's path, and those who wait for an answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use moltbot_store::inbox::Arrived;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Driver, Shown};
use crate::channel::{Ack, NotKept, Received, Refused};
use crate::gate;
use crate::grow::Progress;
use crate::message::Message;

/// An acknowledgement leaves within the 3 s that platforms give, whatever the disk does.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(2500);

/// Those who wait for the answer to a message, by its id.
#[derive(Default)]
pub(super) struct Watchers(Mutex<HashMap<String, Watched>>);

struct Watched {
    progress: watch::Sender<Progress>,
    stream: bool,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, id: &str, stream: bool) -> watch::Receiver<Progress> {
        let mut watched = self.lock();
        let of = watched.entry(id.to_owned()).or_insert_with(|| Watched {
            progress: watch::Sender::new(Progress::default()),
            stream,
        });
        of.progress.subscribe()
    }

    /// Whom the turn of a message shows its answer.
    pub(super) fn of(&self, id: &str) -> Option<Shown> {
        let watched = self.lock();
        watched.get(id).map(|watched| Shown {
            progress: watched.progress.clone(),
            stream: watched.stream,
        })
    }

    /// One who waited goes, before there was anything to wait for.
    fn leave(&self, id: &str) {
        let mut watched = self.lock();
        if watched
            .get(id)
            .is_some_and(|watched| watched.progress.receiver_count() <= 1)
        {
            watched.remove(id);
        }
    }

    /// The process ends: nobody waits any longer.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// The answer is there; `None` says nothing.
    pub(super) fn end(&self, id: &str, answer: Option<String>) {
        if let Some(watched) = self.lock().remove(id) {
            watched.progress.send_replace(Progress {
                text: answer.unwrap_or_default(),
                ended: true,
            });
        }
    }
}

impl Driver {
    /// Answers a post to the channel's path.
    pub async fn post(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let channel = &self.0.channel;
        let received = match channel.takes_posts() {
            true => channel.receive(request, SystemTime::now()),
            false => Err(Refused::nothing_here()),
        };
        match received {
            Ok(Received::Reply(response)) => response,
            Ok(Received::Messages {
                messages,
                ack: Ack::Now(response),
            }) => match timeout(ACKNOWLEDGED_WITHIN, self.take(messages)).await {
                Ok(Ok(_)) => response,
                Ok(Err(error)) => later(&error),
                Err(_) => later(&NotKept("the disk is slow".to_owned())),
            },
            Ok(Received::Messages { messages, .. }) => match messages.into_iter().next() {
                Some(message) => self.answered(message).await,
                None => Response::new(Bytes::new()),
            },
            Err(refused) => refusal(refused.status, &refused.reason),
        }
    }

    /// The response that carries the answer to a message.
    async fn answered(&self, message: Message) -> Response<Bytes> {
        let mut progress = match self.ask(message.clone(), false).await {
            Ok(progress) => progress,
            Err(error) => return later(&error),
        };
        match progress.wait_for(|so_far| so_far.ended).await {
            Ok(end) => {
                let text = (!end.text.is_empty()).then_some(end.text.as_str());
                self.0.channel.response(&message, text)
            }
            Err(_) => later(&NotKept("the daemon is stopping".to_owned())),
        }
    }

    /// Takes a message and shows how its answer grows, in pieces where `stream` says so. The answer to a message
    /// that was there already is the first one.
    ///
    /// # Errors
    /// The message could not be kept.
    pub async fn ask(
        &self,
        message: Message,
        stream: bool,
    ) -> Result<watch::Receiver<Progress>, NotKept> {
        let id = message.id.clone();
        let is_refused = gate::refuses(&self.settings(), &message).is_some();
        // First, so that an answer that comes at once is not missed.
        let progress = self.0.watchers.watch(&id, stream);
        let arrived = match self.take(vec![message]).await {
            Ok(arrived) => arrived,
            Err(error) => {
                self.0.watchers.leave(&id);
                return Err(error);
            }
        };
        if !is_refused && !arrived.contains(&Arrived::Known) {
            return Ok(progress);
        }
        let kept = self.0.stores.inbox.find(&self.0.scope, &id).await;
        let kept = kept.map_err(|error| NotKept(error.to_string()))?;
        if let Some(end) = kept.and_then(|kept| kept.end) {
            self.0.watchers.end(&id, end.answer);
        }
        Ok(progress)
    }
}

/// Not now: nothing was kept, and the poster may come again.
fn later(error: &NotKept) -> Response<Bytes> {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
    let wait = HeaderValue::from_static("5");
    response.headers_mut().insert(RETRY_AFTER, wait);
    response
}

fn refusal(status: StatusCode, reason: &str) -> Response<Bytes> {
    let body = json!({ "error": { "message": reason } }).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
