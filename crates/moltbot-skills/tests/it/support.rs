//! A home with skills in it, and roles that remember what they were asked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use moltbot_skills::role::{
    Asker, Chat, Fetch, FetchRequest, Fetched, Kv, Models, RoleError, Roles, Secrets,
};
use moltbot_skills::worker::{Pool, PoolSettings};
use moltbot_skills::{Ended, Fault, Library, LibrarySettings, Outcome, Place, Said, woken};
use moltbot_types::{Caller, Usage, Workspace};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

/// A worker of its own file: the test's own program can't be started again as one.
pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_moltbot-skill-worker");

pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) library: Library,
    pub(crate) outside: Arc<Outside>,
}

/// Everything outside, in memory.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) kept: Mutex<HashMap<(String, String, String), String>>,
    pub(crate) asked: Mutex<Vec<(String, u8, Value)>>,
    pub(crate) fetched: Mutex<Vec<FetchRequest>>,
    /// What every address answers; else it tells what it was asked.
    pub(crate) answer: Mutex<Option<Bytes>>,
}

#[async_trait]
impl Kv for Outside {
    async fn get(
        &self,
        w: &Workspace,
        skill: &str,
        key: &str,
    ) -> Result<Option<String>, RoleError> {
        let at = (w.to_string(), skill.to_owned(), key.to_owned());
        Ok(self.kept.lock().unwrap().get(&at).cloned())
    }

    async fn set(
        &self,
        w: &Workspace,
        skill: &str,
        key: &str,
        json: String,
    ) -> Result<(), RoleError> {
        let at = (w.to_string(), skill.to_owned(), key.to_owned());
        self.kept.lock().unwrap().insert(at, json);
        Ok(())
    }

    async fn delete(&self, w: &Workspace, skill: &str, key: &str) -> Result<(), RoleError> {
        let at = (w.to_string(), skill.to_owned(), key.to_owned());
        self.kept.lock().unwrap().remove(&at);
        Ok(())
    }
}

#[async_trait]
impl Fetch for Outside {
    async fn fetch(&self, request: FetchRequest, _: &[Place]) -> Result<Fetched, RoleError> {
        if request.url.contains("/hang") {
            std::future::pending::<()>().await;
        }
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = json!({ "url": request.url, "body": String::from_utf8_lossy(&request.body) });
        self.fetched.lock().unwrap().push(request);
        let told = self.answer.lock().unwrap().clone();
        Ok(Fetched {
            status: 200,
            headers,
            body: told.unwrap_or_else(|| Bytes::from(body.to_string())),
        })
    }
}

#[async_trait]
impl Models for Outside {
    async fn chat(
        &self,
        asker: Asker,
        model: &str,
        messages: Value,
        _: Value,
    ) -> Result<Chat, RoleError> {
        let asked = (model.to_owned(), asker.depth, messages);
        self.asked.lock().unwrap().push(asked);
        Ok(Chat {
            text: format!("{model} says hello"),
            usage: Some(Usage {
                input: 3,
                output: 4,
                estimated: false,
            }),
        })
    }
}

impl Secrets for Outside {
    fn secret(&self, _: &Workspace, _: &str, _: bool, name: &str) -> Option<String> {
        (name == "ORDER_TOKEN").then(|| "t0p-s3cret".to_owned())
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with(PoolSettings {
            program: Some(PathBuf::from(WORKER)),
            ..PoolSettings::default()
        })
    }

    pub(crate) fn with(settings: PoolSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let outside = Arc::new(Outside::default());
        let roles = Roles {
            kv: Arc::clone(&outside) as _,
            fetch: Arc::clone(&outside) as _,
            models: Arc::clone(&outside) as _,
            secrets: Arc::clone(&outside) as _,
        };
        let pool = Arc::new(Pool::new(settings, TaskTracker::new()));
        let settings = LibrarySettings {
            shared: (dir.path().join("skills"), "skills".to_owned()),
            approvals: dir.path().join("data/skills.json"),
        };
        let library = Library::new(settings, pool, roles).unwrap();
        Self {
            dir,
            library,
            outside,
        }
    }

    /// Writes a file of a shared skill.
    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        write(&self.dir.path().join("skills").join(path), text);
        self
    }

    /// A skill `a` with a handler, a manifest's further lines, and what is enabled.
    pub(crate) async fn skill(yaml: &str, script: &str) -> Self {
        let home = Self::new();
        home.write("a/skill.yaml", &format!("name: a\n{yaml}"));
        home.write("a/index.js", script);
        let wrong = home.library.look(&[]).await;
        assert!(wrong.is_empty(), "{wrong:?}");
        home.library.enable(&Workspace::default(), "a").unwrap();
        home
    }

    /// Runs the skill `a` with a text.
    pub(crate) async fn run(&self, text: &str) -> Ended {
        self.say(Said::text(Caller::anonymous(), text)).await
    }

    /// Runs the skill `a`, as its trigger would where it has one.
    pub(crate) async fn say(&self, mut said: Said) -> Ended {
        let ready = self.library.any(&Workspace::default(), "a").unwrap();
        if said.hit.is_none() {
            let woken = woken([&ready], &said.text);
            said.hit = woken.into_iter().next().map(|woken| woken.hit);
        }
        self.library.run(&ready, said).await
    }

    /// The answer of `a` to a text.
    pub(crate) async fn answer(&self, text: &str) -> String {
        match self.run(text).await.outcome {
            Outcome::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// Why `a` failed.
    pub(crate) async fn fault(&self, text: &str) -> Fault {
        match self.run(text).await.outcome {
            Outcome::Fault(fault) => fault,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What a script answers, without a manifest's further lines.
pub(crate) async fn answer(script: &str) -> String {
    Home::skill("", script).await.answer("hello").await
}
