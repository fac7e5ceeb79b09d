//! A folder of JavaScript as a skill.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use crate::desk::Desk;
use crate::manifest::Manifest;
use crate::role::Roles;
use crate::skill::{Ended, Fault, Outcome, Said, Skill};
use crate::worker::{Job, Pool, Program};

/// A skill whose handler is a script, run in a worker.
#[derive(Clone, Debug)]
pub struct Script {
    manifest: Arc<Manifest>,
    program: Arc<Program>,
    own: bool,
    pool: Arc<Pool>,
    roles: Roles,
}

impl Script {
    /// A script that was checked; `own`: it belongs to one workspace.
    pub fn new(
        manifest: Arc<Manifest>,
        program: Arc<Program>,
        own: bool,
        pool: Arc<Pool>,
        roles: Roles,
    ) -> Self {
        Self {
            manifest,
            program,
            own,
            pool,
            roles,
        }
    }
}

#[async_trait]
impl Skill for Script {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn run(&self, said: Said) -> Ended {
        let manifest = &self.manifest;
        let args = match (&said.arguments, &said.hit) {
            (Some(arguments), _) => arguments.clone(),
            (None, Some(hit)) => json!(hit.args),
            (None, None) => json!(null),
        };
        let history: Vec<_> = said
            .history
            .iter()
            .map(|(role, content)| json!({ "role": role, "content": content }))
            .collect();
        let job = Job {
            program: Arc::clone(&self.program),
            input: json!({
                "text": said.text,
                "match": said.hit.as_ref().map(|hit| hit.to_json()),
                "args": args,
                "sender": said.sender,
                "channel": said.channel,
                "workspace": said.caller.workspace,
                "history": history,
                "tool": said.arguments.is_some(),
            }),
            limits: manifest.limits.clone(),
        };
        let desk = Desk::new(
            &manifest.name,
            self.own,
            &manifest.permissions,
            &self.roles,
            &said,
        );
        let finished = self.pool.run(job, &desk).await;
        let outcome = match finished.outcome {
            Outcome::Fault(fault) => Outcome::Fault(Fault {
                message: desk.masked(fault.message),
                ..fault
            }),
            other => other,
        };
        Ended {
            outcome,
            logs: desk.logs(),
            ..finished
        }
    }
}
