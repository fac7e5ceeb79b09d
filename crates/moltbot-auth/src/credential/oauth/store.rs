//! Where tokens outlive the process.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What is kept of a token.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The token.
    pub access_token: SecretString,
    /// The refresh token that is good now; servers may give another one each time.
    pub refresh_token: Option<SecretString>,
    /// When the token came, by this machine's clock.
    pub received: SystemTime,
    /// How long it lived from then on.
    pub life: Duration,
}

/// Keeps tokens by the fingerprint of their settings.
pub trait TokenStore: Send + Sync + 'static {
    /// What was saved last; `None` where nothing was, or where it can't be read.
    fn load(&self, key: &str) -> Option<Saved>;

    /// Replaces what was saved. It is durable when this returns; it may block.
    ///
    /// # Errors
    /// Nothing was saved.
    fn save(&self, key: &str, token: &Saved) -> io::Result<()>;
}

/// Keeps tokens for as long as the process runs.
#[derive(Debug, Default)]
pub struct MemoryTokens(Mutex<HashMap<String, Saved>>);

impl TokenStore for MemoryTokens {
    fn load(&self, key: &str) -> Option<Saved> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(key).cloned()
    }

    fn save(&self, key: &str, token: &Saved) -> io::Result<()> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(key.to_owned(), token.clone());
        Ok(())
    }
}

/// Keeps each token in a file of mode 0600, in a folder that only its owner may enter.
#[derive(Clone, Debug)]
pub struct TokenFiles(PathBuf);

#[derive(Serialize, Deserialize)]
struct Form {
    access_token: Zeroizing<String>,
    #[serde(default)]
    refresh_token: Option<Zeroizing<String>>,
    received_s: u64,
    life_s: u64,
}

impl TokenFiles {
    /// Files in `folder`, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.0.join(format!("{key}.json"))
    }
}

impl TokenStore for TokenFiles {
    fn load(&self, key: &str) -> Option<Saved> {
        let path = self.path(key);
        // As with any secret: what others could have written or read is not trusted.
        let mode = fs::symlink_metadata(&path).ok()?.permissions().mode();
        if mode & 0o170_077 != 0o100_000 {
            return None;
        }
        let text = Zeroizing::new(fs::read(path).ok()?);
        let form: Form = serde_json::from_slice(&text).ok()?;
        let secret = |text: &str| SecretString::from(text);
        Some(Saved {
            access_token: secret(&form.access_token),
            refresh_token: form.refresh_token.as_deref().map(|text| secret(text)),
            received: UNIX_EPOCH.checked_add(Duration::from_secs(form.received_s))?,
            life: Duration::from_secs(form.life_s),
        })
    }

    fn save(&self, key: &str, token: &Saved) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let secret = |secret: &SecretString| Zeroizing::new(secret.expose_secret().to_owned());
        let since = token.received.duration_since(UNIX_EPOCH);
        let text = Zeroizing::new(serde_json::to_vec(&Form {
            access_token: secret(&token.access_token),
            refresh_token: token.refresh_token.as_ref().map(secret),
            received_s: since.map_or(0, |since| since.as_secs()),
            life_s: token.life.as_secs(),
        })?);
        // One writer a key: the task of the credential.
        let new = self.path(key).with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, self.path(key))?;
        File::open(&self.0)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Saved {
        Saved {
            access_token: "access".into(),
            refresh_token: Some("refresh".into()),
            received: UNIX_EPOCH + Duration::from_secs(1_000),
            life: Duration::from_secs(60),
        }
    }

    #[test]
    fn a_saved_token_is_read_back_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let files = TokenFiles::new(folder.path().join("tokens"));
        assert!(files.load("k").is_none());
        files.save("k", &token()).unwrap();
        files.save("k", &token()).unwrap();
        let back = files.load("k").unwrap();
        assert_eq!(back.access_token.expose_secret(), "access");
        assert_eq!(back.refresh_token.unwrap().expose_secret(), "refresh");
        assert_eq!((back.received, back.life), (token().received, token().life));
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path().join("tokens")), 0o700);
        assert_eq!(mode(folder.path().join("tokens/k.json")), 0o600);
    }

    #[test]
    fn a_file_that_is_broken_or_open_to_others_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let files = TokenFiles::new(folder.path());
        files.save("k", &token()).unwrap();
        let path = folder.path().join("k.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(files.load("k").is_none());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(files.load("k").is_some());
        fs::write(&path, "{\"access_token\":").unwrap();
        assert!(files.load("k").is_none());
    }
}
