//! The whole gateway in a service of your own: the same endpoint, the same files, your process.
//!
//! `cargo run -p moltbot-examples --example embed_gateway`

use std::error::Error;

use moltbot_config::{Home, Overrides};
use moltbot_examples::{ask, text};
use moltbot_gateway::Gateway;

const GATEWAY: &str = "
server: { listen: '127.0.0.1:0', admin: '127.0.0.1:0', auth: none }
models:
  - { name: hello, provider: builtin, model: echo }
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let home = Home::new(folder.path());
    std::fs::create_dir_all(home.config_dir())?;
    std::fs::write(home.gateway_file(), GATEWAY)?;

    let gateway = Gateway::prepare(home, Overrides::default())?
        .start()
        .await?;
    println!("serving on http://{}/v1", gateway.listen());

    // Calls from within need no HTTP: they enter at the same door and go down the same path.
    let reply = gateway.door().enter(ask("hello", "Good morning")?).await?;
    let answer = text(reply);
    println!("{answer}");
    assert_eq!(answer, "Good morning");

    gateway.drain().await;
    Ok(())
}

#[cfg(test)]
#[test]
fn it_runs() {
    main().unwrap();
}
