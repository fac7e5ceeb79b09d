use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use moltbot_store::Store;
use moltbot_types::filter::Filter;
use moltbot_types::{
    Answer, Call, CallError, Dialect, Frames, Kind, Mark, ModelName, Operation, Reply, Workspace,
};
use moltbot_wire::openai::OPENAI;
use tokio::sync::Notify;

use super::*;
use crate::channel::{Account, ChannelError};
use crate::house::Model;
use crate::send::{Capabilities, Format, Outgoing, SendError, Sent};
use crate::settings::Rate;

mod commands;
mod conversations;
mod deliveries;
mod growth;
mod turns;

/// A platform that keeps what it is sent, and fails as it is told.
#[derive(Default)]
struct Platform {
    sent: Mutex<Vec<Outgoing>>,
    edits: Mutex<Vec<(String, String)>>,
    /// What the next tries come to.
    faults: Mutex<Vec<SendError>>,
    capabilities: Capabilities,
    /// When something was shown.
    times: Mutex<Vec<Instant>>,
    typed: AtomicUsize,
    /// A sending is found in the history.
    finds: bool,
}

impl Platform {
    fn texts(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|sent| sent.text.clone()).collect()
    }
}

#[async_trait]
impl Channel for Platform {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn render(&self, answer: &str, _: Format) -> Vec<Chunk> {
        let chunk = |text: &str| Chunk {
            text: text.to_owned(),
            plain: format!("plain {text}"),
            marked: true,
        };
        answer.split("|||").map(chunk).collect()
    }

    async fn login(&self) -> Result<Account, ChannelError> {
        Ok(Account::default())
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Sent, SendError> {
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return Err(fault);
        }
        self.sent.lock().unwrap().push(outgoing.clone());
        self.times.lock().unwrap().push(Instant::now());
        Ok(Sent {
            id: Some(format!("sent-{}", outgoing.key)),
        })
    }

    async fn edit(&self, id: &str, outgoing: &Outgoing) -> Result<(), SendError> {
        let edit = (id.to_owned(), outgoing.text.clone());
        self.edits.lock().unwrap().push(edit);
        self.times.lock().unwrap().push(Instant::now());
        Ok(())
    }

    async fn typing(&self, _: &Place) -> Result<(), SendError> {
        self.typed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn find(&self, _: &Outgoing) -> Result<Option<Sent>, SendError> {
        Ok(self.finds.then(Sent::default))
    }
}

/// A model that repeats the last message, or fails, or says what the test wants.
#[derive(Default)]
struct Mind {
    prompts: Mutex<Vec<String>>,
    says: Mutex<Option<String>>,
    /// Between two words of a stream.
    pace: Mutex<Duration>,
    fails: AtomicBool,
    /// Calls wait here where `held` is set.
    held: AtomicBool,
    go: Notify,
    /// Calls at once, and the most there were.
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Mind {
    fn prompts(&self) -> Vec<String> {
        self.prompts.lock().unwrap().clone()
    }
}

struct MindsDoor(Arc<Mind>);

impl Door for MindsDoor {
    fn enter(&self, call: Call) -> BoxFuture<'static, Result<Reply, CallError>> {
        let mind = Arc::clone(&self.0);
        Box::pin(async move {
            let body = String::from_utf8_lossy(&call.body).into_owned();
            mind.prompts.lock().unwrap().push(body);
            let now = mind.now.fetch_add(1, Ordering::SeqCst) + 1;
            mind.most.fetch_max(now, Ordering::SeqCst);
            if mind.held.load(Ordering::SeqCst) {
                mind.go.notified().await;
            }
            mind.now.fetch_sub(1, Ordering::SeqCst);
            if mind.fails.load(Ordering::SeqCst) {
                let error = CallError::new(Kind::Unavailable, "secret-host:1234 is down");
                return Err(error);
            }
            let prompt = OPENAI.read(Operation::Chat, &call.body)?;
            let said = mind.says.lock().unwrap().clone();
            let text = said.unwrap_or_else(|| prompt.last_user().unwrap_or_default().to_owned());
            let answer = Answer {
                text,
                ..Answer::default()
            };
            if !call.head.stream {
                return Ok(Reply::whole(
                    &OPENAI,
                    OPENAI.write(Operation::Chat, &answer),
                ));
            }
            let pieces: Vec<_> = answer.text.split_inclusive(' ').collect();
            let mut frames: Vec<_> = pieces
                .iter()
                .map(|piece| OPENAI.write_piece(Operation::Chat, &answer, piece))
                .map(|raw| Ok(Frames::one(raw, Mark::Content)))
                .collect();
            let end = OPENAI.write_end(Operation::Chat, &answer);
            frames.push(Ok(Frames::one(end, Mark::End)));
            let pace = *mind.pace.lock().unwrap();
            let frames = stream::iter(frames).then(move |frame| async move {
                sleep(pace).await;
                frame
            });
            Ok(Reply::stream(&OPENAI, frames))
        })
    }
}

type Counted = HashMap<(Way, Outcome), u64>;

#[derive(Default)]
struct Home {
    counted: Mutex<Counted>,
    filter: Option<Arc<dyn Filter>>,
}

impl House for Home {
    fn model(&self, _: &Workspace, name: Option<&str>) -> Result<Model, CallError> {
        match name {
            None | Some("main" | "other") => Ok(Model {
                name: name.unwrap_or("main").into(),
                vision: false,
            }),
            Some(name) => Err(CallError::new(Kind::ModelNotFound, name)),
        }
    }

    fn models(&self, _: &Workspace) -> Vec<ModelName> {
        vec!["main".into(), "other".into()]
    }

    fn filter(&self, _: &Workspace, _: &[String]) -> Option<Arc<dyn Filter>> {
        self.filter.clone()
    }

    fn count(&self, _: &Workspace, _: &str, way: Way, outcome: Outcome) {
        let mut counted = self.counted.lock().unwrap();
        *counted.entry((way, outcome)).or_default() += 1;
    }
}

/// A channel on a platform, a mind and a store in memory.
struct Rig {
    platform: Arc<Platform>,
    mind: Arc<Mind>,
    house: Arc<Home>,
    stores: Stores,
    driver: Driver,
    running: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Plan {
    platform: Platform,
    house: Home,
    settings: Settings,
}

fn stores() -> Stores {
    let store = Store::memory();
    Stores {
        inbox: store.inbox,
        outbox: store.outbox,
        sessions: store.sessions,
    }
}

impl Rig {
    fn start(plan: Plan) -> Self {
        Self::on(plan, stores(), Arc::default())
    }

    fn on(plan: Plan, stores: Stores, mind: Arc<Mind>) -> Self {
        let (platform, house) = (Arc::new(plan.platform), Arc::new(plan.house));
        let parts = Parts {
            settings: plan.settings,
            channel: Arc::clone(&platform) as Arc<dyn Channel>,
            stores: stores.clone(),
            door: Arc::new(MindsDoor(Arc::clone(&mind))),
            house: Arc::clone(&house) as Arc<dyn House>,
        };
        let driver = Driver::new(parts, None);
        let tasks = TaskTracker::new();
        let works = driver.clone();
        let running = tasks.spawn(async move { works.run().await });
        Self {
            platform,
            mind,
            house,
            stores,
            driver,
            running,
        }
    }

    async fn hear(&self, message: Message) {
        self.driver.accept(vec![message]).await.unwrap();
    }

    /// Waits until nothing is to be done.
    async fn settle(&self) {
        for _ in 0..2000 {
            sleep(Duration::from_millis(5)).await;
            if self.driver.0.tasks.is_empty() {
                return;
            }
        }
        panic!("there is still something to do");
    }

    async fn stop(self) -> (Stores, Arc<Mind>, Arc<Platform>) {
        self.driver.stop();
        self.running.await.unwrap();
        (self.stores, self.mind, self.platform)
    }

    fn counted(&self, way: Way, outcome: Outcome) -> u64 {
        let counted = self.house.counted.lock().unwrap();
        counted.get(&(way, outcome)).copied().unwrap_or_default()
    }
}

fn said(sender: &str, id: &str, text: &str) -> Message {
    Message {
        id: id.to_owned(),
        sender: sender.to_owned(),
        room: Some("r1".to_owned()),
        text: text.to_owned(),
        ..Message::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_pauses_longer_each_time_it_fails_and_runs_again_by_itself() {
    struct Failing(AtomicUsize);

    #[async_trait]
    impl Channel for Failing {
        fn kind(&self) -> &'static str {
            "failing"
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        fn render(&self, _: &str, _: Format) -> Vec<Chunk> {
            Vec::new()
        }

        async fn listen(
            &self,
            host: &dyn Host,
            stop: CancellationToken,
        ) -> Result<(), ChannelError> {
            if self.0.fetch_add(1, Ordering::SeqCst) < 12 {
                return Err(ChannelError("another poller is there".to_owned()));
            }
            host.up();
            stop.cancelled().await;
            Ok(())
        }

        async fn login(&self) -> Result<Account, ChannelError> {
            Ok(Account::default())
        }

        async fn send(&self, _: &Outgoing) -> Result<Sent, SendError> {
            Ok(Sent::default())
        }
    }

    let channel = Arc::new(Failing(AtomicUsize::new(0)));
    let parts = Parts {
        settings: Settings::default(),
        channel: Arc::clone(&channel) as Arc<dyn Channel>,
        stores: stores(),
        door: Arc::new(MindsDoor(Arc::default())),
        house: Arc::new(Home::default()),
    };
    let driver = Driver::new(parts, None);
    let works = driver.clone();
    let tasks = TaskTracker::new();
    let running = tasks.spawn(async move { works.run().await });
    sleep(Duration::from_millis(100)).await;
    let problem = driver.status().problem;
    assert_eq!(problem.as_deref(), Some("another poller is there"));
    // 1 + 2 + ... + 256 s, and then 300 s each.
    sleep(Duration::from_secs(511)).await;
    assert_eq!(channel.0.load(Ordering::SeqCst), 10);
    sleep(Duration::from_secs(900)).await;
    assert_eq!(driver.status().problem, None);
    driver.stop();
    running.await.unwrap();
}
