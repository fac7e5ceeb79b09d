//! Targets out of the configuration: whom they ask, as whom, and how.

use std::sync::Arc;

use http::StatusCode;
use moltbot_auth::credential::{ApiKey, Missing, NoCredential, Placement};
use moltbot_config::Config;
use moltbot_config::config::{Auth, Model, Params, Provider, Role, Target};
use moltbot_providers::{Builtin, Http, Script, TargetSpec};
use moltbot_router::health::HealthKey;
use moltbot_router::table::RouteTarget;
use moltbot_router::tier::{self, Place};
use moltbot_router::times::Timeouts;
use moltbot_types::{Credential, Next, TargetId};
use moltbot_wire::openai::OPENAI;
use serde_json::Value;

use crate::gateway::StartError;
use crate::runtime::Runtime;
use crate::stack::{self, TargetSettings};

/// The names of a model's targets.
pub(crate) fn ids(model: &Model) -> impl Iterator<Item = TargetId> + '_ {
    let count = model.targets.len().max(1);
    (0..count).map(|index| match model.targets.get(index) {
        Some(Target {
            name: Some(name), ..
        }) => TargetId::from(name.as_str()),
        _ => TargetId::from(format!("{}/{index}", model.name)),
    })
}

/// The targets of a model, each with its path.
pub(crate) fn all(
    model: &Model,
    config: &Config,
    rt: &Runtime,
) -> Result<Vec<RouteTarget>, StartError> {
    let credential = credential(&model.auth).map_err(StartError::other)?;
    let shown_as: Option<Arc<str>> = match &model.auth {
        Auth::None => None,
        _ => Some(credential.id().into()),
    };
    ids(model)
        .enumerate()
        .map(|(index, id)| {
            let at = model.targets.get(index);
            let settings = TargetSettings {
                id: id.clone(),
                concurrency: model.concurrency,
                queue_wait: config.server.limits.queue_wait,
                timeouts: timeouts(model),
            };
            let service = match (model.provider, at) {
                (Provider::OpenAi, Some(at)) => {
                    let upstream = http(model, at, &id, &credential, config, rt)?;
                    stack::target(&settings, upstream, rt)
                }
                _ => stack::target(&settings, builtin(model), rt),
            };
            Ok(RouteTarget {
                place: at.map(place).unwrap_or_default(),
                weight: at.map_or(1.0, |at| f64::from(at.weight)),
                credential: shown_as.clone(),
                health: rt.health.target(&HealthKey {
                    address: at.map_or_else(|| Arc::from(id.as_str()), |at| Arc::from(&*at.url)),
                    model: Arc::from(&*model.model),
                    credential: shown_as.clone(),
                }),
                service,
                id,
            })
        })
        .collect()
}

fn http(
    model: &Model,
    at: &Target,
    id: &TargetId,
    credential: &Arc<dyn Credential>,
    config: &Config,
    rt: &Runtime,
) -> Result<impl Next, StartError> {
    let mut spec = TargetSpec::new(
        model.name.as_str(),
        at.url.as_str(),
        &OPENAI,
        Arc::clone(credential),
    );
    spec.id = id.clone();
    spec.upstream_model = model.model.clone();
    spec.defaults = defaults(&model.params);
    spec.connect = model.timeouts.connect;
    spec.answer = Some(model.timeouts.answer);
    spec.idle = Some(model.timeouts.idle);
    let limits = &config.server.limits;
    spec.reply_limit = usize::try_from(limits.reply).unwrap_or(usize::MAX);
    spec.event_limit = usize::try_from(limits.event).unwrap_or(usize::MAX);
    Http::new(spec, rt.client.clone()).map_err(StartError::other)
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

fn credential(auth: &Auth) -> Result<Arc<dyn Credential>, moltbot_auth::AuthError> {
    Ok(match auth {
        Auth::None => Arc::new(NoCredential),
        Auth::ApiKey { key, .. } => Arc::new(ApiKey::new(key, &Placement::Bearer)?),
        Auth::Missing { what, .. } => Arc::new(Missing::new(what.as_str())),
    })
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
