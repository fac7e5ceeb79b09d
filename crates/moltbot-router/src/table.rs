//! Which targets answer for a model, and which models do when none of them does.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moltbot_types::{CallError, CallService, Kind, ModelName, TargetId};

use crate::health::{Peers, TargetHealth};
use crate::pick::{Candidate, LeastLatency, Pick};
use crate::tier::{Place, Tiers};

/// One place that answers for a model.
#[derive(Clone)]
pub struct RouteTarget {
    /// Its name, else `model/index`.
    pub id: TargetId,
    /// Its region and role.
    pub place: Place,
    /// Its share of calls among its like; more than 0.
    pub weight: f64,
    /// The id (never the secret) of the credential it is called with; `None` where there is none.
    pub credential: Option<Arc<str>>,
    /// Its health.
    pub health: Arc<TargetHealth>,
    /// Its own steps, which end at the upstream.
    pub service: CallService,
}

impl RouteTarget {
    /// A primary of the node's own region that is called without a credential.
    pub fn new(id: impl Into<TargetId>, health: Arc<TargetHealth>, service: CallService) -> Self {
        Self {
            id: id.into(),
            place: Place::default(),
            weight: 1.0,
            credential: None,
            health,
            service,
        }
    }
}

impl fmt::Debug for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteTarget")
            .field("id", &self.id)
            .field("place", &self.place)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

/// What holds for a model as a whole.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// Where this node runs: targets of that region come first.
    pub region: Option<Arc<str>>,
    /// Which target of a tier gets the call.
    pub pick: Arc<dyn Pick>,
    /// Models that answer when no target of this one does, in order.
    pub fallback: Vec<ModelName>,
    /// Models for prompts that do not fit this one.
    pub on_context_window: Vec<ModelName>,
    /// Models for prompts that the provider's content policy refused.
    pub on_content_policy: Vec<ModelName>,
    /// How long a whole call may take, its stream included.
    pub total: Duration,
    /// What its answers depend on beside the call: the provider's name of the model, and params that are added.
    pub identity: Arc<str>,
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self {
            region: None,
            pick: Arc::new(LeastLatency),
            fallback: Vec::new(),
            on_context_window: Vec::new(),
            on_content_policy: Vec::new(),
            total: Duration::from_secs(600),
            identity: Arc::from(""),
        }
    }
}

/// The way to one model.
#[derive(Debug)]
pub struct Route {
    name: ModelName,
    targets: Vec<RouteTarget>,
    tiers: Tiers,
    peers: Peers,
    settings: RouteSettings,
}

impl Route {
    /// The way to `name` by `targets`.
    pub fn new(
        name: impl Into<ModelName>,
        targets: Vec<RouteTarget>,
        settings: RouteSettings,
    ) -> Self {
        let candidates = targets.iter().enumerate().map(|(index, target)| {
            let candidate = Candidate {
                index,
                health: Arc::clone(&target.health),
                weight: target.weight,
            };
            (target.place.clone(), candidate)
        });
        let tiers = Tiers::new(candidates, settings.region.as_deref());
        let healths = targets.iter().map(|target| Arc::clone(&target.health));
        let peers = match targets.len() {
            // The fallback is at hand: a row of failures need not be borne.
            1 if !settings.fallback.is_empty() => Peers::default(),
            _ => healths.collect(),
        };
        Self {
            name: name.into(),
            tiers,
            peers,
            targets,
            settings,
        }
    }

    /// The model's name.
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// Its targets, in the order in which they were given.
    pub fn targets(&self) -> &[RouteTarget] {
        &self.targets
    }

    /// What holds for it as a whole.
    pub fn settings(&self) -> &RouteSettings {
        &self.settings
    }

    pub(crate) fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    /// Its targets, as they are judged beside each other.
    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Models that may answer where a provider refused the prompt itself.
    pub(crate) fn instead(&self, refused: Kind) -> &[ModelName] {
        match refused {
            Kind::ContextWindow => &self.settings.on_context_window,
            Kind::ContentPolicy => &self.settings.on_content_policy,
            _ => &[],
        }
    }
}

/// The models that a workspace sees, by name.
///
/// A name may lead to another model's route: that model then answers in its place.
#[derive(Clone, Debug, Default)]
pub struct Table(HashMap<ModelName, Arc<Route>>);

impl FromIterator<Route> for Table {
    fn from_iter<I: IntoIterator<Item = Route>>(routes: I) -> Self {
        routes
            .into_iter()
            .map(|route| (route.name.clone(), Arc::new(route)))
            .collect()
    }
}

impl FromIterator<(ModelName, Arc<Route>)> for Table {
    fn from_iter<I: IntoIterator<Item = (ModelName, Arc<Route>)>>(routes: I) -> Self {
        Self(routes.into_iter().collect())
    }
}

impl Table {
    /// The route that answers for `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Route>> {
        self.0.get(name)
    }

    /// All routes, in no order.
    pub fn routes(&self) -> impl Iterator<Item = (&ModelName, &Arc<Route>)> {
        self.0.iter()
    }

    /// The route that answers for `name`.
    ///
    /// # Errors
    /// `ModelNotFound`, naming the nearest name there is.
    pub fn find(&self, name: &ModelName) -> Result<&Arc<Route>, CallError> {
        self.get(name.as_str()).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &ModelName) -> CallError {
        /// Longer names are no slips of the pen, and comparing them costs time.
        const LONGEST: usize = 64;
        let shown: String = name.as_str().chars().take(LONGEST).collect();
        let near = (name.as_str().len() <= LONGEST)
            .then(|| {
                self.0
                    .keys()
                    .map(|known| (strsim::jaro_winkler(&shown, known.as_str()), known))
                    .filter(|(likeness, _)| *likeness > 0.75)
                    .max_by(|(a, known), (b, other)| a.total_cmp(b).then_with(|| other.cmp(known)))
            })
            .flatten();
        let message = match near {
            Some((_, known)) => format!("no model `{shown}`; did you mean `{known}`?"),
            None => format!("no model `{shown}`; the list of models names those there are"),
        };
        CallError::new(Kind::ModelNotFound, message).param("model")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Table {
        names
            .iter()
            .map(|name| Route::new(*name, Vec::new(), RouteSettings::default()))
            .collect()
    }

    fn words(table: &Table, name: &str) -> String {
        table.find(&name.into()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_nearest_name() {
        let table = table(&["gpt-4o", "claude", "local-model"]);
        assert_eq!(
            words(&table, "gpt4"),
            "no model `gpt4`; did you mean `gpt-4o`?"
        );
        assert_eq!(
            words(&table, "zzz"),
            "no model `zzz`; the list of models names those there are"
        );
        assert!(words(&table, &"é".repeat(100_000)).len() < 256);
    }

    #[test]
    fn a_name_may_lead_to_another_model() {
        let route = Arc::new(Route::new("b", Vec::new(), RouteSettings::default()));
        let table: Table = [("a".into(), Arc::clone(&route)), ("b".into(), route)]
            .into_iter()
            .collect();
        assert_eq!(table.find(&"a".into()).unwrap().name(), &"b".into());
    }
}
