//! What a monitoring stack needs to watch a gateway: Prometheus, its alert rules, and Grafana dashboards.

mod dashboards;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the files shall say.
#[derive(Clone, Debug)]
pub struct MonitorSettings {
    /// Address of the control plane, `host:port`, where `/metrics` is.
    pub admin: String,
    /// Address of the node exporter, `host:port`.
    pub node: String,
    /// Address of the alert manager, `host:port`.
    pub alertmanager: String,
}

impl Default for MonitorSettings {
    fn default() -> Self {
        Self {
            admin: "127.0.0.1:18790".to_owned(),
            node: "127.0.0.1:9100".to_owned(),
            alertmanager: "127.0.0.1:9093".to_owned(),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorReport {
    /// Files that are new.
    pub created: Vec<PathBuf>,
    /// Files that were there and stay as they are.
    pub kept: Vec<PathBuf>,
}

/// Writes the files of a monitoring stack into a folder; what exists is never touched.
///
/// ```
/// use moltbot_telemetry::monitor::{self, MonitorSettings};
///
/// let folder = tempfile::tempdir()?;
/// let report = monitor::write(folder.path(), &MonitorSettings::default())?;
/// assert!(report.created.contains(&folder.path().join("prometheus.yml")));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// A folder or file can't be made; what was made before it stays.
pub fn write(folder: &Path, settings: &MonitorSettings) -> io::Result<MonitorReport> {
    let mut report = MonitorReport::default();
    let prometheus = include_str!("monitor/prometheus.yml")
        .replace("ADMIN", &settings.admin)
        .replace("NODE", &settings.node)
        .replace("ALERTMANAGER", &settings.alertmanager);
    report.file(folder.join("prometheus.yml"), &prometheus)?;
    report.file(
        folder.join("rules/moltbot.yml"),
        include_str!("monitor/rules.yml"),
    )?;
    for (name, dashboard) in dashboards::all() {
        let text = format!("{dashboard:#}\n");
        report.file(folder.join("grafana").join(format!("{name}.json")), &text)?;
    }
    report.file(folder.join("README.md"), include_str!("monitor/README.md"))?;
    Ok(report)
}

impl MonitorReport {
    fn file(&mut self, path: PathBuf, text: &str) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                self.created.push(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.kept.push(path),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let first = write(folder.path(), &MonitorSettings::default()).unwrap();
        assert!(first.kept.is_empty());
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, "mine").unwrap();
        let other = MonitorSettings {
            admin: "10.0.0.1:1".to_owned(),
            ..MonitorSettings::default()
        };
        let second = write(folder.path(), &other).unwrap();
        assert!(second.created.is_empty());
        assert_eq!(second.kept, first.created);
        assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
    }

    #[test]
    fn the_addresses_are_those_of_the_settings() {
        let folder = tempfile::tempdir().unwrap();
        let settings = MonitorSettings {
            admin: "10.0.0.1:18790".to_owned(),
            ..MonitorSettings::default()
        };
        write(folder.path(), &settings).unwrap();
        let text = std::fs::read_to_string(folder.path().join("prometheus.yml")).unwrap();
        for address in ["10.0.0.1:18790", "127.0.0.1:9100", "127.0.0.1:9093"] {
            assert!(text.contains(address), "{address}: {text}");
        }
    }
}
