//! The archive of the log: looked at when the daemon starts and every 20 s, and read by `moltctl logs`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand;
use moltbot_config::{Config, Home, Overrides};
use moltbot_files::ObjectSettings;
use moltbot_telemetry::archive::{Archive, ArchiveSettings};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::gateway::StartError;
use crate::live::Live;
use crate::runtime::Runtime;

const EVERY: Duration = Duration::from_secs(20);
/// A look that sends a large day takes its time; one that takes longer is begun again.
const WITHIN: Duration = Duration::from_secs(3600);

/// Archives what is due until the stop. What fails is told once, and counted each time.
pub(crate) async fn keep(home: Home, live: Arc<Live>, rt: Arc<Runtime>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = rt.stop.cancelled() => return,
        }
        let snapshot = live.snapshot();
        rt.calls
            .log()
            .set_archived(snapshot.config.archive.is_some());
        let looked = tokio::select! {
            looked = tokio::time::timeout(WITHIN, look(&home, &snapshot.config)) => looked,
            () = rt.stop.cancelled() => return,
        };
        match looked.unwrap_or_else(|_| Err(format!("no end after {WITHIN:?}"))) {
            Ok(()) => told.clear(),
            Err(error) => {
                rt.calls.metrics().archive_failed();
                if error != told {
                    warn!("the log could not be archived and stays here: {error}");
                    told = error;
                }
            }
        }
    }
}

async fn look(home: &Home, config: &Config) -> Result<(), String> {
    let Some(archive) = open(home, config)? else {
        return Ok(());
    };
    let looked = archive.look(SystemTime::now()).await;
    let looked = looked.map_err(|error| error.to_string())?;
    if looked.archived > 0 || looked.deleted > 0 {
        let (archived, deleted) = (looked.archived, looked.deleted);
        info!(archived, deleted, "days of the log went to the archive");
    }
    Ok(())
}

/// The archive that a configuration names; `None` where it names none.
fn open(home: &Home, config: &Config) -> Result<Option<Archive>, String> {
    let Some(archive) = &config.archive else {
        return Ok(None);
    };
    if let Some(missing) = &archive.missing {
        return Err(missing.clone());
    }
    let access_key = archive.access_key.as_ref();
    let (store, prefix) = moltbot_files::open(&ObjectSettings {
        url: archive.url.clone(),
        endpoint: archive.endpoint.clone(),
        region: Some(archive.region.clone()),
        access_key: access_key.map(|key| key.expose_secret().to_owned()),
        secret_key: archive.secret_key.clone(),
    })
    .map_err(|error| error.to_string())?;
    let settings = ArchiveSettings {
        dir: home.logs_dir(),
        node: node(home).map_err(|error| format!("{}: {error}", home.data_dir().display()))?,
        after: archive.after,
        keep: archive.keep,
        ..ArchiveSettings::default()
    };
    Ok(Some(Archive::new(store, prefix, settings)))
}

/// The home's own name among all that share an archive: made once, kept in `data/node`.
fn node(home: &Home) -> io::Result<String> {
    let path = home.data_dir().join("node");
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match std::fs::read_to_string(&path) {
        Ok(name) if is_name(name.trim()) => return Ok(name.trim().to_owned()),
        Ok(_) => {
            return Err(io::Error::other(
                "`node` holds no name of letters and digits",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut bits = [0; 6];
    rand::fill(&mut bits).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let name = hex::encode(bits);
    std::fs::create_dir_all(home.data_dir())?;
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&path)?;
    writeln!(file, "{name}")?;
    file.sync_all()?;
    Ok(name)
}

/// Days of the log since `since` that only the archive has, in a folder of their own; `None` where the
/// configuration names no archive, or has nothing older.
///
/// # Errors
/// The configuration is invalid, or the archive can't be read.
pub async fn older_logs(
    home: &Home,
    since: Option<SystemTime>,
) -> Result<Option<TempDir>, StartError> {
    let overrides = Overrides::from_process(Vec::new());
    let loaded = moltbot_config::load(home, &overrides)
        .map_err(|problems| StartError::config(problems.to_string()))?;
    let archive = open(home, &loaded.config).map_err(StartError::failed)?;
    let Some(archive) = archive else {
        return Ok(None);
    };
    let folder = tempfile::tempdir().map_err(StartError::other)?;
    let days = archive.fetch(since, folder.path()).await;
    let days = days.map_err(StartError::other)?;
    Ok((days > 0).then_some(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::resolve(Some(folder.path().to_owned())).unwrap();
        let name = node(&home).unwrap();
        assert_eq!(name.len(), 12);
        assert_eq!(node(&home).unwrap(), name);
        std::fs::write(home.data_dir().join("node"), "../x").unwrap();
        assert!(node(&home).is_err());
    }
}
