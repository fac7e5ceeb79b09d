//! Targets out of the configuration: whom they ask, as whom, and how.

use std::sync::Arc;

use http::StatusCode;
use moltbot_config::Config;
use moltbot_config::config::{Auth, Model, Params, Provider, Role, Target};
use moltbot_providers::instance::Replica;
use moltbot_providers::{Builtin, Http, Script, SetupError, TargetSpec};
use moltbot_router::health::HealthKey;
use moltbot_router::table::RouteTarget;
use moltbot_router::tier::{self, Place};
use moltbot_router::times::Timeouts;
use moltbot_types::{Credential, TargetId, Workspace};
use moltbot_wire::openai::OPENAI;
use serde_json::Value;

use crate::gateway::StartError;
use crate::runtime::Runtime;
use crate::servers::{Running, Server};
use crate::stack::{self, TargetSettings};

/// The names of a model's targets.
pub(crate) fn ids(model: &Model) -> impl Iterator<Item = TargetId> + '_ {
    let replicas = model
        .instance
        .as_ref()
        .map_or(1, |instance| instance.replicas);
    let count = model.targets.len().max(replicas);
    (0..count).map(|index| match model.targets.get(index) {
        Some(Target {
            name: Some(name), ..
        }) => TargetId::from(name.as_str()),
        _ => TargetId::from(format!("{}/{index}", model.name)),
    })
}

/// The targets of a model, each with its path. The model is shared, or `owner`'s alone.
pub(crate) fn all(
    model: &Model,
    owner: Option<&Workspace>,
    credential: &Arc<dyn Credential>,
    config: &Config,
    rt: &Runtime,
) -> Result<Vec<RouteTarget>, StartError> {
    let ends = ends(model, rt).map_err(StartError::other)?;
    let targets = ids(model).zip(&ends);
    targets
        .map(|(id, end)| target(model, owner, id, end, credential, config, rt))
        .collect::<Result<_, _>>()
        .map_err(StartError::other)
}

/// What stands at the end of a target's path.
enum End<'a> {
    Address(&'a Target),
    Server(Arc<Running>, Replica),
    Builtin(Option<&'a Target>),
}

/// The end of each target's path, in the order of [`ids`].
fn ends<'a>(model: &'a Model, rt: &Runtime) -> Result<Vec<End<'a>>, SetupError> {
    if let Some(instance) = &model.instance {
        let running = rt.servers.of(&model.name, instance, rt)?;
        let replicas = running.replicas().iter();
        let server = |replica: &Replica| End::Server(Arc::clone(&running), replica.clone());
        return Ok(replicas.map(server).collect());
    }
    let targets = model.targets.iter();
    Ok(match model.provider {
        Provider::OpenAi => targets.map(End::Address).collect(),
        Provider::Builtin if model.targets.is_empty() => vec![End::Builtin(None)],
        Provider::Builtin => targets.map(|at| End::Builtin(Some(at))).collect(),
    })
}

fn target(
    model: &Model,
    owner: Option<&Workspace>,
    id: TargetId,
    end: &End<'_>,
    credential: &Arc<dyn Credential>,
    config: &Config,
    rt: &Runtime,
) -> Result<RouteTarget, SetupError> {
    let shown_as: Option<Arc<str>> = match &model.auth {
        Auth::None => None,
        _ => Some(credential.id().into()),
    };
    // Two workspaces may have models, and so targets, of one name.
    let scoped = match owner {
        None => id.to_string(),
        Some(owner) => format!("{owner}\0{id}"),
    };
    let (at, address) = match end {
        End::Address(at) => (Some(*at), Arc::from(&*at.url)),
        End::Server(_, replica) => (None, replica.base_url().into()),
        End::Builtin(at) => (*at, Arc::from(&*scoped)),
    };
    let health = rt.health.target(&HealthKey {
        address,
        model: Arc::from(&*model.model),
        credential: shown_as.clone(),
    });
    let settings = TargetSettings {
        permits: scoped,
        concurrency: model.concurrency,
        queue_wait: config.server.limits.queue_wait,
        timeouts: timeouts(model),
    };
    let spec = |url: &str| spec(model, url, &id, credential, config);
    let service = match end {
        End::Address(at) => {
            let http = Http::new(spec(&at.url), rt.client.clone())?;
            stack::target(&settings, http, rt)
        }
        End::Server(running, replica) => {
            let spec = spec(&replica.base_url());
            let server = Server::new(running, replica, spec, Arc::clone(&health), rt)?;
            stack::target(&settings, server, rt)
        }
        End::Builtin(_) => stack::target(&settings, builtin(model), rt),
    };
    Ok(RouteTarget {
        place: at.map(place).unwrap_or_default(),
        weight: at.map_or(1.0, |at| f64::from(at.weight)),
        credential: shown_as,
        health,
        service,
        id,
    })
}

/// What a target over HTTP is asked, and within which limits.
fn spec(
    model: &Model,
    url: &str,
    id: &TargetId,
    credential: &Arc<dyn Credential>,
    config: &Config,
) -> TargetSpec {
    let mut spec = TargetSpec::new(model.name.as_str(), url, &OPENAI, Arc::clone(credential));
    spec.id = id.clone();
    spec.upstream_model = model.model.clone();
    spec.defaults = defaults(&model.params);
    spec.connect = model.timeouts.connect;
    spec.answer = Some(model.timeouts.answer);
    spec.idle = Some(model.timeouts.idle);
    let limits = &config.server.limits;
    spec.reply_limit = usize::try_from(limits.reply).unwrap_or(usize::MAX);
    spec.event_limit = usize::try_from(limits.event).unwrap_or(usize::MAX);
    spec
}

/// Fields that calls get where they set none, as JSON text.
fn defaults(params: &Params) -> Vec<(Arc<str>, Arc<str>)> {
    let fields = params.fields.iter();
    fields
        .map(|(name, value)| (Arc::from(name.as_str()), Arc::from(value.to_string())))
        .collect()
}

fn timeouts(model: &Model) -> Timeouts {
    Timeouts {
        first_token: model.timeouts.first_token,
        idle: model.timeouts.idle,
        // The provider bounds the time to the body's first byte, and its pauses; a long body may take its time.
        answer: None,
    }
}

fn place(at: &Target) -> Place {
    Place {
        region: at.region.as_deref().map(Arc::from),
        role: match at.role {
            Role::Primary => tier::Role::Primary,
            Role::Standby => tier::Role::Standby,
        },
    }
}

/// `echo`, or a script whose parts stand in the model's params.
fn builtin(model: &Model) -> Builtin {
    if model.model == "echo" {
        return Builtin::echo();
    }
    let fields = &model.params.fields;
    let time = |name: &str| {
        fields
            .get(name)
            .and_then(moltbot_config::time_of)
            .unwrap_or_default()
    };
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    Builtin::script(Script {
        text: fields
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or("This answer was written in advance.")
            .to_owned(),
        delay: time("delay"),
        pace: time("pace"),
        fail: number("fail")
            .and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok()),
        cut_after: number("cut_after").and_then(|pieces| usize::try_from(pieces).ok()),
        hang: fields.get("hang").and_then(Value::as_bool).unwrap_or(false),
    })
}
