//! What the models of one configuration cost.

use std::collections::HashMap;
use std::sync::Arc;

use moltbot_auth::quota::Price;
use moltbot_config::config::Model;
use moltbot_types::{ModelName, Usage};

/// The prices of models, as one configuration has them. A clone is one pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices(Arc<HashMap<ModelName, Price>>);

impl Prices {
    /// Those of `models` that have one.
    pub(crate) fn new<'a>(models: impl IntoIterator<Item = &'a Model>) -> Self {
        let priced = models.into_iter().filter_map(|model| {
            let price = Price {
                input: model.price.input,
                output: model.price.output,
            };
            (price != Price::default()).then(|| (ModelName::from(model.name.as_str()), price))
        });
        Self(Arc::new(priced.collect()))
    }

    /// The same, by model.
    pub(crate) fn by_model(&self) -> Arc<HashMap<ModelName, Price>> {
        Arc::clone(&self.0)
    }

    /// What tokens of a model cost, in billionths of a US dollar.
    pub(crate) fn of(&self, model: &ModelName, usage: Usage) -> u64 {
        let price = self.0.get(model);
        price.map_or(0, |price| price.of(usage.input, usage.output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_exact_to_the_billionth_of_a_dollar() {
        let model = |name: &str, input, output| {
            let price = Price { input, output };
            (ModelName::from(name), price)
        };
        let prices = [model("mini", 0.25, 2.0), model("tiny", 0.075, 0.3)];
        let prices = Prices(Arc::new(prices.into_iter().collect()));
        let cost = |name: &str, input, output| {
            let usage = Usage {
                input,
                output,
                estimated: false,
            };
            prices.of(&name.into(), usage)
        };
        assert_eq!(cost("mini", 10, 3), 8_500);
        assert_eq!(cost("tiny", 1, 0), 75);
        assert_eq!(cost("mini", 1_000_000, 1_000_000), 2_250_000_000);
        assert_eq!(cost("unpriced", 10, 3), 0);
    }
}
