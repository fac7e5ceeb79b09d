//! Feishu: the API of an app, and events by encrypted, signed posts or by the long connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Faults;
use crate::connection::Connection;
use crate::deliver::{Deliveries, client};
use crate::faults::{Fate, Luck};
use crate::http::{Answer, Api, Asked, serve};

/// A message that the bot sent.
#[derive(Clone, Debug, PartialEq)]
pub struct FeishuSent {
    /// Who gets it.
    pub receiver: String,
    /// Its id.
    pub id: String,
    /// `interactive`, `text` or `post`.
    pub kind: String,
    /// Its content as it stands now.
    pub content: Value,
    /// The text in it.
    pub text: String,
    /// Every text that it had.
    pub texts: Vec<String>,
    /// The key under which it was sent.
    pub uuid: Option<String>,
    /// What it replies to.
    pub parent: Option<String>,
}

/// Feishu with one app; it ends when this is dropped.
pub struct Feishu {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

struct Shared {
    fate: Fate,
    /// The good token, and when it ends.
    token: Mutex<(String, Instant)>,
    life: Mutex<Duration>,
    tokens: AtomicUsize,
    next: AtomicUsize,
    sent: Mutex<Vec<FeishuSent>>,
    repeats: AtomicUsize,
    refuses_cards: AtomicBool,
    calls: Mutex<Vec<String>>,
    /// Where events are posted; without one they go to the long connection.
    events_url: Mutex<Option<String>>,
    socket_url: Mutex<String>,
    connection: Connection,
    deliveries: Deliveries,
    client: reqwest::Client,
}

impl Feishu {
    /// The app's id.
    pub const APP_ID: &'static str = "cli_mock";
    /// The app's secret.
    pub const APP_SECRET: &'static str = "feishu-app-secret";
    /// Encrypts and signs events.
    pub const ENCRYPT_KEY: &'static str = "feishu-encrypt-key";
    /// Stands in events.
    pub const TOKEN: &'static str = "feishu-verification-token";
    /// The bot's id.
    pub const BOT: &'static str = "ou_bot";

    /// Starts it.
    pub async fn start(faults: Faults) -> Self {
        let mut tasks = JoinSet::new();
        let shared = Arc::new(Shared {
            fate: Fate::new(faults),
            token: Mutex::new((String::new(), Instant::now())),
            life: Mutex::new(Duration::from_secs(7200)),
            tokens: AtomicUsize::new(0),
            next: AtomicUsize::new(1),
            sent: Mutex::default(),
            repeats: AtomicUsize::new(0),
            refuses_cards: AtomicBool::new(false),
            calls: Mutex::default(),
            events_url: Mutex::default(),
            socket_url: Mutex::default(),
            connection: Connection::default(),
            deliveries: Deliveries::new(),
            client: client(),
        });
        let address = serve(Arc::clone(&shared), &mut tasks).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = listener.local_addr().expect("bound");
        *shared.socket_url.lock().expect("whole") =
            format!("ws://{socket}/ws?device_id=d1&service_id=7&access_key=k");
        let serving = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut sockets = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                sockets.spawn(async move { shared.connection.serve(stream, &shared.fate).await });
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
        format!("http://{}", self.address)
    }

    /// Posts events there.
    pub fn post_events_to(&self, url: impl Into<String>) {
        *self.shared.events_url.lock().expect("whole") = Some(url.into());
    }

    /// Changes how it fails.
    pub fn fail(&self, faults: Faults) {
        self.shared.fate.set(faults);
    }

    /// Tokens that are given from now on live so long.
    pub fn tokens_live(&self, life: Duration) {
        *self.shared.life.lock().expect("whole") = life;
    }

    /// Refuses the Markdown of cards, as where it reads it differently than we do.
    pub fn refuse_cards(&self) {
        self.shared.refuses_cards.store(true, Ordering::SeqCst);
    }

    /// Forgets the token that it gave.
    pub fn revoke_token(&self) {
        self.shared.token.lock().expect("whole").0.clear();
    }

    /// A person says something; rooms that end in `-p2p` are direct. Gives the message's id.
    pub fn say(&self, user: &str, room: &str, text: &str) -> String {
        self.tell(user, room, "text", &json!({ "text": text }), &json!([]))
    }

    /// A person names the bot in a group.
    pub fn mention(&self, user: &str, room: &str, text: &str) -> String {
        let mentions = json!([{ "key": "@_user_1", "id": { "open_id": Self::BOT }, "name": "Helper", "tenant_key": "t1" }]);
        self.tell(
            user,
            room,
            "text",
            &json!({ "text": format!("@_user_1 {text}") }),
            &mentions,
        )
    }

    /// Sends any message.
    pub fn tell(
        &self,
        user: &str,
        room: &str,
        kind: &str,
        content: &Value,
        mentions: &Value,
    ) -> String {
        let number = self.shared.next.fetch_add(1, Ordering::SeqCst);
        let id = format!("om_in_{number}");
        let direct = room.ends_with("-p2p");
        let event = json!({
            "schema": "2.0",
            "header": {
                "event_id": format!("ev_{number}"), "event_type": "im.message.receive_v1", "token": Self::TOKEN,
                "create_time": (seconds() * 1000).to_string(), "tenant_key": "t1", "app_id": Self::APP_ID,
            },
            "event": {
                "sender": {
                    "sender_id": { "open_id": user, "union_id": format!("on_{user}"), "user_id": user },
                    "sender_type": "user", "tenant_key": "t1",
                },
                "message": {
                    "message_id": id, "chat_id": room, "chat_type": if direct { "p2p" } else { "group" },
                    "message_type": kind, "content": content.to_string(), "mentions": mentions,
                    "create_time": (seconds() * 1000).to_string(),
                },
            },
        });
        self.shared.deliver(&event);
        id
    }

    /// Asks the address whether it is the app's, unsigned; gives its answer.
    pub async fn verify_address(&self) -> Value {
        let check =
            json!({ "type": "url_verification", "challenge": "ch4llenge", "token": Self::TOKEN });
        let body = json!({ "encrypt": encrypt(&check.to_string()) });
        let url = self.shared.events_url.lock().expect("whole").clone();
        let url = url.expect("posts have an address");
        let answer = self.shared.client.post(url).json(&body).send().await;
        let text = answer.expect("an answer").text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or(json!(text))
    }

    /// What the bot sent, in order.
    pub fn sent(&self) -> Vec<FeishuSent> {
        self.shared.sent.lock().expect("whole").clone()
    }

    /// Sendings that were known by their uuid and not shown again.
    pub fn repeats(&self) -> usize {
        self.shared.repeats.load(Ordering::SeqCst)
    }

    /// Tokens that were given.
    pub fn tokens(&self) -> usize {
        self.shared.tokens.load(Ordering::SeqCst)
    }

    /// The calls, in order.
    pub fn calls(&self) -> Vec<String> {
        self.shared.calls.lock().expect("whole").clone()
    }

    /// Events that are on their way.
    pub fn open(&self) -> usize {
        self.shared.deliveries.open() + self.shared.connection.open()
    }

    /// Open long connections.
    pub fn connections(&self) -> usize {
        self.shared.connection.connections()
    }

    /// Events that were refused.
    pub fn refused(&self) -> usize {
        self.shared.deliveries.refused()
    }

    /// Events that were not acknowledged within 3 s.
    pub fn late(&self) -> usize {
        self.shared.deliveries.late()
    }
}

/// A refusal: status, code, words.
type No = (u16, i64, &'static str);

impl Shared {
    fn deliver(&self, event: &Value) {
        let url = self.events_url.lock().expect("whole").clone();
        let Some(url) = url else {
            return self.connection.deliver(event, &self.fate);
        };
        let body = json!({ "encrypt": encrypt(&event.to_string()) }).to_string();
        let client = self.client.clone();
        let post = move |_: usize| {
            let at = seconds().to_string();
            let signed = format!("{at}nonce{}{body}", Feishu::ENCRYPT_KEY);
            let request = client
                .post(&url)
                .header("content-type", "application/json")
                .header("x-lark-request-timestamp", &at)
                .header("x-lark-request-nonce", "nonce")
                .header(
                    "x-lark-signature",
                    hex::encode(digest(&SHA256, signed.as_bytes())),
                );
            request.body(body.clone())
        };
        self.deliveries.deliver(Arc::new(post), &self.fate);
    }

    fn give_token(&self, body: &Value) -> Answer {
        if body["app_id"] != Feishu::APP_ID || body["app_secret"] != Feishu::APP_SECRET {
            return Answer::Json(200, json!({ "code": 10014, "msg": "app secret invalid" }));
        }
        let number = self.tokens.fetch_add(1, Ordering::SeqCst);
        let life = *self.life.lock().expect("whole");
        let token = format!("t-{number}");
        *self.token.lock().expect("whole") = (token.clone(), Instant::now() + life);
        let body = json!({ "code": 0, "msg": "ok", "tenant_access_token": token, "expire": life.as_secs() });
        Answer::Json(200, body)
    }

    fn token_is_good(&self, token: &str) -> bool {
        let held = self.token.lock().expect("whole");
        !token.is_empty() && held.0 == token && Instant::now() < held.1
    }

    fn send(&self, receiver: &str, parent: Option<&str>, body: &Value) -> Result<Value, No> {
        if receiver.is_empty() {
            return Err((400, 230_001, "receive_id is invalid"));
        }
        let (content, text) = read(body)?;
        let marked = content["body"]["elements"][0]["tag"] == "markdown";
        if marked && self.refuses_cards.load(Ordering::SeqCst) {
            return Err((400, 230_099, "Failed to create card content"));
        }
        let uuid = body["uuid"].as_str().map(str::to_owned);
        if uuid.as_ref().is_some_and(|uuid| uuid.len() > 50) {
            return Err((400, 230_001, "uuid is too long"));
        }
        let mut sent = self.sent.lock().expect("whole");
        let known = sent.iter().find(|sent| uuid.is_some() && sent.uuid == uuid);
        if let Some(known) = known {
            self.repeats.fetch_add(1, Ordering::SeqCst);
            return Ok(json!({ "message_id": known.id }));
        }
        let id = format!("om_{}", self.next.fetch_add(1, Ordering::SeqCst));
        sent.push(FeishuSent {
            receiver: receiver.to_owned(),
            id: id.clone(),
            kind: body["msg_type"].as_str().unwrap_or("").to_owned(),
            content,
            text: text.clone(),
            texts: vec![text],
            uuid,
            parent: parent.map(str::to_owned),
        });
        Ok(json!({ "message_id": id, "chat_id": receiver, "msg_type": body["msg_type"] }))
    }

    fn patch(&self, id: &str, body: &Value) -> Result<Value, No> {
        let mut sent = self.sent.lock().expect("whole");
        let found = sent.iter_mut().find(|sent| sent.id == id);
        let sent = found.ok_or((400, 230_011, "The message was withdrawn."))?;
        if sent.kind != "interactive" {
            return Err((400, 230_001, "not a card"));
        }
        let body = json!({ "msg_type": "interactive", "content": body["content"] });
        let (content, text) = read(&body)?;
        sent.content = content;
        sent.text = text.clone();
        sent.texts.push(text);
        Ok(json!({}))
    }
}

impl Api for Shared {
    async fn answer(&self, asked: Asked) -> Answer {
        if asked.path == "/callback/ws/endpoint" {
            let body = asked.parameters();
            if body["AppID"] != Feishu::APP_ID || body["AppSecret"] != Feishu::APP_SECRET {
                return Answer::Json(200, json!({ "code": 514, "msg": "auth failed" }));
            }
            let url = self.socket_url.lock().expect("whole").clone();
            let config = json!({
                "ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 1, "PingInterval": 1,
            });
            let data = json!({ "URL": url, "ClientConfig": config });
            return Answer::Json(200, json!({ "code": 0, "msg": "", "data": data }));
        }
        let path = asked.path.trim_start_matches("/open-apis/").to_owned();
        let call = format!("{} {path}", asked.method);
        self.calls.lock().expect("whole").push(call.clone());
        let body = asked.parameters();
        if call == "POST auth/v3/tenant_access_token/internal" {
            return self.give_token(&body);
        }
        let fail =
            |(status, code, said): No| Answer::Json(status, json!({ "code": code, "msg": said }));
        if !self.token_is_good(asked.bearer()) {
            return fail((400, 99_991_663, "Invalid access token for authorization."));
        }
        let writes = path.starts_with("im/v1/messages");
        let luck = match writes {
            true => self.fate.of_a_sending().await,
            false => Luck::Good,
        };
        if let Luck::Limited(wait) = luck {
            let wait = wait.as_secs().to_string();
            let body = json!({ "code": 99_991_400, "msg": "request trigger frequency limit" });
            return Answer::With(429, ("x-ogw-ratelimit-reset", wait), body);
        }
        let parts: Vec<&str> = path.split('/').collect();
        let done = match (asked.method.as_str(), &parts[..]) {
            ("GET", ["bot", "v3", "info"]) => {
                let bot =
                    json!({ "open_id": Feishu::BOT, "app_name": "Helper", "activate_status": 2 });
                return Answer::Json(200, json!({ "code": 0, "msg": "ok", "bot": bot }));
            }
            ("POST", ["im", "v1", "messages"]) => match body["receive_id_type"].as_str() {
                Some("chat_id" | "open_id" | "user_id" | "union_id" | "email") => {
                    self.send(body["receive_id"].as_str().unwrap_or(""), None, &body)
                }
                _ => Err((400, 99_992_402, "field validation failed")),
            },
            ("POST", ["im", "v1", "messages", id, "reply"]) => self.send("thread", Some(id), &body),
            ("PATCH", ["im", "v1", "messages", id]) => self.patch(id, &body),
            _ => Err((404, 404, "page not found")),
        };
        match (luck, done) {
            (Luck::Lost, _) => Answer::Lost,
            (_, Ok(data)) => {
                Answer::Json(200, json!({ "code": 0, "msg": "success", "data": data }))
            }
            (_, Err(no)) => fail(no),
        }
    }
}

/// Checks a message as Feishu does; gives its content and the text in it.
fn read(body: &Value) -> Result<(Value, String), No> {
    let text = body["content"].as_str().unwrap_or("");
    let content: Value =
        serde_json::from_str(text).map_err(|_| (400, 230_001, "content is not a JSON string"))?;
    let (limit, seen) = match body["msg_type"].as_str() {
        Some("text") => (150 * 1024, &content["text"]),
        Some("interactive") => {
            let element = match content["schema"].as_str() {
                Some("2.0") => &content["body"]["elements"][0],
                _ => &content["elements"][0],
            };
            match element["tag"].as_str() {
                Some("markdown") => (30 * 1024, &element["content"]),
                Some("div") => (30 * 1024, &element["text"]["content"]),
                _ => return Err((400, 230_099, "Failed to create card content")),
            }
        }
        _ => return Err((400, 230_001, "msg_type is invalid")),
    };
    if text.len() > limit {
        return Err((
            400,
            230_025,
            "The length of the message content reaches its limit.",
        ));
    }
    let Some(seen) = seen.as_str().filter(|seen| !seen.is_empty()) else {
        return Err((400, 230_001, "content is empty"));
    };
    let seen = seen.to_owned();
    Ok((content, seen))
}

fn encrypt(text: &str) -> String {
    let key = digest(&SHA256, Feishu::ENCRYPT_KEY.as_bytes());
    let key = UnboundCipherKey::new(&AES_256, key.as_ref()).expect("a key");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).expect("a key");
    let mut iv = [0; 16];
    aws_lc_rs::rand::fill(&mut iv).expect("random bytes");
    let mut bytes = text.as_bytes().to_vec();
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(&mut bytes, context)
        .expect("encrypted");
    STANDARD.encode([&iv[..], &bytes].concat())
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
