//! Telegram: the Bot API, updates by polls or by posts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::deliver::{Deliveries, client};
use crate::faults::{Fate, Luck};
use crate::http::{Answer, Api, Asked, serve};
use crate::{Faults, html};

/// A text that the bot sent.
#[derive(Clone, Debug, PartialEq)]
pub struct TelegramSent {
    /// The chat.
    pub chat: i64,
    /// Its id in the chat.
    pub id: i64,
    /// The text as it came.
    pub text: String,
    /// The text as it is seen.
    pub seen: String,
    /// The markup, if any.
    pub parse_mode: Option<String>,
    /// Every text that it had.
    pub texts: Vec<String>,
    /// What else came with it.
    pub body: Value,
}

/// Telegram with one bot; it ends when this is dropped.
pub struct Telegram {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

struct Shared {
    fate: Fate,
    updates: Mutex<Vec<Value>>,
    /// Updates below this are forgotten.
    confirmed: AtomicI64,
    next: AtomicI64,
    came: Notify,
    /// The number of the poll that counts; an earlier one that still waits is ended.
    poll: AtomicUsize,
    /// Another program polls too.
    contested: AtomicBool,
    sent: Mutex<Vec<TelegramSent>>,
    calls: Mutex<Vec<String>>,
    moved: Mutex<HashMap<i64, i64>>,
    refuses_marks: AtomicBool,
    /// The chat to which every sending is refused with 429; 0 is none.
    limited: AtomicI64,
    webhook: Mutex<Option<(String, String)>>,
    deliveries: Deliveries,
    client: reqwest::Client,
}

impl Telegram {
    /// The bot's token.
    pub const TOKEN: &'static str = "42:telegram-token-c4n4ry";
    /// Its id and its name.
    pub const BOT: (i64, &'static str) = (42, "HelperBot");
    /// Comes with posts.
    pub const WEBHOOK_SECRET: &'static str = "telegram-webhook-secret";

    /// Starts it.
    pub async fn start(faults: Faults) -> Self {
        let mut tasks = JoinSet::new();
        let shared = Arc::new(Shared {
            fate: Fate::new(faults),
            updates: Mutex::default(),
            confirmed: AtomicI64::new(0),
            next: AtomicI64::new(1000),
            came: Notify::new(),
            poll: AtomicUsize::new(0),
            contested: AtomicBool::new(false),
            sent: Mutex::default(),
            calls: Mutex::default(),
            moved: Mutex::default(),
            refuses_marks: AtomicBool::new(false),
            limited: AtomicI64::new(0),
            webhook: Mutex::default(),
            deliveries: Deliveries::new(),
            client: client(),
        });
        let address = serve(Arc::clone(&shared), &mut tasks).await;
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

    /// Posts updates there, as after `setWebhook`.
    pub fn post_updates_to(&self, url: impl Into<String>) {
        let hook = (url.into(), Self::WEBHOOK_SECRET.to_owned());
        *self.shared.webhook.lock().expect("whole") = Some(hook);
    }

    /// Changes how it fails.
    pub fn fail(&self, faults: Faults) {
        self.shared.fate.set(faults);
    }

    /// Lets another program poll, or no longer.
    pub fn contest(&self, contested: bool) {
        self.shared.contested.store(contested, Ordering::SeqCst);
        self.shared.came.notify_waiters();
    }

    /// Refuses all marks, as where it reads them differently than we do.
    pub fn refuse_marks(&self) {
        self.shared.refuses_marks.store(true, Ordering::SeqCst);
    }

    /// Refuses every sending to a chat with 429.
    pub fn limit_chat(&self, chat: i64) {
        self.shared.limited.store(chat, Ordering::SeqCst);
    }

    /// A group becomes a supergroup.
    pub fn migrate(&self, from: i64, to: i64) {
        self.shared.moved.lock().expect("whole").insert(from, to);
    }

    /// A person says something; chats below zero are groups. Gives the message's id.
    pub fn say(&self, user: i64, chat: i64, text: &str) -> i64 {
        self.tell(user, chat, json!({ "text": text }))
    }

    /// A person names the bot in a group.
    pub fn mention(&self, user: i64, chat: i64, text: &str) -> i64 {
        let name = format!("@{}", Self::BOT.1);
        let entity = json!({ "type": "mention", "offset": 0, "length": name.len() });
        self.tell(
            user,
            chat,
            json!({ "text": format!("{name} {text}"), "entities": [entity] }),
        )
    }

    /// Sends any message; ids, sender and chat are added.
    pub fn tell(&self, user: i64, chat: i64, mut message: Value) -> i64 {
        let update = self.shared.next.fetch_add(1, Ordering::SeqCst);
        let kind = if chat < 0 { "supergroup" } else { "private" };
        message["message_id"] = json!(update);
        message["date"] = json!(seconds());
        message["from"] = json!({ "id": user, "is_bot": false, "first_name": format!("U{user}") });
        message["chat"] = json!({ "id": chat, "type": kind, "title": "Room" });
        self.shared
            .deliver(json!({ "update_id": update, "message": message }));
        update
    }

    /// What the bot sent, in order.
    pub fn sent(&self) -> Vec<TelegramSent> {
        self.shared.sent.lock().expect("whole").clone()
    }

    /// The methods that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        self.shared.calls.lock().expect("whole").clone()
    }

    /// Updates that are not confirmed, or on their way by post.
    pub fn open(&self) -> usize {
        let confirmed = self.shared.confirmed.load(Ordering::SeqCst);
        let updates = self.shared.updates.lock().expect("whole");
        let open = updates.iter().filter(|update| number(update) >= confirmed);
        open.count() + self.shared.deliveries.open()
    }

    /// Posted updates that were refused.
    pub fn refused(&self) -> usize {
        self.shared.deliveries.refused()
    }
}

impl Shared {
    fn deliver(&self, update: Value) {
        let Some((url, secret)) = self.webhook.lock().expect("whole").clone() else {
            let mut updates = self.updates.lock().expect("whole");
            updates.push(update);
            drop(updates);
            self.came.notify_waiters();
            return;
        };
        let client = self.client.clone();
        let post = move |_: usize| {
            let request = client.post(&url).json(&update);
            request.header("x-telegram-bot-api-secret-token", &secret)
        };
        self.deliveries.deliver(Arc::new(post), &self.fate);
    }

    async fn updates(&self, body: &Value) -> Answer {
        let conflict = |what: &str| {
            let said = format!("Conflict: {what}");
            Answer::Json(
                409,
                json!({ "ok": false, "error_code": 409, "description": said }),
            )
        };
        if self.webhook.lock().expect("whole").is_some() {
            return conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            );
        }
        let other = "terminated by other getUpdates request; make sure that only one bot instance is running";
        let own = self.poll.fetch_add(1, Ordering::SeqCst) + 1;
        self.came.notify_waiters();
        if let Some(offset) = integer(&body["offset"]) {
            self.confirmed.fetch_max(offset, Ordering::SeqCst);
        }
        let wait = integer(&body["timeout"]).unwrap_or(0);
        let wait = Duration::from_secs(wait.unsigned_abs());
        let until = tokio::time::Instant::now() + wait;
        loop {
            let came = self.came.notified();
            if self.contested.load(Ordering::SeqCst) || self.poll.load(Ordering::SeqCst) != own {
                return conflict(other);
            }
            let found = self.waiting(integer(&body["limit"]).unwrap_or(100));
            if !found.is_empty() || tokio::time::Instant::now() >= until {
                return Answer::Json(200, json!({ "ok": true, "result": found }));
            }
            let _ = tokio::time::timeout_at(until, came).await;
        }
    }

    fn waiting(&self, limit: i64) -> Vec<Value> {
        let confirmed = self.confirmed.load(Ordering::SeqCst);
        let mut updates = self.updates.lock().expect("whole");
        updates.retain(|update| number(update) >= confirmed);
        let limit = usize::try_from(limit).unwrap_or(100);
        updates.iter().take(limit).cloned().collect()
    }

    /// Checks a text as Telegram does; gives what is seen of it.
    fn check(&self, body: &Value) -> Result<String, (u16, String, Value)> {
        let bad = |what: &str| (400, format!("Bad Request: {what}"), Value::Null);
        let chat = integer(&body["chat_id"]).ok_or_else(|| bad("chat not found"))?;
        if let Some(to) = self.moved.lock().expect("whole").get(&chat) {
            let said = "Bad Request: group chat was upgraded to a supergroup chat".to_owned();
            return Err((400, said, json!({ "migrate_to_chat_id": to })));
        }
        let text = body["text"].as_str().unwrap_or("");
        let seen = match body["parse_mode"].as_str() {
            None | Some("") => text.to_owned(),
            Some(_) if self.refuses_marks.load(Ordering::SeqCst) => {
                return Err(bad("can't parse entities: as told"));
            }
            Some("HTML") => {
                html::seen(text).map_err(|what| bad(&format!("can't parse entities: {what}")))?
            }
            Some(_) => return Err(bad("unsupported parse_mode")),
        };
        if seen.trim().is_empty() {
            return Err(bad("message text is empty"));
        }
        if seen.encode_utf16().count() > 4096 {
            return Err(bad("message is too long"));
        }
        Ok(seen)
    }

    fn send(&self, body: &Value) -> Result<Value, (u16, String, Value)> {
        let seen = self.check(body)?;
        let text = body["text"].as_str().unwrap_or("").to_owned();
        let sent = TelegramSent {
            chat: integer(&body["chat_id"]).unwrap_or(0),
            id: self.next.fetch_add(1, Ordering::SeqCst),
            text: text.clone(),
            seen,
            parse_mode: body["parse_mode"].as_str().map(str::to_owned),
            texts: vec![text],
            body: body.clone(),
        };
        let shown = shown(&sent);
        self.sent.lock().expect("whole").push(sent);
        Ok(shown)
    }

    fn edit(&self, body: &Value) -> Result<Value, (u16, String, Value)> {
        let seen = self.check(body)?;
        let (chat, id) = (integer(&body["chat_id"]), integer(&body["message_id"]));
        let mut all = self.sent.lock().expect("whole");
        let found = all
            .iter_mut()
            .find(|sent| Some(sent.chat) == chat && Some(sent.id) == id);
        let Some(sent) = found else {
            return Err((
                400,
                "Bad Request: message to edit not found".to_owned(),
                Value::Null,
            ));
        };
        if sent.seen == seen {
            let said = "Bad Request: message is not modified: specified new message content and reply markup are exactly the same";
            return Err((400, said.to_owned(), Value::Null));
        }
        let text = body["text"].as_str().unwrap_or("");
        text.clone_into(&mut sent.text);
        sent.seen = seen;
        sent.parse_mode = body["parse_mode"].as_str().map(str::to_owned);
        sent.texts.push(text.to_owned());
        Ok(shown(sent))
    }
}

impl Api for Shared {
    async fn answer(&self, asked: Asked) -> Answer {
        let refuse = |code: u16, said: &str, parameters: Value| {
            let mut body = json!({ "ok": false, "error_code": code, "description": said });
            if !parameters.is_null() {
                body["parameters"] = parameters;
            }
            Answer::Json(code, body)
        };
        let path = asked.path.trim_start_matches("/bot");
        let Some((token, method)) = path.split_once('/') else {
            return refuse(404, "Not Found", Value::Null);
        };
        if token != Telegram::TOKEN {
            return refuse(401, "Unauthorized", Value::Null);
        }
        self.calls.lock().expect("whole").push(method.to_owned());
        let body = asked.parameters();
        let luck = match method {
            "sendMessage" | "editMessageText" => self.fate.of_a_sending().await,
            _ => Luck::Good,
        };
        let chat = integer(&body["chat_id"]).unwrap_or(0);
        let luck = match chat != 0 && chat == self.limited.load(Ordering::SeqCst) {
            true => Luck::Limited(Duration::from_secs(1)),
            false => luck,
        };
        if let Luck::Limited(wait) = luck {
            let said = format!("Too Many Requests: retry after {}", wait.as_secs());
            return refuse(429, &said, json!({ "retry_after": wait.as_secs() }));
        }
        let done = match method {
            "getMe" => Ok(json!({
                "id": Telegram::BOT.0, "is_bot": true, "first_name": "Helper", "username": Telegram::BOT.1,
                "can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false,
            })),
            "getUpdates" => return self.updates(&body).await,
            "sendMessage" => self.send(&body),
            "editMessageText" => self.edit(&body),
            "sendChatAction" => Ok(json!(true)),
            "setWebhook" => {
                let text = |name: &str| body[name].as_str().unwrap_or("").to_owned();
                *self.webhook.lock().expect("whole") = Some((text("url"), text("secret_token")));
                Ok(json!(true))
            }
            "deleteWebhook" => {
                *self.webhook.lock().expect("whole") = None;
                Ok(json!(true))
            }
            _ => Err((404, "Not Found".to_owned(), Value::Null)),
        };
        match (luck, done) {
            (Luck::Lost, _) => Answer::Lost,
            (_, Ok(result)) => Answer::Json(200, json!({ "ok": true, "result": result })),
            (_, Err((code, said, parameters))) => refuse(code, &said, parameters),
        }
    }
}

fn shown(sent: &TelegramSent) -> Value {
    json!({
        "message_id": sent.id, "date": seconds(), "text": sent.seen,
        "from": { "id": Telegram::BOT.0, "is_bot": true, "first_name": "Helper", "username": Telegram::BOT.1 },
        "chat": { "id": sent.chat, "type": if sent.chat < 0 { "supergroup" } else { "private" }, "title": "Room" },
    })
}

fn number(update: &Value) -> i64 {
    update["update_id"].as_i64().unwrap_or(0)
}

/// Numbers come as such or, in forms, as text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
