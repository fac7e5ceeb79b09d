//! Comparisons of models: kept in the store, asked on the path of every call.

mod rows;

use std::sync::Arc;

use moltbot_abtest::registry::PREFIX;
use moltbot_abtest::{Comparing, Error, Experiment, Guard, House, Settings, Tests, UnitKind};
use moltbot_router::table::Table;
use moltbot_store::experiments::Definition;
use moltbot_store::{Store, StoreError};
use moltbot_types::admin::TestOrder;
use moltbot_types::{Caller, ModelName, Role, Usage, Workspace};
use tracing::{error, warn};

use self::rows::Rows;
use crate::price::Prices;

/// Rows that are read at a time.
const PAGE: u32 = 10_000;

/// Whether a call asks for a comparison by its name.
pub(crate) fn is_test(model: &ModelName) -> bool {
    model.as_str().starts_with(PREFIX)
}

/// The step of a workspace that compares.
pub(crate) fn comparing(tests: &Arc<Tests>, table: &Arc<Table>, prices: &Prices) -> Comparing {
    let house = Neighbours {
        table: Arc::clone(table),
        prices: prices.clone(),
    };
    moltbot_abtest::comparing(Arc::clone(tests), Arc::new(house))
}

/// What a comparison asks of the workspace around it.
struct Neighbours {
    table: Arc<Table>,
    prices: Prices,
}

impl House for Neighbours {
    fn allows(&self, caller: &Caller, model: &ModelName) -> bool {
        let name = model.as_str();
        caller.role >= Role::User && caller.may_use(name) && self.table.get(name).is_some()
    }

    fn cost(&self, model: &ModelName, usage: Usage) -> f64 {
        self.prices.of(model, usage) as f64 / 1e9
    }

    fn lost(&self, test: &str, error: &Error) {
        warn!(experiment = test, %error, "a row of a comparison is not written");
    }
}

/// All comparisons that the store remembers. One whose rows can't be understood is left out, and said.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn load(store: &Store) -> Result<Tests, StoreError> {
    let tests = Tests::default();
    for definition in store.experiments.all().await? {
        let name = definition.name.clone();
        if let Err(why) = remember(&tests, store, definition).await? {
            error!(experiment = name, error = %why, "a comparison is out of service");
        }
    }
    Ok(tests)
}

async fn remember(
    tests: &Tests,
    store: &Store,
    definition: Definition,
) -> Result<Result<Arc<Experiment>, Error>, StoreError> {
    let Definition {
        workspace,
        name,
        json,
        ..
    } = definition;
    let settings = serde_json::from_str::<TestOrder>(&json)
        .map_err(|error| Error::Invalid(error.to_string()))
        .and_then(|order| settings(&order, &workspace));
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return Ok(Err(error)),
    };
    let mut rows = Rows::new(store, &workspace, &name);
    let mut last = 0;
    loop {
        let page = store.experiments.rows(&workspace, &name, last, PAGE);
        let (page, end) = page.await?;
        if page.is_empty() {
            break;
        }
        last = end;
        rows.keep(&page);
    }
    Ok(tests.open(settings, Arc::new(rows)))
}

/// Opens a new comparison whose definition the store keeps already.
///
/// # Errors
/// As [`Tests::open`].
pub(crate) fn open(
    tests: &Tests,
    store: &Store,
    settings: Settings,
) -> Result<Arc<Experiment>, Error> {
    let rows = Rows::new(store, &settings.workspace, &settings.name);
    tests.open(settings, Arc::new(rows))
}

/// A comparison as it was ordered, checked.
///
/// # Errors
/// [`Error::Invalid`] with what is wrong and what to do.
pub(crate) fn settings(order: &TestOrder, workspace: &Workspace) -> Result<Settings, Error> {
    let standard = Settings::default();
    let models = order.models.iter();
    let settings = Settings {
        name: order.name.clone(),
        workspace: workspace.clone(),
        models: models.map(|model| model.as_str().into()).collect(),
        sample_size: order.sample_size.unwrap_or(standard.sample_size),
        unit: match order.unit.as_deref() {
            None | Some("user") => UnitKind::User,
            Some("request") => UnitKind::Request,
            Some(other) => {
                let words = format!("`{other}` is no unit: choose user or request");
                return Err(Error::Invalid(words));
            }
        },
        weights: order.weights.clone(),
        metric: order.metric.clone().unwrap_or(standard.metric),
        mde: order.mde,
        guards: order
            .guards
            .iter()
            .map(|text| guard(text))
            .collect::<Result<_, _>>()?,
        model: order.model.as_deref().map(ModelName::from),
    };
    settings.check()?;
    Ok(settings)
}

/// `METRIC:MARGIN`.
fn guard(text: &str) -> Result<Guard, Error> {
    let parts = text.rsplit_once(':');
    let parts = parts.and_then(|(metric, margin)| Some((metric, margin.parse().ok()?)));
    let (metric, margin) = parts.ok_or_else(|| {
        Error::Invalid(format!(
            "`{text}` is no guard: write METRIC:MARGIN, such as success:0.05"
        ))
    })?;
    Ok(Guard {
        metric: metric.to_owned(),
        margin,
    })
}
