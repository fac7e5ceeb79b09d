//! The step of skills: one that a text wakes answers in the model's place or changes the text; others serve the
//! model as tools; `skill:NAME` is a skill as a model.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use moltbot_config::config::Policy;
use moltbot_skills::{Outcome, Ready, Said, SkillState, woken};
use moltbot_types::{
    Answer, Call, CallError, Finish, Frames, Kind, Mark, Next, Occasion, Operation, Prompt, Reply,
    Skills, Step, Usage, Workspace,
};
use serde_json::Value;

use super::{Shelf, may_use, tools};

/// Begins the name of a model that is a skill.
const AS_MODEL: &str = "skill:";

/// The step of one workspace.
#[derive(Clone)]
pub(crate) struct Skilled {
    shelf: Arc<Shelf>,
    workspace: Workspace,
    policy: Arc<Policy>,
}

/// The step for the skills that a workspace may use.
pub(crate) fn skills(shelf: &Arc<Shelf>, workspace: &Workspace, policy: &Policy) -> Skilled {
    Skilled {
        shelf: Arc::clone(shelf),
        workspace: workspace.clone(),
        policy: Arc::new(policy.clone()),
    }
}

impl Step for Skilled {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        if call.head.model.as_str().starts_with(AS_MODEL) {
            return Box::pin(self.as_model(&call)).await;
        }
        match &call.skills {
            Skills::Allow(occasion) if call.head.operation == Operation::Chat => {
                let occasion = Arc::clone(occasion);
                Box::pin(self.allowed(call, &occasion, next)).await
            }
            _ => next.call(call).await,
        }
    }
}

impl Skilled {
    /// A call in which skills may do what they can.
    async fn allowed<N: Next>(
        &self,
        mut call: Call,
        occasion: &Occasion,
        next: &N,
    ) -> Result<Reply, CallError> {
        let ready = self.shelf.ready(&self.workspace, &self.policy);
        if ready.is_empty() {
            return next.call(call).await;
        }
        // What can't be read here is told by whoever answers.
        let Ok(prompt) = call.dialect.read(call.head.operation, &call.body) else {
            return next.call(call).await;
        };
        let text = prompt.last_user().unwrap_or_default().to_owned();
        let mut current = text.clone();
        for woken in woken(&ready, &text) {
            let said = Said {
                hit: Some(woken.hit),
                ..said(&call, occasion, current.clone(), history(&prompt))
            };
            match self.shelf.run(woken.skill, said).await.outcome {
                Outcome::Answer(answer) => {
                    call.trail.answered_by(woken.skill.name().into());
                    return Ok(reply(&call, answer));
                }
                Outcome::Pass(changed) => current = changed,
                // The turn goes on as if it had not run.
                Outcome::Nothing | Outcome::Fault(_) => {}
            }
        }
        if current != text {
            call = changed(call, &current)?;
        }
        let tools: Vec<_> = ready.into_iter().filter(Ready::is_tool).collect();
        match tools::speaks(&call) && !tools.is_empty() {
            true => tools::answer(&self.shelf, &tools, call, occasion, next).await,
            false => next.call(call).await,
        }
    }

    /// A skill that answers as a model does.
    async fn as_model(&self, call: &Call) -> Result<Reply, CallError> {
        let name = &call.head.model.as_str()[AS_MODEL.len()..];
        let unknown = || {
            let words = format!("no skill `{name}`");
            CallError::new(Kind::ModelNotFound, words).param("model")
        };
        if call.head.operation != Operation::Chat {
            let words = "a skill answers conversations alone: ask it at /chat/completions";
            return Err(CallError::new(Kind::BadRequest, words).param("model"));
        }
        if call.skills.depth() >= Skills::DEEPEST {
            let words = "too many skills within each other";
            return Err(CallError::new(Kind::BadRequest, words));
        }
        let library = self.shelf.library();
        let listed = library.find(&self.workspace, name).ok_or_else(unknown)?;
        let any = library.any(&self.workspace, name).ok_or_else(unknown)?;
        if !may_use(&any, &self.policy) {
            let words = format!("the policy of this workspace excludes the skill `{name}`");
            let error = CallError::new(Kind::Forbidden, words).code("policy");
            return Err(error.param("model"));
        }
        let ready = self.shelf.ready(&self.workspace, &self.policy);
        let Some(ready) = ready.into_iter().find(|ready| ready.name() == name) else {
            let words = match listed.state {
                SkillState::Waiting | SkillState::Broken => "waits for approval",
                SkillState::Quarantined => "is quarantined",
                SkillState::Disabled | SkillState::Enabled => "is switched off",
            };
            let words = format!("the skill `{name}` {words}");
            return Err(CallError::new(Kind::Forbidden, words).param("model"));
        };
        let prompt = call.dialect.read(call.head.operation, &call.body)?;
        let text = prompt.last_user().unwrap_or_default().to_owned();
        let hit = woken([&ready], &text).into_iter().next();
        let occasion = match &call.skills {
            Skills::Allow(occasion) => Arc::clone(occasion),
            Skills::Off | Skills::Within(_) => Arc::default(),
        };
        let said = Said {
            hit: hit.map(|woken| woken.hit),
            ..said(call, &occasion, text, history(&prompt))
        };
        call.trail.answered_by(name.into());
        match self.shelf.run(&ready, said).await.outcome {
            Outcome::Answer(text) | Outcome::Pass(text) => Ok(reply(call, text)),
            Outcome::Nothing => Ok(reply(call, String::new())),
            Outcome::Fault(fault) => {
                let words =
                    format!("the skill `{name}` failed; the log and `moltctl skill list` say why");
                let error = CallError::new(Kind::BadReply, words).code("skill_failed");
                Err(error.because(fault.to_string()))
            }
        }
    }
}

/// What a skill hears of a call.
pub(super) fn said(
    call: &Call,
    occasion: &Occasion,
    text: String,
    history: Vec<(String, String)>,
) -> Said {
    Said {
        depth: call.skills.depth(),
        sender: occasion.sender.clone().or_else(|| call.head.user.clone()),
        channel: occasion.channel.clone(),
        history,
        dry: occasion.dry,
        ..Said::text(call.caller.clone(), text)
    }
}

/// What was said before the last text of the user.
fn history(prompt: &Prompt) -> Vec<(String, String)> {
    let last = prompt.turns.iter().rposition(|turn| turn.role == "user");
    let before = &prompt.turns[..last.unwrap_or(0)];
    let spoken = before
        .iter()
        .filter(|turn| matches!(turn.role.as_str(), "user" | "assistant"));
    spoken
        .map(|turn| (turn.role.clone(), turn.text.clone()))
        .collect()
}

/// The call with another last text of the user; parts that are no text stay.
fn changed(mut call: Call, text: &str) -> Result<Call, CallError> {
    let body = serde_json::from_slice::<Value>(&call.body);
    let mut body = body.map_err(|error| CallError::new(Kind::BadRequest, error.to_string()))?;
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    let last = messages.and_then(|messages| {
        let is_user = |message: &&mut Value| message["role"] == "user";
        messages.iter_mut().rev().find(is_user)
    });
    let Some(message) = last else {
        return Ok(call);
    };
    match message["content"].as_array_mut() {
        Some(parts) => {
            let is_text = |part: &Value| part["type"] == "text";
            let at = parts.iter().position(is_text).unwrap_or(0);
            parts.retain(|part| !is_text(part));
            let part = serde_json::json!({ "type": "text", "text": text });
            parts.insert(at.min(parts.len()), part);
        }
        None => message["content"] = text.into(),
    }
    set_body(&mut call, &body)?;
    Ok(call)
}

/// Gives a call another body, and reads its facts anew.
pub(super) fn set_body(call: &mut Call, body: &Value) -> Result<(), CallError> {
    call.body = Bytes::from(body.to_string());
    let user = call.head.user.take();
    call.head = call.dialect.peek(call.head.operation, &call.body)?;
    call.head.user = user.or(call.head.user.take());
    Ok(())
}

/// A skill's answer in the caller's dialect, streamed where it asked for a stream.
pub(super) fn reply(call: &Call, text: String) -> Reply {
    let usage = Usage::estimate(call.head.size, text.len());
    let answer = Answer {
        id: call.id.to_string(),
        model: call.head.model.to_string(),
        created: Timestamp::now().as_second(),
        text,
        finish: Finish::Stop,
        usage,
    };
    let (dialect, operation) = (call.dialect, call.head.operation);
    let mut reply = if call.head.stream {
        let piece = dialect.write_piece(operation, &answer, &answer.text);
        let end = dialect.write_end(operation, &answer);
        let frames = [
            Ok(Frames::one(piece, Mark::Content)),
            Ok(Frames::one(end, Mark::End)),
        ];
        Reply::stream(dialect, stream::iter(frames))
    } else {
        Reply::whole(dialect, dialect.write(operation, &answer))
    };
    reply.usage = Some(usage);
    reply
}
