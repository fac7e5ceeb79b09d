//! `--demo`: a home with builtin models, and what to try with it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use moltbot_config::Home;
use moltbot_gateway::StartError;
use tempfile::TempDir;

/// The home of a demo. A throw-away one is removed when this goes.
pub(crate) struct Demo {
    pub(crate) home: Home,
    folder: Option<TempDir>,
}

impl Demo {
    /// Makes the home: in `named`, which stays, else in a temporary folder.
    pub(crate) fn make(named: Option<PathBuf>) -> Result<Self, StartError> {
        let (root, folder) = match named {
            Some(root) => (root, None),
            None => {
                let folder = tempfile::Builder::new()
                    .prefix("moltbot-demo-")
                    .tempdir()
                    .map_err(StartError::other)?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let home = Home::resolve(Some(root)).map_err(StartError::other)?;
        moltbot_config::demo(&home).map_err(StartError::other)?;
        Ok(Self { home, folder })
    }

    /// Prints commands that can be pasted in order; the last breaks the first model.
    pub(crate) fn greet(&self, listen: SocketAddr) {
        let home = self.home.root().display();
        let ctl = moltctl();
        let text = format!(
            r#"MoltBot is up with two builtin models, `first` and its fallback `second`. Try, in another terminal:

1. Ask for an answer
   curl -s http://{listen}/v1/chat/completions -H 'content-type: application/json' -d '{{"model":"first","messages":[{{"role":"user","content":"Hello"}}]}}'

2. Watch it stream
   curl -sN http://{listen}/v1/chat/completions -H 'content-type: application/json' -d '{{"model":"first","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'

3. Talk to it
   {ctl} --home {home} chat --model first "What can you do?"

4. See how it is
   {ctl} --home {home} status

5. Break the first model and ask again: the second answers, as x-moltbot-model tells
   {ctl} --home {home} config set models.first.params.fail 503 && curl -si http://{listen}/v1/chat/completions -H 'content-type: application/json' -d '{{"model":"first","messages":[{{"role":"user","content":"Hello"}}]}}'

Ctrl-C ends the demo{}."#,
            if self.folder.is_some() {
                " and removes its home"
            } else {
                ""
            }
        );
        // Whoever closed the pipe has read enough; the demo goes on.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// How to call `moltctl` from where the user stands: the one beside this binary, else through cargo.
fn moltctl() -> String {
    std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name("moltctl"))
        .filter(|path| path.exists())
        .map_or_else(
            || "cargo run --release -q -p moltctl --".to_owned(),
            |path| path.display().to_string(),
        )
}
