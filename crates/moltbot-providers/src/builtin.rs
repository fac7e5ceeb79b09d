//! Models that need no network: an echo, and a script with set delays and faults.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{Stream, stream};
use http::{HeaderMap, StatusCode};
use moltbot_types::{
    Answer, Call, CallError, Dialect, Finish, Frames, Kind, Next, Operation, Reply, Splitter, Usage,
};
use tokio::time::sleep;

use crate::classify::{Scene, repeatable};

/// What a scripted model does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What it answers.
    pub text: String,
    /// How long it waits before its answer begins.
    pub delay: Duration,
    /// How long it waits between two words of a stream.
    pub pace: Duration,
    /// It fails with this status, as an upstream would.
    pub fail: Option<StatusCode>,
    /// It breaks off after so many words of a stream; a whole answer breaks off before its end.
    pub cut_after: Option<usize>,
    /// It never answers; with `cut_after` it falls silent there instead of breaking off.
    pub hang: bool,
}

/// A model of this process, for tests, demonstrations and development.
#[derive(Clone, Debug)]
pub struct Builtin(Says);

#[derive(Clone, Debug)]
enum Says {
    Echo,
    Script(Script),
}

impl Builtin {
    /// Answers with the text of the last user turn.
    pub fn echo() -> Self {
        Self(Says::Echo)
    }

    /// Plays a script.
    pub fn script(script: Script) -> Self {
        Self(Says::Script(script))
    }

    /// The script for this call: an echo is one whose text is the caller's.
    fn script_for(&self, prompt_text: Option<&str>) -> Script {
        match &self.0 {
            Says::Script(script) => script.clone(),
            Says::Echo => Script {
                text: prompt_text.unwrap_or_default().to_owned(),
                ..Script::default()
            },
        }
    }
}

impl Next for Builtin {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let (Operation::Chat | Operation::Complete) = call.head.operation else {
            let message = format!(
                "model `{}` is builtin and writes text only",
                call.head.model
            );
            return Err(CallError::new(Kind::BadRequest, message));
        };
        let prompt = call.dialect.read(call.head.operation, &call.body)?;
        let script = self.script_for(prompt.last_user());
        sleep(script.delay).await;
        let scene = Scene {
            model: &call.head.model,
            place: "builtin",
            repeatable: repeatable(&call.head),
        };
        if script.hang && script.cut_after.is_none() {
            std::future::pending::<()>().await;
        }
        if let Some(status) = script.fail {
            let fault = call.dialect.fault(status, b"");
            return Err(scene.answer(status, &HeaderMap::new(), fault));
        }
        let read = prompt.turns.iter().map(|turn| turn.text.len()).sum();
        let answer = Answer {
            id: call.id.to_string(),
            model: call.head.model.to_string(),
            created: now(),
            usage: Usage {
                estimated: false, // nobody knows better than the model itself
                ..Usage::estimate(read, script.text.len())
            },
            text: script.text.clone(),
            finish: Finish::Stop,
        };
        if call.head.stream {
            let play = Play::new(call.dialect, call.head.operation, answer, script);
            return Ok(Reply::stream(call.dialect, play.frames()));
        }
        if script.cut_after.is_some() {
            if script.hang {
                std::future::pending::<()>().await;
            }
            return Err(scene.broken("the script says so"));
        }
        let mut reply = Reply::whole(
            call.dialect,
            call.dialect.write(call.head.operation, &answer),
        );
        reply.usage = Some(answer.usage);
        Ok(reply)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

/// A script that is being played as a stream. What it writes goes through the dialect's splitter, as
/// an upstream's bytes do, so that frames bear the same marks.
struct Play {
    dialect: &'static dyn Dialect,
    operation: Operation,
    answer: Answer,
    splitter: Box<dyn Splitter>,
    script: Script,
    /// Where the next word begins in the text.
    at: usize,
    /// Words that were played.
    played: usize,
    over: bool,
}

impl Play {
    fn new(
        dialect: &'static dyn Dialect,
        operation: Operation,
        answer: Answer,
        script: Script,
    ) -> Self {
        Self {
            dialect,
            operation,
            answer,
            splitter: dialect.splitter(operation, usize::MAX),
            script,
            at: 0,
            played: 0,
            over: false,
        }
    }

    fn frames(self) -> impl Stream<Item = Result<Frames, CallError>> + Send {
        stream::unfold(self, |mut play| async move {
            let item = play.next().await?;
            Some((item, play))
        })
    }

    async fn next(&mut self) -> Option<Result<Frames, CallError>> {
        while !self.over {
            if self.script.cut_after == Some(self.played) {
                if self.script.hang {
                    std::future::pending::<()>().await;
                }
                self.over = true;
                return self.splitter.finish().transpose();
            }
            let raw = match self.word() {
                Some(word) => {
                    if self.played > 0 {
                        sleep(self.script.pace).await;
                    }
                    let raw = self.dialect.write_piece(
                        self.operation,
                        &self.answer,
                        &self.answer.text[self.at..self.at + word],
                    );
                    self.at += word;
                    self.played += 1;
                    raw
                }
                None => {
                    self.over = true;
                    self.dialect.write_end(self.operation, &self.answer)
                }
            };
            if let Some(item) = self.splitter.push(raw).transpose() {
                return Some(item);
            }
        }
        None
    }

    /// How long the next word is, with the blank after it; `None` at the end of the text.
    fn word(&self) -> Option<usize> {
        let rest = &self.answer.text[self.at..];
        let word = rest.split_inclusive(char::is_whitespace).next()?;
        Some(word.len())
    }
}
