//! Exposure, keys, files, TLS.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use moltbot_config::Home;
use moltbot_config::config::AuthMode;
use moltbot_store::keys::KeyRecord;
use moltbot_types::admin::Check;

use super::{Facts, fail, list, ok, warn};
use crate::caller::{self, is_loopback};
use crate::tls::Certificate;

/// A key that was not shown for so long is likely to be forgotten.
const STALE: SignedDuration = SignedDuration::from_hours(24 * 90);

type Look = fn(&Facts<'_>) -> Check;

/// All checks, in the order in which they are told.
pub(super) const ALL: [Look; 10] = [
    admin_exposure,
    exposure,
    certificate,
    authentication,
    folders,
    files,
    weak_keys,
    stale_keys,
    pepper,
    audit,
];

fn admin_exposure(facts: &Facts<'_>) -> Check {
    let admin = &facts.config().server.admin;
    match is_loopback(admin) {
        true => ok(
            "exposure.admin",
            format!("only this machine reaches the control plane ({admin})"),
        ),
        false => fail(
            "exposure.admin",
            format!("others reach the control plane at {admin}"),
            "moltctl config set server.admin 127.0.0.1:18790",
        ),
    }
}

fn exposure(facts: &Facts<'_>) -> Check {
    let server = &facts.config().server;
    let listen = &server.listen;
    match (is_loopback(listen), &server.tls) {
        (true, _) => ok(
            "exposure.listen",
            format!("only this machine reaches {listen}"),
        ),
        (false, Some(_)) => ok("exposure.listen", format!("others reach {listen} over TLS")),
        (false, None) => warn(
            "exposure.listen",
            format!(
                "others reach {listen}: what passes can be read on the way where nothing in front speaks TLS"
            ),
            "set server.tls, put a proxy that speaks TLS in front, or listen on 127.0.0.1",
        ),
    }
}

fn certificate(facts: &Facts<'_>) -> Check {
    let Some(tls) = &facts.config().server.tls else {
        return ok("tls.certificate", "no certificate is configured");
    };
    let key = facts.home.root().join(&tls.key);
    if let Err(error) = Certificate::new(facts.home.root()).read(facts.config()) {
        return fail(
            "tls.certificate",
            error.to_string(),
            "name a certificate and its key in PEM form in server.tls",
        );
    }
    // A group such as ssl-cert may read keys; the world may not.
    let shared = fs::metadata(&key).is_ok_and(|found| found.mode() & 0o007 != 0);
    match shared {
        false => ok(
            "tls.certificate",
            "the certificate and its key belong together",
        ),
        true => fail(
            "tls.certificate",
            format!("everybody can read {}", key.display()),
            format!("chmod 600 {}", key.display()),
        ),
    }
}

fn authentication(facts: &Facts<'_>) -> Check {
    let server = &facts.config().server;
    let home_key = matches!(facts.home.key(), Ok(Some(_)));
    let good = |key: &KeyRecord| {
        let over = [key.revoked, key.expires, key.overlap_until];
        over.into_iter().flatten().all(|at| at > facts.now)
    };
    let stored = facts.keys.iter().flatten().any(good);
    match server.auth {
        AuthMode::None => warn(
            "auth.mode",
            "callers show no key: every program on this machine may call",
            "moltctl key create, then moltctl config set server.auth keys",
        ),
        AuthMode::Keys if home_key || stored => ok("auth.mode", "callers must show a key"),
        AuthMode::Keys => warn(
            "auth.mode",
            "there is no key, so that nobody can call",
            "moltctl key create --name NAME",
        ),
    }
}

fn folders(facts: &Facts<'_>) -> Check {
    let open = open_to_others(private_folders(facts.home));
    match open.is_empty() {
        true => ok(
            "files.folders",
            "nobody else can look into the home's folders",
        ),
        // What is secret in them is looked at file by file.
        false => warn(
            "files.folders",
            format!("others can look into {}", list(&open)),
            format!(
                "chmod 700 {} (or moltctl doctor --security --fix)",
                list(&open)
            ),
        ),
    }
}

fn files(facts: &Facts<'_>) -> Check {
    let open = open_to_others(private_files(facts.home));
    match open.is_empty() {
        true => ok("files.secrets", "nobody else can read files with secrets"),
        false => fail(
            "files.secrets",
            format!("others can read {}", list(&open)),
            format!(
                "chmod 600 {} (or moltctl doctor --security --fix)",
                list(&open)
            ),
        ),
    }
}

fn weak_keys(facts: &Facts<'_>) -> Check {
    let Ok(Some(text)) = facts.home.key() else {
        return ok("keys.weak", "every key was made at random");
    };
    match caller::parse(&text) {
        Err(error) => fail(
            "keys.weak",
            error.to_string(),
            "moltctl key create, then delete config/key",
        ),
        Ok(_) if is_weak(&text) => fail(
            "keys.weak",
            "the key in config/key can be guessed: it holds less than 128 random bits",
            "moltctl key create, then delete config/key",
        ),
        Ok(_) => ok("keys.weak", "every key was made at random"),
    }
}

/// Whether a text can't hold 128 random bits: too short, or of too few different characters.
fn is_weak(key: &str) -> bool {
    let rest = key.strip_prefix("mb_").unwrap_or(key);
    let mut different: Vec<u8> = rest.bytes().collect();
    different.sort_unstable();
    different.dedup();
    rest.len() < 22 || different.len() < 10
}

fn stale_keys(facts: &Facts<'_>) -> Check {
    let stale = |key: &&KeyRecord| {
        let last = key.last_used.unwrap_or(key.created);
        key.revoked.is_none() && facts.now.duration_since(last) > STALE
    };
    let Some(keys) = &facts.keys else {
        return warn(
            "keys.stale",
            "the store can't be opened",
            "see `moltctl status`",
        );
    };
    let stale: Vec<_> = keys.iter().filter(stale).map(|key| &*key.id).collect();
    match stale.first() {
        None => ok("keys.stale", "every key is in use"),
        Some(first) => warn(
            "keys.stale",
            format!("not shown for 90 days: {}", stale.join(", ")),
            format!("moltctl key revoke {first}"),
        ),
    }
}

fn pepper(facts: &Facts<'_>) -> Check {
    let any = facts.keys.as_ref().is_some_and(|keys| !keys.is_empty());
    match facts.home.pepper_file().exists() || !any {
        true => ok("keys.pepper", "stored keys can be recognised"),
        false => fail(
            "keys.pepper",
            "data/key.pepper is missing, so that no stored key is known",
            "put it back from a backup, or make new keys with moltctl key create",
        ),
    }
}

fn audit(facts: &Facts<'_>) -> Check {
    match crate::audit::Audit::new(facts.home).verify() {
        Ok(verdict) if verdict.ok => {
            ok("audit.chain", format!("{} lines, unchanged", verdict.lines))
        }
        Ok(verdict) => fail(
            "audit.chain",
            format!(
                "line {} of data/audit.jsonl was changed",
                verdict.broken.unwrap_or(0)
            ),
            "find out who; then move the file away, and a new one begins",
        ),
        Err(error) => fail(
            "audit.chain",
            error.to_string(),
            "make data/audit.jsonl readable for its owner",
        ),
    }
}

fn private_folders(home: &Home) -> Vec<PathBuf> {
    let mut folders = vec![home.root().to_owned()];
    if is_open(home.root()) {
        let within = [
            home.config_dir(),
            home.data_dir(),
            home.tokens_dir(),
            home.run_dir(),
        ];
        folders.extend(within);
        folders.push(home.logs_dir());
    }
    folders
}

fn private_files(home: &Home) -> Vec<PathBuf> {
    let mut files = vec![
        home.auth_file(),
        home.key_file(),
        home.pepper_file(),
        home.audit_file(),
        home.admin_token_file(),
    ];
    // Nobody gets as far as the rest of a closed home.
    let within = [home.data_dir(), home.tokens_dir(), home.logs_dir()];
    for folder in within.iter().filter(|_| is_open(home.root())) {
        let found = fs::read_dir(folder).into_iter().flatten().flatten();
        files.extend(
            found
                .map(|entry| entry.path())
                .filter(|path| path.is_file()),
        );
    }
    files.sort();
    files.dedup();
    files
}

/// Those that group or world can open. What a link leads to is somebody else's.
fn open_to_others(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.into_iter().filter(|path| is_open(path)).collect()
}

fn is_open(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|found| !found.is_symlink() && found.mode() & 0o077 != 0)
}

/// Takes the permissions of others away. Gives what was mended.
pub(crate) fn mend(home: &Home) -> io::Result<Vec<PathBuf>> {
    let mut mended = Vec::new();
    let close = |paths, mode, mended: &mut Vec<PathBuf>| -> io::Result<()> {
        for path in open_to_others(paths) {
            set(&path, mode)?;
            mended.push(path);
        }
        Ok(())
    };
    close(private_files(home), 0o600, &mut mended)?;
    close(private_folders(home), 0o700, &mut mended)?;
    Ok(mended)
}

fn set(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests;
