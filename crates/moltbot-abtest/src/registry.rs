//! The tests of all workspaces, found by their name or by the model they are attached to.

use std::sync::{Arc, PoisonError, RwLock};

use moltbot_types::{ModelName, Workspace};

use crate::experiment::{By, Error, Experiment};
use crate::exposure::Exposures;
use crate::settings::Settings;

/// What a model's name begins with where it names a test: `experiment:NAME`.
pub const PREFIX: &str = "experiment:";

/// The tests that are known.
#[derive(Debug, Default)]
pub struct Tests(RwLock<Vec<Arc<Experiment>>>);

impl Tests {
    /// Opens a test, a new one or one that its store remembers.
    ///
    /// # Errors
    /// [`Error::Invalid`] for wrong settings, a name that is taken, or a model that a live test is attached to already;
    /// [`Error::Store`].
    pub fn open(
        &self,
        settings: Settings,
        store: Arc<dyn Exposures>,
    ) -> Result<Arc<Experiment>, Error> {
        let mut tests = self.0.write().unwrap_or_else(PoisonError::into_inner);
        fits_beside(&tests, &settings)?;
        let test = Arc::new(Experiment::open(settings, store)?);
        tests.push(Arc::clone(&test));
        Ok(test)
    }

    /// Says whether a test of these settings could be opened now.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`Tests::open`] would say it.
    pub fn check(&self, settings: &Settings) -> Result<(), Error> {
        settings.check()?;
        let tests = self.0.read().unwrap_or_else(PoisonError::into_inner);
        fits_beside(&tests, settings)
    }

    /// The test of that name.
    pub fn get(&self, workspace: &Workspace, name: &str) -> Option<Arc<Experiment>> {
        self.find(|test| {
            let settings = test.settings();
            settings.name == name && settings.workspace == *workspace
        })
    }

    /// The tests of a workspace, the oldest first.
    pub fn list(&self, workspace: &Workspace) -> Vec<Arc<Experiment>> {
        let tests = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let own = |test: &&Arc<Experiment>| test.settings().workspace == *workspace;
        tests.iter().filter(own).cloned().collect()
    }

    /// The test that a call to `model` takes part in: `None` where it is a plain model.
    ///
    /// # Errors
    /// The name of a test that the workspace does not have.
    pub fn of_call<'a>(
        &self,
        workspace: &Workspace,
        model: &'a ModelName,
    ) -> Result<Option<(Arc<Experiment>, By)>, &'a str> {
        match model.as_str().strip_prefix(PREFIX) {
            Some(name) => {
                let test = self.get(workspace, name).ok_or(name)?;
                Ok(Some((test, By::Name)))
            }
            None => {
                let test = self.find(|test| {
                    let settings = test.settings();
                    settings.model.as_ref() == Some(model) && settings.workspace == *workspace
                });
                Ok(test.map(|test| (test, By::Model)))
            }
        }
    }

    /// The newest test that fits.
    fn find(&self, fits: impl Fn(&Experiment) -> bool) -> Option<Arc<Experiment>> {
        let tests = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tests.iter().rev().find(|test| fits(test)).cloned()
    }
}

/// A name is taken once in a workspace, and a model has one live test.
fn fits_beside(tests: &[Arc<Experiment>], settings: &Settings) -> Result<(), Error> {
    let Settings {
        workspace,
        name,
        model,
        ..
    } = settings;
    let beside = || {
        tests
            .iter()
            .map(|test| (test, test.settings()))
            .filter(|(_, other)| other.workspace == *workspace)
    };
    if beside().any(|(_, other)| other.name == *name) {
        let text = format!("there is a test `{name}` already: choose another name");
        return Err(Error::Invalid(text));
    }
    let Some(model) = model else {
        return Ok(());
    };
    let attached = |(test, other): &(&Arc<Experiment>, &Settings)| {
        other.model.as_ref() == Some(model) && test.state().is_live()
    };
    match beside().find(attached) {
        None => Ok(()),
        Some((_, other)) => Err(Error::Invalid(format!(
            "calls to `{model}` take part in test `{}` already: stop it first",
            other.name
        ))),
    }
}
