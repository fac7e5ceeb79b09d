//! Slack: the Web API, events by signed posts, and Socket Mode.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::Faults;
use crate::deliver::{Deliveries, client};
use crate::faults::{Fate, Luck};
use crate::http::{Answer, Api, Asked, serve};

/// How long an envelope's acknowledgement may take before the event is sent again.
const PATIENCE: Duration = Duration::from_secs(3);

/// A text that a bot posted.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackPost {
    /// The room.
    pub channel: String,
    /// The thread.
    pub thread: Option<String>,
    /// Its id.
    pub ts: String,
    /// The text as it stands now.
    pub text: String,
    /// Every text that it had.
    pub texts: Vec<String>,
    /// What the bot put beside it.
    pub metadata: Value,
    /// Whether marks are shown as formatting.
    pub mrkdwn: bool,
}

/// A Slack workspace with one app; it ends when this is dropped.
pub struct Slack {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

struct Shared {
    fate: Fate,
    socket_url: Mutex<String>,
    events_url: Mutex<Option<String>>,
    posts: Mutex<Vec<SlackPost>>,
    calls: Mutex<Vec<String>>,
    clock: AtomicUsize,
    queue: Mutex<VecDeque<Value>>,
    waiting: Notify,
    acknowledged: AtomicUsize,
    sockets: AtomicUsize,
    deliveries: Deliveries,
    client: reqwest::Client,
}

impl Slack {
    /// The bot's token.
    pub const BOT_TOKEN: &'static str = "xoxb-mock";
    /// The app's token.
    pub const APP_TOKEN: &'static str = "xapp-mock";
    /// Signs posted events.
    pub const SIGNING_SECRET: &'static str = "slack-signing-secret";
    /// The bot's id as a user.
    pub const BOT_USER: &'static str = "U0BOT";

    /// Starts it.
    pub async fn start(faults: Faults) -> Self {
        let mut tasks = JoinSet::new();
        let shared = Arc::new(Shared {
            fate: Fate::new(faults),
            socket_url: Mutex::default(),
            events_url: Mutex::default(),
            posts: Mutex::default(),
            calls: Mutex::default(),
            clock: AtomicUsize::new(1),
            queue: Mutex::default(),
            waiting: Notify::new(),
            acknowledged: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            deliveries: Deliveries::new(),
            client: client(),
        });
        let address = serve(Arc::clone(&shared), &mut tasks).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = listener.local_addr().expect("bound");
        *shared.socket_url.lock().expect("whole") = format!("ws://{socket}/link?ticket=t");
        let serving = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut sockets = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sockets.spawn(socket_mode(stream, Arc::clone(&serving)));
                while sockets.try_join_next().is_some() {}
            }
        });
        Self {
            shared,
            address,
            _tasks: tasks,
        }
    }

    /// The base URL of its API.
    pub fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Posts events there, instead of by sockets.
    pub fn post_events_to(&self, url: impl Into<String>) {
        *self.shared.events_url.lock().expect("whole") = Some(url.into());
    }

    /// Changes how it fails.
    pub fn fail(&self, faults: Faults) {
        self.shared.fate.set(faults);
    }

    /// A person says something in a room; rooms that begin with `D` are direct. Gives the message's `ts`.
    pub fn say(&self, user: &str, channel: &str, text: &str) -> String {
        self.tell(json!({ "type": "message", "user": user, "channel": channel, "text": text }))
    }

    /// The same, seen twice: as a message, and as a mention of the app.
    pub fn mention(&self, user: &str, channel: &str, text: &str) -> String {
        let text = format!("<@{}> {text}", Self::BOT_USER);
        let ts = self.say(user, channel, &text);
        self.tell(json!({ "type": "app_mention", "user": user, "channel": channel, "text": text, "ts": ts }));
        ts
    }

    /// Sends any event; `ts` and `channel_type` are added where they are missing. Gives `ts`.
    pub fn tell(&self, mut event: Value) -> String {
        let number = self.shared.clock.fetch_add(1, Ordering::SeqCst);
        let ts = event["ts"].as_str().map(str::to_owned);
        let ts = ts.unwrap_or_else(|| self.shared.stamp(number));
        event["ts"] = json!(ts);
        let direct = event["channel"]
            .as_str()
            .is_some_and(|room| room.starts_with('D'));
        if event["type"] == "message" && event["channel_type"].is_null() {
            event["channel_type"] = json!(if direct { "im" } else { "channel" });
        }
        let envelope = json!({
            "type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": format!("Ev{number}"),
            "event_time": seconds(), "event": event, "token": "old",
            "authorizations": [{ "team_id": "T1", "user_id": Self::BOT_USER, "is_bot": true }],
        });
        self.shared.deliver(envelope);
        ts
    }

    /// What the bot posted, in order.
    pub fn posts(&self) -> Vec<SlackPost> {
        self.shared.posts.lock().expect("whole").clone()
    }

    /// The methods that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        self.shared.calls.lock().expect("whole").clone()
    }

    /// Events that were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Events that are on their way.
    pub fn open(&self) -> usize {
        self.shared.deliveries.open() + self.shared.queue.lock().expect("whole").len()
    }

    /// Posted events that were not acknowledged within 3 s.
    pub fn late(&self) -> usize {
        self.shared.deliveries.late()
    }

    /// Posted events that were refused.
    pub fn refused(&self) -> usize {
        self.shared.deliveries.refused()
    }

    /// Open sockets.
    pub fn sockets(&self) -> usize {
        self.shared.sockets.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn stamp(&self, number: usize) -> String {
        format!("{}.{:06}", seconds(), number)
    }

    fn deliver(self: &Arc<Self>, envelope: Value) {
        let Some(url) = self.events_url.lock().expect("whole").clone() else {
            let mut queue = self.queue.lock().expect("whole");
            if self.fate.hits(|faults| faults.repeated) {
                queue.push_back(envelope.clone());
            }
            queue.push_back(envelope);
            let last = queue.len() - 1;
            if last > 0 && self.fate.hits(|faults| faults.reordered) {
                queue.swap(last, last - 1);
            }
            drop(queue);
            self.waiting.notify_one();
            return;
        };
        let body = envelope.to_string();
        let client = self.client.clone();
        let post = move |tries: usize| {
            let at = seconds().to_string();
            let mut request = client
                .post(&url)
                .header("content-type", "application/json")
                .header("x-slack-request-timestamp", &at)
                .header("x-slack-signature", signature(&at, &body));
            if tries > 0 {
                request = request
                    .header("x-slack-retry-num", tries.to_string())
                    .header("x-slack-retry-reason", "http_error");
            }
            request.body(body.clone())
        };
        self.deliveries.deliver(Arc::new(post), &self.fate);
    }

    fn post_message(&self, body: &Value) -> Result<Value, &'static str> {
        let channel = body["channel"].as_str().unwrap_or("");
        let text = body["text"].as_str().unwrap_or("");
        if !channel.starts_with(['C', 'D', 'G', 'U']) {
            return Err("channel_not_found");
        }
        if text.is_empty() {
            return Err("no_text");
        }
        if text.chars().count() > 40_000 {
            return Err("msg_too_long");
        }
        // A text to a person lies in the room of the two.
        let channel = match channel.strip_prefix('U') {
            Some(user) => format!("D{user}"),
            None => channel.to_owned(),
        };
        let ts = self.stamp(self.clock.fetch_add(1, Ordering::SeqCst));
        let post = SlackPost {
            channel: channel.clone(),
            thread: body["thread_ts"].as_str().map(str::to_owned),
            ts: ts.clone(),
            text: text.to_owned(),
            texts: vec![text.to_owned()],
            metadata: body["metadata"].clone(),
            mrkdwn: body["mrkdwn"] != false,
        };
        let message = shown(&post);
        self.posts.lock().expect("whole").push(post);
        Ok(json!({ "ok": true, "channel": channel, "ts": ts, "message": message }))
    }

    fn update(&self, body: &Value) -> Result<Value, &'static str> {
        let (channel, ts) = (&body["channel"], &body["ts"]);
        let text = body["text"].as_str().unwrap_or("");
        if text.chars().count() > 4000 {
            return Err("msg_too_long");
        }
        let mut posts = self.posts.lock().expect("whole");
        let mut posts = posts.iter_mut();
        let found = posts.find(|post| *channel == post.channel && *ts == post.ts);
        let post = found.ok_or("message_not_found")?;
        text.clone_into(&mut post.text);
        post.texts.push(text.to_owned());
        Ok(json!({ "ok": true, "channel": channel, "ts": ts, "text": text }))
    }

    fn history(&self, body: &Value, thread: Option<&str>) -> Value {
        let oldest = body["oldest"].as_str().unwrap_or("0");
        let all = body["include_all_metadata"] == "true"
            || body["include_all_metadata"] == true
            || body["include_all_metadata"] == "1";
        let posts = self.posts.lock().expect("whole");
        let posts = posts.iter().filter(|post| {
            let here = body["channel"] == post.channel && post.ts.as_str() > oldest;
            here && post.thread.as_deref() == thread
        });
        let messages: Vec<Value> = posts
            .map(|post| {
                let mut message = shown(post);
                if !all {
                    message["metadata"] = json!({});
                }
                message
            })
            .collect();
        json!({ "ok": true, "messages": messages, "has_more": false })
    }
}

impl Api for Shared {
    async fn answer(&self, asked: Asked) -> Answer {
        let method = asked.path.trim_start_matches("/api/").to_owned();
        self.calls.lock().expect("whole").push(method.clone());
        let body = asked.parameters();
        let token = match asked.bearer() {
            "" => body["token"].as_str().unwrap_or(""),
            token => token,
        };
        let expected = match method.as_str() {
            "apps.connections.open" => Slack::APP_TOKEN,
            _ => Slack::BOT_TOKEN,
        };
        let fail = |error: &str| Answer::Json(200, json!({ "ok": false, "error": error }));
        if token != expected {
            return fail("invalid_auth");
        }
        let luck = match method.as_str() {
            "chat.postMessage" | "chat.update" => self.fate.of_a_sending().await,
            _ => Luck::Good,
        };
        if let Luck::Limited(wait) = luck {
            let wait = wait.as_secs().to_string();
            let body = json!({ "ok": false, "error": "ratelimited" });
            return Answer::With(429, ("retry-after", wait), body);
        }
        let done = match method.as_str() {
            "auth.test" => Ok(json!({
                "ok": true, "url": "https://mock.slack.com/", "team": "Mock", "user": "helper", "team_id": "T1",
                "user_id": Slack::BOT_USER, "bot_id": "B0BOT",
            })),
            "apps.connections.open" => {
                let url = self.socket_url.lock().expect("whole").clone();
                Ok(json!({ "ok": true, "url": url }))
            }
            "chat.postMessage" => self.post_message(&body),
            "chat.update" => self.update(&body),
            "conversations.history" => Ok(self.history(&body, None)),
            "conversations.replies" => Ok(self.history(&body, body["ts"].as_str())),
            _ => Err("unknown_method"),
        };
        match (luck, done) {
            (Luck::Lost, _) => Answer::Lost,
            (_, Ok(body)) => Answer::Json(200, body),
            (_, Err(error)) => fail(error),
        }
    }
}

fn shown(post: &SlackPost) -> Value {
    json!({
        "type": "message", "user": Slack::BOT_USER, "bot_id": "B0BOT", "ts": post.ts, "text": post.text,
        "thread_ts": post.thread, "metadata": post.metadata,
    })
}

/// One socket: says hello, then sends envelopes, one at a time, until each is acknowledged.
async fn socket_mode(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let hello =
        json!({ "type": "hello", "num_connections": 1, "connection_info": { "app_id": "A1" } });
    if socket
        .send(Frame::Text(hello.to_string().into()))
        .await
        .is_err()
    {
        return;
    }
    shared.sockets.fetch_add(1, Ordering::SeqCst);
    let mut number = 0;
    loop {
        let next = shared.queue.lock().expect("whole").pop_front();
        let Some(event) = next else {
            tokio::select! {
                () = shared.waiting.notified() => {}
                () = sleep(Duration::from_millis(100)) => {}
                frame = socket.next() => if !matches!(frame, Some(Ok(_))) { break },
            }
            continue;
        };
        number += 1;
        let id = format!("{}-{number}", event["event_id"].as_str().unwrap_or(""));
        let envelope = json!({
            "type": "events_api", "envelope_id": id, "payload": event, "accepts_response_payload": false,
            "retry_attempt": 0, "retry_reason": "",
        });
        let sent = socket.send(Frame::Text(envelope.to_string().into())).await;
        let heard = timeout(PATIENCE, acknowledged(&mut socket, &id)).await;
        if sent.is_err() || heard != Ok(true) {
            shared.queue.lock().expect("whole").push_front(event);
            shared.waiting.notify_one();
            break;
        }
        shared.acknowledged.fetch_add(1, Ordering::SeqCst);
        if shared.fate.hits(|faults| faults.cut) {
            // Half of the cuts are announced.
            if shared.fate.hits(|_| 0.5) {
                let farewell = json!({ "type": "disconnect", "reason": "refresh_requested" });
                let _ = socket.send(Frame::Text(farewell.to_string().into())).await;
            }
            break;
        }
    }
    shared.sockets.fetch_sub(1, Ordering::SeqCst);
}

async fn acknowledged(
    socket: &mut tokio_tungstenite::WebSocketStream<TcpStream>,
    id: &str,
) -> bool {
    while let Some(Ok(frame)) = socket.next().await {
        if let Frame::Text(text) = frame {
            let ack: Value = serde_json::from_str(&text).unwrap_or_default();
            return ack["envelope_id"] == id;
        }
    }
    false
}

fn signature(timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, Slack::SIGNING_SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(tag.as_ref()))
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
