//! The adapters of `moltbot-channels` against platforms that fail.

#![allow(clippy::unwrap_used)] // a test that can't go on panics

mod feishu;
mod slack;
mod telegram;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use moltbot_channels::{Channel, ChannelError, Format, Host, Message, NotKept, Outgoing, Place};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An answer with everything in it.
const ANSWER: &str =
    include_str!("../../../../crates/moltbot-channels/src/render/golden/answer.md");

/// Keeps what comes, or refuses to.
#[derive(Default)]
struct Kept {
    messages: Mutex<Vec<Message>>,
    full: AtomicBool,
    refused: AtomicUsize,
    ups: AtomicUsize,
}

impl Kept {
    /// How often each text came.
    fn texts(&self) -> HashMap<String, usize> {
        let mut texts = HashMap::new();
        for message in self.messages.lock().unwrap().iter() {
            *texts.entry(message.text.clone()).or_default() += 1;
        }
        texts
    }

    fn is_up(&self) -> bool {
        self.ups.load(Ordering::SeqCst) > 0
    }
}

#[async_trait]
impl Host for Kept {
    async fn accept(&self, messages: Vec<Message>) -> Result<(), NotKept> {
        if self.full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(NotKept("the disk is full".to_owned()));
        }
        self.messages.lock().unwrap().extend(messages);
        Ok(())
    }

    fn up(&self) {
        self.ups.fetch_add(1, Ordering::SeqCst);
    }
}

/// A channel that listens, again and again, as a driver would have it.
struct Listening {
    kept: Arc<Kept>,
    errors: Arc<Mutex<Vec<ChannelError>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listening {
    fn to(channel: Arc<dyn Channel>) -> Self {
        let (kept, errors) = (Arc::<Kept>::default(), Arc::<Mutex<Vec<_>>>::default());
        let stop = CancellationToken::new();
        let (host, failures, end) = (Arc::clone(&kept), Arc::clone(&errors), stop.clone());
        let listen = async move {
            while let Err(error) = channel.listen(&*host, end.clone()).await {
                failures.lock().unwrap().push(error);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the test awaits its end")]
        let task = tokio::spawn(listen);
        Self {
            kept,
            errors,
            stop,
            task,
        }
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.errors.lock().unwrap();
        errors.iter().map(ToString::to_string).collect()
    }

    /// Asks it to end, which it does at once.
    async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.task).await;
        ended.expect("it ends").unwrap();
    }
}

async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..600 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not happen: {what}");
}

fn answer(key: &str, room: &str, text: &str) -> Outgoing {
    Outgoing {
        key: key.to_owned(),
        place: Place {
            room: room.to_owned(),
            ..Place::default()
        },
        text: text.to_owned(),
        marked: true,
        ..Outgoing::default()
    }
}

/// Sends an answer as the channel renders it.
async fn send_all(channel: &dyn Channel, room: &str, markdown: &str, format: Format) {
    for (number, chunk) in channel.render(markdown, format).into_iter().enumerate() {
        let mut outgoing = answer(&format!("{format:?}{number}"), room, &chunk.text);
        outgoing.marked = chunk.marked;
        channel.send(&outgoing).await.unwrap();
    }
}
