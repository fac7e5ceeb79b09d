//! A provider of your own: whatever answers a call can be a target, and gets retries, failover and health.
//!
//! `cargo run -p moltbot-examples --example custom_provider`

use std::error::Error;

use moltbot_examples::{ask, text};
use moltbot_router::{Timeouts, times};
use moltbot_types::{Answer, Call, CallError, Layered, Next, Reply, boxed};

/// Answers with the words of a prompt in reverse.
#[derive(Clone)]
struct Backwards;

impl Next for Backwards {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let prompt = call.dialect.read(call.head.operation, &call.body)?;
        let words: Vec<&str> = prompt
            .last_user()
            .unwrap_or_default()
            .split(' ')
            .rev()
            .collect();
        let answer = Answer {
            id: call.id.to_string(),
            model: call.head.model.to_string(),
            text: words.join(" "),
            ..Answer::default()
        };
        let body = call.dialect.write(call.head.operation, &answer);
        Ok(Reply::whole(call.dialect, body))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = ::tower::ServiceBuilder::new()
        .layer(Layered::layer(times(Timeouts::default())))
        .service(Backwards);
    let target = moltbot_types::Plain::new(boxed(target));

    let answer = text(target.call(ask("backwards", "to be or not")?).await?);
    println!("{answer}");
    assert_eq!(answer, "not or be to");
    Ok(())
}

#[cfg(test)]
#[test]
fn it_runs() {
    main().unwrap();
}
