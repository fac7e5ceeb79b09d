//! One configuration, built: what a call meets from its door to its last byte.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use moltbot_auth::{Authenticate, CallerKey};
use moltbot_config::Config;
use moltbot_config::config::{self, Rules};
use moltbot_telemetry::Declared;
use moltbot_types::{CallError, Caller, Kind, Workspace};

use crate::caller;
use crate::filter::Filters;
use crate::gateway::StartError;
use crate::routes::Routes;
use crate::runtime::Runtime;
use crate::server::Peer;
use crate::tls::Identity;
use crate::workspace::WorkspacePath;

/// A built configuration. Invariant: a call loads it once and keeps it.
pub(crate) struct Snapshot {
    /// Counts applied configurations, from 1.
    pub(crate) generation: u64,
    /// What it was built from.
    pub(crate) config: Config,
    /// What keeps a workspace from its newest form, one line each.
    pub(crate) problems: Vec<String>,
    authenticate: Arc<dyn Authenticate>,
    home_key: Option<CallerKey>,
    certificate: Option<Identity>,
    fingerprint: String,
    shared: Arc<Routes>,
    filters: Arc<Filters>,
    workspaces: HashMap<Workspace, Arc<WorkspacePath>>,
}

impl Snapshot {
    /// Builds the paths beside those in force; nothing of them is touched. A workspace that did not change keeps
    /// its path, and one that can't be built keeps its last good one.
    ///
    /// # Errors
    /// Where a shared part can't be built: an address that is none, a key file that is none.
    pub(crate) fn build(
        generation: u64,
        config: Config,
        key: Option<&str>,
        before: Option<&Self>,
        rt: &Runtime,
    ) -> Result<Self, StartError> {
        let home_key = caller::check(&config, key, rt.keys.any_stored())?;
        let authenticate = caller::authenticate(&config, &rt.keys);
        let fingerprint = config.shared_fingerprint();
        let same = before.filter(|before| before.fingerprint == fingerprint);
        let shared = match same {
            Some(before) => Arc::clone(&before.shared),
            None => Arc::new(Routes::build(&config.models, None, &config, rt)?),
        };
        let filters = match same {
            Some(before) => Arc::clone(&before.filters),
            None => Arc::new(Filters::build(&config.filters, &rt.calls)?),
        };
        let mut built = Self {
            generation,
            problems: Vec::new(),
            authenticate,
            home_key,
            certificate: rt.certificate.read(&config)?,
            fingerprint,
            shared,
            filters,
            workspaces: HashMap::new(),
            config: Config::default(),
        };
        for workspace in &config.workspaces {
            let name = Workspace::from(workspace.name.as_str());
            let last = before.and_then(|before| before.workspaces.get(&name));
            let Some(rules) = &workspace.rules else {
                continue;
            };
            let path = match built.workspace_path(&name, rules, &config, last, rt) {
                Ok(path) => path,
                Err(error) => {
                    let problem = format!("workspaces/{name}: {error}; what it was stays");
                    built.problems.push(problem);
                    let Some(last) = last else { continue };
                    Arc::clone(last)
                }
            };
            built.workspaces.insert(name, path);
        }
        built.config = config;
        Ok(built)
    }

    fn workspace_path(
        &self,
        name: &Workspace,
        rules: &Rules,
        config: &Config,
        last: Option<&Arc<WorkspacePath>>,
        rt: &Runtime,
    ) -> Result<Arc<WorkspacePath>, StartError> {
        let fingerprint = format!("{}-{}", self.fingerprint, rules.fingerprint());
        if let Some(last) = last.filter(|last| last.fingerprint() == fingerprint) {
            return Ok(Arc::clone(last));
        }
        let name = name.clone();
        let path = WorkspacePath::build(
            name,
            rules,
            config,
            &self.shared,
            &self.filters,
            fingerprint,
            rt,
        )?;
        Ok(Arc::new(path))
    }

    /// The filters that are configured.
    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// The channels of all workspaces, in the order of their files.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (Workspace, &config::Channel)> {
        self.config.workspaces.iter().flat_map(|workspace| {
            let name = Workspace::from(workspace.name.as_str());
            let channels = workspace.channels.iter().flatten();
            channels.map(move |channel| (name.clone(), channel))
        })
    }

    /// Who is calling.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Caller, CallError> {
        let address = match peer {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix => None,
        };
        let mut caller = self.authenticate.authenticate(headers, address)?;
        if let Some(name) = &caller.name
            && let Some(workspace) = self.workspaces.get(&caller.workspace)
            && let Some(role) = workspace.member_role(name)
        {
            caller.role = role;
        }
        Ok(caller)
    }

    /// What the data plane shows where it speaks TLS.
    pub(crate) fn certificate(&self) -> Option<&Identity> {
        self.certificate.as_ref()
    }

    /// The key in the home's file.
    pub(crate) fn home_key(&self) -> Option<&CallerKey> {
        self.home_key.as_ref()
    }

    /// What a caller of that workspace meets.
    ///
    /// # Errors
    /// 503 where its files are invalid and were so at the start, 403 where there is no such workspace any more.
    pub(crate) fn workspace(&self, name: &Workspace) -> Result<&Arc<WorkspacePath>, CallError> {
        self.workspaces.get(name).ok_or_else(|| {
            if self.config.workspace(name.as_str()).is_some() {
                let words =
                    format!("the workspace `{name}` is out of service: its files are invalid");
                return CallError::new(Kind::Unavailable, words).code("workspace_unavailable");
            }
            let words = format!("the workspace `{name}` does not exist any more");
            CallError::new(Kind::Forbidden, words)
        })
    }

    /// The routes to the models that all workspaces share.
    pub(crate) fn shared(&self) -> &Routes {
        &self.shared
    }

    /// The workspaces that are in service, in the order of the configuration.
    pub(crate) fn workspaces(&self) -> impl Iterator<Item = &WorkspacePath> {
        let all = self.config.workspaces.iter();
        all.filter_map(|workspace| {
            self.workspaces
                .get(workspace.name.as_str())
                .map(|path| &**path)
        })
    }

    /// Workspaces with their models and targets, so that their series exist before the first call.
    pub(crate) fn declared(&self) -> Vec<Declared> {
        self.workspaces().map(WorkspacePath::declared).collect()
    }

    /// What is in force in the place of parts that `config` can't tell.
    pub(crate) fn fill(&self, config: &mut Config) {
        for config::Workspace {
            name,
            rules,
            channels,
        } in &mut config.workspaces
        {
            if let Some(good) = self.config.workspace(name) {
                *rules = rules.take().or_else(|| good.rules.clone());
                *channels = channels.take().or_else(|| good.channels.clone());
            }
        }
    }
}
