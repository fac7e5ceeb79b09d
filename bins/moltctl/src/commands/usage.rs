//! `moltctl usage`: calls, tokens and money.

use moltbot_types::admin::UsageSum;

use super::Context;
use crate::cli::Usage;
use crate::client::part;
use crate::failure::Failure;
use crate::output;

pub(super) async fn run(context: &Context, usage: &Usage) -> Result<(), Failure> {
    let by = usage.by.join(",");
    let parameters = [
        ("by", Some(&by).filter(|by| !by.is_empty())),
        ("model", usage.model.as_ref()),
        ("key", usage.key.as_ref()),
        ("since", usage.since.as_ref()),
        ("until", usage.until.as_ref()),
    ];
    let query: Vec<_> = parameters
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", part(value?))))
        .collect();
    let path = format!("usage?{}", query.join("&"));
    let sums: Vec<UsageSum> = context.client.get(&path).await?;
    if context.json() {
        return output::json(&sums);
    }
    if sums.is_empty() && !context.global.quiet {
        return output::line("nothing was used");
    }
    let text = |of: Option<String>| of.unwrap_or_else(|| "-".to_owned());
    output::table(
        [
            "DAY",
            "WORKSPACE",
            "MODEL",
            "KEY",
            "CALLS",
            "TOKENS IN",
            "TOKENS OUT",
            "USD",
        ],
        sums.into_iter().map(|sum| {
            [
                text(sum.day),
                text(sum.workspace),
                text(sum.model),
                text(sum.key),
                sum.calls.to_string(),
                sum.tokens_in.to_string(),
                sum.tokens_out.to_string(),
                format!("{:.6}", sum.cost_usd),
            ]
        }),
    )
}
