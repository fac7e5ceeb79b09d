//! Whom TLS trusts: the system's authorities and those of the settings.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// The configuration of every TLS connection, and why it trusts nobody where the system has no
/// authorities: such a house still starts and speaks plain HTTP, verification is never skipped.
pub(super) fn config(
    roots: Vec<CertificateDer<'static>>,
) -> Result<(ClientConfig, Option<String>), rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in &roots {
        store.add(root.clone())?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let (mut config, problem) = match Verifier::new_with_extra_roots(roots, provider) {
        Ok(verifier) => {
            let builder = builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier));
            (builder.with_no_client_auth(), None)
        }
        Err(error) => (
            builder.with_root_certificates(store).with_no_client_auth(),
            Some(format!(
                "no HTTPS target can be trusted: {error}; install the system's CA certificates or set SSL_CERT_FILE"
            )),
        ),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, problem))
}
