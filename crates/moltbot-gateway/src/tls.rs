//! The certificate that the data plane shows, replaced while it serves.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{Context, SHA256};
use moltbot_config::Config;
use moltbot_config::config::Tls;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

use crate::gateway::StartError;
use crate::live::Live;
use crate::runtime::Runtime;

/// How often the files are compared with what is shown.
const COMPARED_EVERY: Duration = Duration::from_secs(2);

/// What a listener shows to the connections that come; `None` is no TLS.
pub(crate) type Shown = Arc<ArcSwapOption<ServerConfig>>;

/// A certificate as it was read.
#[derive(Clone)]
pub(crate) struct Identity {
    config: Arc<ServerConfig>,
    fingerprint: [u8; 32],
}

/// The certificate in force, and where its files stand.
pub(crate) struct Certificate {
    root: PathBuf,
    shown: Shown,
    /// The fingerprint of what is shown, and what was last said to be wrong.
    last: Mutex<(Option<[u8; 32]>, String)>,
}

impl Certificate {
    /// Of a home in this folder, which relative paths start from.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            shown: Arc::default(),
            last: Mutex::default(),
        }
    }

    /// What the data plane shows.
    pub(crate) fn shown(&self) -> Shown {
        Arc::clone(&self.shown)
    }

    /// Reads the certificate that a configuration names; `None` where it names none.
    ///
    /// # Errors
    /// A file that can't be read or holds something else; a key that is another certificate's.
    pub(crate) fn read(&self, config: &Config) -> Result<Option<Identity>, StartError> {
        let Some(Tls { cert, key }) = &config.server.tls else {
            return Ok(None);
        };
        read(&self.root.join(cert), &self.root.join(key))
            .map(Some)
            .map_err(|why| StartError::config(format!("server.tls: {why}")))
    }

    /// Shows it to connections that come from now on.
    pub(crate) fn show(&self, identity: Option<&Identity>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.0 = identity.map(|identity| identity.fingerprint);
        last.1.clear();
        self.shown
            .store(identity.map(|identity| Arc::clone(&identity.config)));
    }

    /// Shows what the files hold now. Where they are invalid, the last good certificate stays.
    fn refresh(&self, config: &Config) {
        match self.read(config) {
            Ok(identity) => {
                let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).0;
                if identity.as_ref().map(|identity| identity.fingerprint) != known {
                    self.show(identity.as_ref());
                    info!("a changed certificate is shown");
                }
            }
            Err(error) => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                let words = error.to_string();
                if last.1 != words {
                    warn!("the last good certificate stays: {words}");
                    last.1 = words;
                }
            }
        }
    }
}

/// Compares the files with what is shown, until the stop.
pub(crate) async fn keep(live: Arc<Live>, rt: Arc<Runtime>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(COMPARED_EVERY) => {}
            () = rt.stop.cancelled() => return,
        }
        let (live, rt) = (Arc::clone(&live), Arc::clone(&rt));
        let look = move || rt.certificate.refresh(&live.snapshot().config);
        // It reads files.
        let _ = tokio::task::spawn_blocking(look).await;
    }
}

fn read(cert: &Path, key: &Path) -> Result<Identity, String> {
    let bytes = |path: &Path| {
        std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
    };
    let (cert_pem, key_pem) = (bytes(cert)?, bytes(key)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&cert_pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain =
        chain.ok_or_else(|| format!("{} holds no certificate in PEM form", cert.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|_| format!("{} holds no private key in PEM form", key.display()))?;
    let refused = |error: rustls::Error| {
        format!(
            "{} and {} don't belong together or can't be used: {error}",
            cert.display(),
            key.display()
        )
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(refused)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut hash = Context::new(&SHA256);
    hash.update(&cert_pem);
    hash.update(&key_pem);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(hash.finish().as_ref());
    Ok(Identity {
        config: Arc::new(config),
        fingerprint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str) -> Tls {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Tls {
            cert: "cert.pem".into(),
            key: "key.pem".into(),
        }
    }

    #[test]
    fn a_changed_certificate_is_shown_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.tls = Some(write(dir.path(), "one.example"));
        let certificate = Certificate::new(dir.path());
        let shown = certificate.shown();
        assert!(shown.load().is_none());
        certificate.show(certificate.read(&config).unwrap().as_ref());
        let first = shown.load_full().unwrap();
        certificate.refresh(&config);
        assert!(Arc::ptr_eq(&first, &shown.load_full().unwrap()));
        write(dir.path(), "two.example");
        certificate.refresh(&config);
        let second = shown.load_full().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(dir.path().join("cert.pem"), "half").unwrap();
        certificate.refresh(&config);
        assert!(Arc::ptr_eq(&second, &shown.load_full().unwrap()));
        config.server.tls = None;
        certificate.refresh(&config);
        assert!(shown.load().is_none());
    }

    #[test]
    fn what_is_no_certificate_is_told_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.tls = Some(write(dir.path(), "one.example"));
        let certificate = Certificate::new(dir.path());
        let said = || {
            certificate
                .read(&config)
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(said(), None);
        let other = rcgen::generate_simple_self_signed(["two.example".to_owned()]).unwrap();
        std::fs::write(
            dir.path().join("key.pem"),
            other.signing_key.serialize_pem(),
        )
        .unwrap();
        assert!(said().unwrap().contains("don't belong together"));
        std::fs::write(dir.path().join("key.pem"), "no key").unwrap();
        assert!(said().unwrap().contains("key.pem holds no private key"));
        std::fs::remove_file(dir.path().join("cert.pem")).unwrap();
        assert!(said().unwrap().contains("cert.pem can't be read"));
    }
}
