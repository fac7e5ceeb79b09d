//! How the servers of a model are started and watched.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The servers of one model.
#[derive(Clone)]
pub struct InstanceSettings {
    /// What they are called in the log, in errors and in the status: the model's name.
    pub name: String,
    /// The program and its arguments; `{port}` in an argument stands for the port to listen on, which
    /// the environment variable `PORT` holds too. The server must listen on `127.0.0.1` and stay in the
    /// foreground.
    pub command: Vec<String>,
    /// How many servers there are.
    pub replicas: usize,
    /// Where a `GET` tells that the server is ready: by any 2xx, or by 401 and 403, since it asks without
    /// a key.
    pub ready_path: String,
    /// How long a start may take. One that takes longer is late, which the status tells; it is started
    /// anew unless it works, and in any case after ten times as long.
    pub ready_within: Duration,
    /// How often a ready server is asked whether it still answers.
    pub probe_every: Duration,
    /// How long it may take to answer that.
    pub probe_timeout: Duration,
    /// So many unanswered probes in a row of a server that does not work meanwhile mean that it hangs:
    /// it is replaced.
    pub hung_after: u32,
    /// The same for a server that works, and may be too busy to answer.
    pub busy_hung_after: u32,
    /// The wait before the first restart; it doubles with each.
    pub backoff_first: Duration,
    /// The longest wait before a restart.
    pub backoff_max: Duration,
    /// A server that was ready for so long begins with the first wait again.
    pub backoff_reset: Duration,
    /// How long a server has to end by itself when it is stopped, before it is killed.
    pub grace: Duration,
    /// The program whose `main` begins with [`guard::enter`](super::guard::enter); `None` is this very
    /// program.
    pub guard: Option<PathBuf>,
}

impl Default for InstanceSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            command: Vec::new(),
            replicas: 1,
            ready_path: "/v1/models".to_owned(),
            ready_within: Duration::from_secs(60),
            probe_every: Duration::from_secs(2),
            probe_timeout: Duration::from_secs(2),
            hung_after: 3,
            busy_hung_after: 15,
            backoff_first: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            backoff_reset: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            guard: None,
        }
    }
}

impl InstanceSettings {
    /// The program alone: arguments may hold secrets.
    pub(super) fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// The command with its port.
    pub(super) fn command_on(&self, port: u16) -> Vec<String> {
        let port = port.to_string();
        let words = self.command.iter();
        words.map(|word| word.replace("{port}", &port)).collect()
    }
}

/// Leaves the arguments out, which may hold secrets.
impl fmt::Debug for InstanceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSettings")
            .field("name", &self.name)
            .field("program", &self.program())
            .field("replicas", &self.replicas)
            .field("ready_path", &self.ready_path)
            .field("ready_within", &self.ready_within)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_put_wherever_it_is_named() {
        let settings = InstanceSettings {
            command: ["serve", "--listen=127.0.0.1:{port}", "{port}", "{other}"]
                .map(str::to_owned)
                .to_vec(),
            ..InstanceSettings::default()
        };
        assert_eq!(
            settings.command_on(81),
            ["serve", "--listen=127.0.0.1:81", "81", "{other}"]
        );
    }

    #[test]
    fn arguments_are_not_shown() {
        let settings = InstanceSettings {
            command: vec!["serve".to_owned(), "--api-key=sk-secret".to_owned()],
            ..InstanceSettings::default()
        };
        assert!(!format!("{settings:?}").contains("sk-secret"));
    }
}
