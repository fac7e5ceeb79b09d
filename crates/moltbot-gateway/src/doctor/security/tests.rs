//! Each check with a house that passes and one that does not.

use jiff::Timestamp;
use moltbot_config::{InitOptions, Overrides};
use moltbot_types::{Role, Workspace};
use tempfile::TempDir;

use super::*;

/// A fresh house.
struct House {
    _dir: TempDir,
    home: Home,
    keys: Vec<KeyRecord>,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        moltbot_config::init(&home, &InitOptions::default()).unwrap();
        Self {
            _dir: dir,
            home,
            keys: Vec::new(),
        }
    }

    fn with(self, change: impl FnOnce(&Home)) -> Self {
        change(&self.home);
        self
    }

    fn server(self, server: &str) -> Self {
        let yaml = format!(
            "server: {{ {server} }}\nmodels: [{{ name: e, provider: builtin, model: echo }}]\n"
        );
        self.with(|home| fs::write(home.gateway_file(), yaml).unwrap())
    }

    fn key(mut self, change: impl FnOnce(&mut KeyRecord)) -> Self {
        let mut key = KeyRecord {
            id: "key_1".into(),
            digest: [0; 32],
            name: String::new(),
            workspace: Workspace::default(),
            role: Role::User,
            models: None,
            created: Timestamp::now(),
            expires: None,
            last_used: None,
            revoked: None,
            replaced_by: None,
            overlap_until: None,
        };
        change(&mut key);
        self.keys.push(key);
        self
    }

    fn status(&self, id: &str) -> String {
        let loaded = moltbot_config::load(&self.home, &Overrides::default()).unwrap();
        let facts = Facts {
            home: &self.home,
            loaded: &loaded,
            keys: Some(self.keys.clone()),
            now: Timestamp::now(),
        };
        let checks = facts.security();
        let found = checks.iter().find(|check| check.id == id);
        let found = found.unwrap_or_else(|| panic!("no {id}"));
        assert_eq!(found.status == "ok", found.cure.is_empty(), "{found:?}");
        found.status.clone()
    }
}

fn open(path: &Path, mode: u32) {
    set(path, mode).unwrap();
}

#[test]
fn a_fresh_house_passes_every_check() {
    let house = House::new().with(|home| drop(caller::pepper(home).unwrap()));
    for id in [
        "exposure.admin",
        "exposure.listen",
        "tls.certificate",
        "auth.mode",
        "files.folders",
        "files.secrets",
        "keys.weak",
        "keys.stale",
        "keys.pepper",
        "audit.chain",
    ] {
        assert_eq!(house.status(id), "ok", "{id}");
    }
}

#[test]
fn what_others_reach_is_told() {
    let house = House::new().server("listen: \"0.0.0.0:1\", admin: \"0.0.0.0:2\"");
    assert_eq!(house.status("exposure.admin"), "fail");
    assert_eq!(house.status("exposure.listen"), "warn");
}

#[test]
fn a_certificate_that_cannot_be_used_or_whose_key_all_can_read_is_told() {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let house = House::new().server("tls: { cert: c.pem, key: k.pem }");
    assert_eq!(house.status("tls.certificate"), "fail");
    let house = house.with(|home| {
        fs::write(home.root().join("c.pem"), made.cert.pem()).unwrap();
        fs::write(home.root().join("k.pem"), made.signing_key.serialize_pem()).unwrap();
        open(&home.root().join("k.pem"), 0o644);
    });
    assert_eq!(house.status("tls.certificate"), "fail");
    let house = house.with(|home| open(&home.root().join("k.pem"), 0o600));
    assert_eq!(house.status("tls.certificate"), "ok");
}

#[test]
fn a_house_without_keys_is_told() {
    let house = House::new().server("auth: none");
    assert_eq!(house.status("auth.mode"), "warn");
    let house = House::new().with(|home| fs::remove_file(home.key_file()).unwrap());
    assert_eq!(house.status("auth.mode"), "warn");
    assert_eq!(house.key(|_| {}).status("auth.mode"), "ok");
}

#[test]
fn files_that_others_can_read_are_told_and_mended() {
    let house = House::new().with(|home| {
        open(home.root(), 0o755);
        open(&home.config_dir(), 0o755);
        open(&home.key_file(), 0o644);
    });
    assert_eq!(house.status("files.folders"), "warn");
    assert_eq!(house.status("files.secrets"), "fail");
    let mended = mend(&house.home).unwrap();
    assert!(mended.contains(&house.home.key_file()), "{mended:?}");
    assert_eq!(house.status("files.folders"), "ok");
    assert_eq!(house.status("files.secrets"), "ok");
}

#[test]
fn a_key_that_can_be_guessed_is_told() {
    for weak in [
        "mb_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "mb_0123456789abcdef",
        "short",
    ] {
        let house = House::new().with(|home| fs::write(home.key_file(), weak).unwrap());
        assert_eq!(house.status("keys.weak"), "fail", "{weak}");
    }
}

#[test]
fn a_key_that_nobody_shows_any_more_is_told() {
    let old = Timestamp::now() - SignedDuration::from_hours(24 * 91);
    let house = House::new().key(|key| key.created = old);
    assert_eq!(house.status("keys.stale"), "warn");
    let used = House::new().key(|key| {
        key.created = old;
        key.last_used = Some(Timestamp::now());
    });
    assert_eq!(used.status("keys.stale"), "ok");
    let revoked = House::new().key(|key| {
        key.created = old;
        key.revoked = Some(old);
    });
    assert_eq!(revoked.status("keys.stale"), "ok");
}

#[test]
fn stored_keys_without_their_pepper_are_told() {
    assert_eq!(House::new().key(|_| {}).status("keys.pepper"), "fail");
}

#[test]
fn a_changed_audit_log_is_told() {
    let house = House::new().with(|home| {
        crate::audit::Audit::new(home).write(&crate::audit::entry("socket", "POST reload"));
        let text = fs::read_to_string(home.audit_file()).unwrap();
        fs::write(home.audit_file(), text.replace("reload", "relaod")).unwrap();
    });
    assert_eq!(house.status("audit.chain"), "fail");
}
