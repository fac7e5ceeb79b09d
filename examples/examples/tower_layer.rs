//! Any tower layer in a path: here tower's own concurrency limit, and a step that reads like one function.
//!
//! `cargo run -p moltbot-examples --example tower_layer`

use std::error::Error;

use moltbot_examples::{ask, text};
use moltbot_providers::Builtin;
use moltbot_types::{Call, CallError, Kind, Layered, Next, Reply, Step, boxed, tower};

/// Lets only models of a list through.
#[derive(Clone)]
struct Only(&'static [&'static str]);

impl Step for Only {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        if !self.0.contains(&call.head.model.as_str()) {
            return Err(CallError::new(
                Kind::Forbidden,
                "this model is not on the list",
            ));
        }
        next.call(call).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = ::tower::ServiceBuilder::new()
        .layer(Layered::layer(Only(&["echo"])))
        // It ends at the reply's head; a limit that streams obey is `moltbot_router::permits`.
        .layer(tower(::tower::limit::ConcurrencyLimitLayer::new(8)))
        .service(boxed(Builtin::echo()));

    let answer = text(path.call(ask("echo", "Hello")?).await?);
    println!("{answer}");
    assert_eq!(answer, "Hello");

    let refused = path.call(ask("other", "Hello")?).await;
    println!("{}", refused.as_ref().expect_err("it is not on the list"));
    Ok(())
}

#[cfg(test)]
#[test]
fn it_runs() {
    main().unwrap();
}
