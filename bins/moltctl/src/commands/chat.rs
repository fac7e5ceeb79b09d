//! `moltctl chat`: a conversation over the daemon's own API, streamed.

use std::io::{BufRead, IsTerminal, Write};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use moltbot_types::{Dialect, Operation, Workspace};
use moltbot_wire::openai::OPENAI;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::Context;
use crate::client::over;
use crate::failure::Failure;
use crate::output::{BAD, DIM, line};

/// Most bytes of one event. The daemon keeps to `server.limits.event`, which may be larger than usual.
const LONGEST_EVENT: usize = 64 << 20;

const HELP: &str = "/quit ends, /new forgets what was said, /model NAME asks another model";

/// A conversation: where it goes, with which key, and what was said.
struct Chat {
    listen: String,
    key: Option<String>,
    model: String,
    turns: Vec<Value>,
}

pub(super) async fn run(
    context: &Context,
    model: Option<String>,
    text: String,
) -> Result<(), Failure> {
    let mut chat = Chat::open(context, model).await?;
    if !text.is_empty() {
        return chat.ask(&text).await;
    }
    let stdin = std::io::stdin();
    let person = stdin.is_terminal();
    if person && !context.global.quiet {
        line(&format!("{DIM}talking to {}; {HELP}{DIM:#}", chat.model))?;
    }
    loop {
        if person {
            anstream::print!("> ");
            std::io::stdout().flush()?;
        }
        let mut text = String::new();
        // The runtime has nothing else to do while a person types.
        if stdin.lock().read_line(&mut text)? == 0 {
            return Ok(());
        }
        match text.trim() {
            "" => {}
            "/quit" | "/exit" => return Ok(()),
            "/new" => chat.turns.clear(),
            "/help" => line(HELP)?,
            command if command.starts_with("/model ") => {
                chat.model = command["/model ".len()..].trim().to_owned();
            }
            text => match chat.ask(text).await {
                Err(failure) if person && failure.exit == 1 => failure.print(),
                done => done?,
            },
        }
    }
}

impl Chat {
    async fn open(context: &Context, model: Option<String>) -> Result<Self, Failure> {
        let home = context.client.home();
        let down = || Failure::unreachable("the daemon is not running; start it with `moltbotd`");
        let bound = std::fs::read(home.run_file()).map_err(|_| down())?;
        let bound: Value = serde_json::from_slice(&bound).map_err(|_| down())?;
        let listen = bound["listen"].as_str().ok_or_else(down)?.to_owned();
        let key = match (std::env::var("MOLTBOT_KEY"), context.client.workspace()) {
            (Ok(key), _) => Some(key),
            // The key of the home is of the workspace `default`.
            (Err(_), None | Some(Workspace::DEFAULT)) => home.key().ok().flatten(),
            (Err(_), Some(name)) => {
                return Err(Failure::failed(format!(
                    "a key belongs to one workspace: make one with `moltctl key create --workspace {name}` and give it \
                     in MOLTBOT_KEY, or talk with --workspace default"
                )));
            }
        };
        let mut chat = Self {
            listen,
            key,
            model: model.unwrap_or_default(),
            turns: Vec::new(),
        };
        if chat.model.is_empty() {
            let models = chat.send(Method::GET, "/v1/models", Bytes::new()).await?;
            let models = models.collect().await.map_err(cut)?.to_bytes();
            let models: Value = serde_json::from_slice(&models).unwrap_or_default();
            chat.model = models["data"][0]["id"]
                .as_str()
                .ok_or_else(|| {
                    Failure::failed("no model is configured; see `moltctl model add -h`")
                })?
                .to_owned();
        }
        Ok(chat)
    }

    /// Asks and prints the answer as it comes; both join the conversation when it is whole.
    async fn ask(&mut self, text: &str) -> Result<(), Failure> {
        self.turns.push(json!({ "role": "user", "content": text }));
        let body = json!({ "model": self.model, "stream": true, "messages": self.turns });
        let answer = self.stream(body.to_string().into()).await;
        println!();
        match answer {
            Ok(answer) => {
                self.turns
                    .push(json!({ "role": "assistant", "content": answer }));
                Ok(())
            }
            Err(failure) => {
                self.turns.pop();
                Err(failure)
            }
        }
    }

    async fn stream(&self, body: Bytes) -> Result<String, Failure> {
        let mut body = self
            .send(Method::POST, "/v1/chat/completions", body)
            .await?;
        let mut splitter = OPENAI.splitter(Operation::Chat, LONGEST_EVENT);
        let mut answer = String::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(cut)?.into_data() else {
                continue;
            };
            let frames = splitter
                .push(data)
                .map_err(|e| Failure::failed(e.to_string()))?;
            for (raw, _) in frames.iter().flat_map(|frames| frames.iter()) {
                let text = event(&raw)?;
                print!("{text}");
                std::io::stdout().flush()?;
                answer.push_str(&text);
            }
        }
        splitter
            .finish()
            .map_err(|e| Failure::failed(e.to_string()))?;
        Ok(answer)
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Incoming, Failure> {
        let stream = TcpStream::connect(&self.listen).await.map_err(|error| {
            Failure::unreachable(format!("nothing listens on {}: {error}", self.listen))
        })?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_default();
        if let Some(key) = &self.key
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {key}"))
        {
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answer = over(stream, request).await?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let body = answer.into_body().collect().await.map_err(cut)?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let words = body["error"]["message"]
            .as_str()
            .unwrap_or("the daemon refused");
        Err(Failure::failed(words))
    }
}

/// The text of one event; an error event is a failure.
fn event(raw: &[u8]) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(raw);
    let data = text.lines().find_map(|line| line.strip_prefix("data:"));
    let Some(Ok(event)) = data.map(|data| serde_json::from_str::<Value>(data.trim())) else {
        return Ok(String::new());
    };
    if let Some(words) = event["error"]["message"].as_str() {
        return Err(Failure::failed(format!("{BAD}cut{BAD:#}: {words}")));
    }
    let text = event["choices"][0]["delta"]["content"].as_str();
    Ok(text.unwrap_or_default().to_owned())
}

fn cut(error: hyper::Error) -> Failure {
    Failure::failed(format!("the answer broke off: {error}"))
}
