//! A new home: commented files, folders and the key that callers show.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;

use crate::home::Home;
use crate::write::private_dir;

/// What a new home shall be like.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Address of the data plane.
    pub listen: String,
    /// Address of the control plane.
    pub admin: String,
}

impl Default for InitOptions {
    fn default() -> Self {
        let server = crate::config::Server::default();
        Self {
            listen: server.listen,
            admin: server.admin,
        }
    }
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitReport {
    /// Files and folders that are new.
    pub created: Vec<PathBuf>,
    /// Files that were there and stay as they are.
    pub kept: Vec<PathBuf>,
}

/// Why there is no new home.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The system refused.
    #[error(
        "{path} could not be made: {source}; choose a folder that this user may write, with --home DIR"
    )]
    Io {
        /// What was to be made.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no randomness to make a key of.
    #[error("no key could be made: the system gives no random numbers")]
    Random,
}

/// Makes what is missing of a home; what exists is never touched. It works at once, with the model `echo`.
///
/// # Errors
/// [`InitError`]; what was made before it stays.
pub fn init(home: &Home, options: &InitOptions) -> Result<InitReport, InitError> {
    let gateway = include_str!("init/gateway.yaml")
        .replace("127.0.0.1:18789", &options.listen)
        .replace("127.0.0.1:18790", &options.admin);
    let mut report = folders(home)?;
    report.file(&home.gateway_file(), 0o600, &gateway)?;
    report.file(&home.auth_file(), 0o600, "{}\n")?;
    report.file(
        &home.channels_file(),
        0o600,
        include_str!("init/channels.toml"),
    )?;
    report.file(&home.key_file(), 0o600, &format!("{}\n", new_key()?))?;
    Ok(report)
}

/// Makes the home of a demonstration: no keys, a script that a fallback stands behind, any free port.
///
/// # Errors
/// [`InitError`]; what was made before it stays.
pub fn demo(home: &Home) -> Result<InitReport, InitError> {
    let mut report = folders(home)?;
    report.file(&home.gateway_file(), 0o600, include_str!("init/demo.yaml"))?;
    report.file(&home.auth_file(), 0o600, "{}\n")?;
    Ok(report)
}

/// A new key: `mb_` and 256 random bits in hexadecimal digits.
///
/// # Errors
/// [`InitError::Random`].
pub fn new_key() -> Result<String, InitError> {
    let mut bits = [0; 32];
    rand::fill(&mut bits).map_err(|_| InitError::Random)?;
    Ok(format!("mb_{}", hex::encode(bits)))
}

fn folders(home: &Home) -> Result<InitReport, InitError> {
    let mut report = InitReport::default();
    let folder_of = |file: PathBuf| file.parent().map(Path::to_owned).unwrap_or_default();
    let folders = [
        home.root().to_owned(),
        home.config_dir(),
        folder_of(home.auth_file()),
        folder_of(home.channels_file()),
        home.skills_dir(),
        home.workspaces_dir(),
        home.data_dir(),
        home.logs_dir(),
        home.run_dir(),
    ];
    for path in folders {
        if !path.is_dir() {
            private_dir(&path).map_err(|source| InitError::Io {
                path: path.clone(),
                source,
            })?;
            report.created.push(path);
        }
    }
    Ok(report)
}

impl InitReport {
    fn file(&mut self, path: &Path, mode: u32, content: &str) -> Result<(), InitError> {
        match write_new(path, mode, content) {
            Ok(()) => self.created.push(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.kept.push(path.to_owned());
            }
            Err(source) => {
                return Err(InitError::Io {
                    path: path.to_owned(),
                    source,
                });
            }
        }
        Ok(())
    }
}

/// Writes a file that is not there yet; one that was begun and not finished is taken away.
fn write_new(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    let written = file
        .write_all(content.as_bytes())
        // the umask may have taken bits away
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        fs::remove_file(path)?;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Overrides, load};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_home_loads_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        let report = init(&home, &InitOptions::default()).unwrap();
        assert!(
            report.kept.is_empty() && report.created.len() == 13,
            "{report:?}"
        );
        let loaded = load(&home, &Overrides::default()).unwrap();
        assert_eq!(loaded.config.models[0].name, "echo");
        assert!(loaded.notices.is_empty());
        assert_eq!(mode(home.root()), 0o700);
        for file in [home.gateway_file(), home.auth_file(), home.key_file()] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn what_exists_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        init(&home, &InitOptions::default()).unwrap();
        let key = fs::read_to_string(home.key_file()).unwrap();
        fs::write(home.gateway_file(), "# mine\n").unwrap();
        let report = init(&home, &InitOptions::default()).unwrap();
        assert!(report.created.is_empty());
        assert_eq!(report.kept.len(), 4);
        assert_eq!(fs::read_to_string(home.gateway_file()).unwrap(), "# mine\n");
        assert_eq!(fs::read_to_string(home.key_file()).unwrap(), key);
    }

    #[test]
    fn keys_are_long_and_never_the_same() {
        let (a, b) = (new_key().unwrap(), new_key().unwrap());
        assert!(a.starts_with("mb_") && a.len() == 67);
        assert_ne!(a, b);
    }

    #[test]
    fn every_example_in_the_new_file_is_valid_once_its_mark_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        init(&home, &InitOptions::default()).unwrap();
        let uncommented = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<_> = text
                .lines()
                .map(|line| line.replacen("#| ", "", 1))
                .collect();
            fs::write(path, lines.join("\n")).unwrap();
        };
        uncommented(home.gateway_file());
        uncommented(home.channels_file());
        let loaded = load(&home, &Overrides::default()).unwrap();
        assert!(loaded.config.models.len() >= 4);
        assert_eq!(loaded.notices, [] as [String; 0]);
    }

    #[test]
    fn the_demonstration_asks_for_no_key_and_falls_back() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        demo(&home).unwrap();
        let mut overrides = Overrides::default();
        overrides
            .env
            .insert("MOLTBOT_SERVER__LISTEN".into(), "127.0.0.1:0".into());
        let config = load(&home, &overrides).unwrap().config;
        assert_eq!(config.server.listen, "127.0.0.1:0");
        assert_eq!(config.server.auth, crate::config::AuthMode::None);
        assert_eq!(config.model("first").unwrap().fallback, ["second"]);
    }
}
