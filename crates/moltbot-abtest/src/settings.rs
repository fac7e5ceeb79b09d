//! What a test is made of, and what is refused.

use std::collections::HashSet;

use moltbot_types::{ModelName, Workspace};

use crate::experiment::Error;

/// What is counted once, and keeps its arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnitKind {
    /// The user where a call names one, else the request.
    #[default]
    User,
    /// Each request.
    Request,
}

/// A metric that must not get worse than the baseline by more than a margin.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The metric's name.
    pub metric: String,
    /// How much worse is still borne, in the metric's unit.
    pub margin: f64,
}

/// A test, as it is created; fixed from its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its name: 1 to 64 letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// The workspace it belongs to.
    pub workspace: Workspace,
    /// The arms' models, the baseline first; at least two.
    pub models: Vec<ModelName>,
    /// Units over all arms together.
    pub sample_size: u64,
    /// What is counted once.
    pub unit: UnitKind,
    /// How units are spread over the models; empty is evenly.
    pub weights: Vec<f64>,
    /// The metric that decides.
    pub metric: String,
    /// The least difference that matters, in the metric's unit; without one nothing is called equivalent.
    pub mde: Option<f64>,
    /// What stops the test by itself.
    pub guards: Vec<Guard>,
    /// Calls to this model join the test.
    pub model: Option<ModelName>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            workspace: Workspace::default(),
            models: Vec::new(),
            sample_size: 1000,
            unit: UnitKind::User,
            weights: Vec::new(),
            metric: "success".to_owned(),
            mde: None,
            guards: Vec::new(),
            model: None,
        }
    }
}

impl Settings {
    /// Most models of a test.
    pub const MOST_MODELS: usize = 100;

    /// Says what is wrong with the settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong and how to put it right.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::Invalid(text));
        name("a test", &self.name)?;
        name("a metric", &self.metric)?;
        let models = self.models.len();
        if !(2..=Self::MOST_MODELS).contains(&models) {
            return invalid(format!(
                "a test compares 2 to {} models, and {models} are named: --models '[\"a\",\"b\"]', the baseline first",
                Self::MOST_MODELS
            ));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.models.iter().find(|model| !seen.insert(*model)) {
            return invalid(format!("model `{twice}` is named twice: name each once"));
        }
        if self.sample_size == 0 {
            return invalid("a test needs at least one unit: --sample-size 1000".to_owned());
        }
        if !self.weights.is_empty() && self.weights.len() != models {
            return invalid(format!(
                "{} weights for {models} models: give one weight for each model",
                self.weights.len()
            ));
        }
        weights(&self.weights)?;
        if let Some(mde) = self.mde.filter(|mde| !(mde.is_finite() && *mde > 0.0)) {
            return invalid(format!(
                "--mde {mde} is no difference: give a number above 0"
            ));
        }
        for guard in &self.guards {
            name("a metric", &guard.metric)?;
            if !(guard.margin.is_finite() && guard.margin >= 0.0) {
                return invalid(format!(
                    "guard {}:{} has no margin: give a number of 0 or more in the metric's unit",
                    guard.metric, guard.margin
                ));
            }
        }
        Ok(())
    }

    /// The weights, one for each model.
    pub(crate) fn shares(&self) -> Vec<f64> {
        match self.weights.is_empty() {
            true => vec![1.0; self.models.len()],
            false => self.weights.clone(),
        }
    }
}

pub(crate) fn weights(weights: &[f64]) -> Result<(), Error> {
    let wrong = |weight: &&f64| !(weight.is_finite() && **weight > 0.0 && **weight <= 1e9);
    match weights.iter().find(wrong) {
        Some(weight) => Err(Error::Invalid(format!(
            "weight {weight} gives no share: give a number above 0"
        ))),
        None => Ok(()),
    }
}

/// Checks a name of a test or a metric.
pub(crate) fn name(what: &str, name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "`{}` can't name {what}: use 1 to 64 letters, digits, dots, dashes or underscores",
            name.escape_debug()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            name: "model-comparison".to_owned(),
            models: vec!["model-a".into(), "model-b".into()],
            ..Settings::default()
        }
    }

    #[test]
    fn each_wrong_setting_is_named_with_its_cure() {
        good().check().unwrap();
        let wrong = |change: fn(&mut Settings)| {
            let mut settings = good();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert!(wrong(|s| s.name = "a/b".to_owned()).contains("letters"));
        assert!(wrong(|s| s.name = "x".repeat(65)).contains("64"));
        assert!(wrong(|s| s.models.truncate(1)).contains("baseline first"));
        assert!(wrong(|s| s.models[1] = "model-a".into()).contains("twice"));
        assert!(wrong(|s| s.sample_size = 0).contains("--sample-size"));
        assert!(wrong(|s| s.weights = vec![1.0]).contains("one weight for each"));
        assert!(wrong(|s| s.weights = vec![1.0, f64::NAN]).contains("above 0"));
        assert!(wrong(|s| s.mde = Some(0.0)).contains("above 0"));
        let guard = |s: &mut Settings| {
            let metric = "success".to_owned();
            s.guards = vec![Guard {
                metric,
                margin: -0.1,
            }];
        };
        assert!(wrong(guard).contains("margin"));
    }
}
