//! The router alone: two targets in memory, the first of which is never there.
//!
//! `cargo run -p moltbot-examples --example embed_router`

use std::error::Error;
use std::sync::Arc;

use moltbot_examples::{ask, text};
use moltbot_providers::{Builtin, Script};
use moltbot_router::health::{Health, HealthKey};
use moltbot_router::{
    Budgets, FailoverSettings, Route, RouteSettings, RouteTarget, Table, failover,
};
use moltbot_types::{Next, boxed};

/// A target of the model `answers`, with health of its own.
fn target(name: &str, health: &Health, upstream: impl Next) -> RouteTarget {
    RouteTarget {
        id: name.into(),
        place: Default::default(),
        weight: 1.0,
        credential: None,
        health: health.target(&HealthKey {
            address: name.into(),
            model: "answers".into(),
            credential: None,
        }),
        service: boxed(upstream),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let health = Health::default();
    let down = Builtin::script(Script {
        fail: Some(http::StatusCode::SERVICE_UNAVAILABLE),
        ..Script::default()
    });
    let targets = vec![
        target("down", &health, down),
        target("up", &health, Builtin::echo()),
    ];
    let routes: Table = [Route::new("answers", targets, RouteSettings::default())]
        .into_iter()
        .collect();
    let router = failover(
        Arc::new(routes),
        Arc::new(Budgets::default()),
        FailoverSettings::default(),
    );

    // Whichever target is picked first, the caller gets an answer.
    for question in ["one", "two", "three"] {
        let call = ask("answers", question)?;
        let trail = Arc::clone(&call.trail);
        let answer = text(router.call(call).await?);
        println!(
            "{answer} after {} attempt(s)",
            trail.with(|tried| tried.attempts.len())
        );
        assert_eq!(answer, question);
    }
    Ok(())
}

#[cfg(test)]
#[test]
fn it_runs() {
    main().unwrap();
}
