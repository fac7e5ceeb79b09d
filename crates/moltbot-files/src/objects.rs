//! Object storage that speaks S3, or a folder in its place.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::FilesError;

/// Where objects are, and as whom they are asked for.
#[derive(Clone, Default)]
pub struct ObjectSettings {
    /// `s3://bucket/prefix`, or `file:///folder`.
    pub url: String,
    /// Base URL of the server; Amazon's where absent. Path-style addresses are used.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` where absent.
    pub region: Option<String>,
    /// Name of the key.
    pub access_key: Option<String>,
    /// The secret of the key.
    pub secret_key: Option<SecretString>,
}

impl fmt::Debug for ObjectSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSettings")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Opens a store; nothing is asked of the network yet. Gives the store and the path that the URL names in it.
///
/// # Errors
/// [`FilesError::Usage`]: an address that is none.
pub fn open(settings: &ObjectSettings) -> Result<(Arc<dyn ObjectStore>, Path), FilesError> {
    let wrong = |what: String| FilesError::Usage(format!("{}: {what}", settings.url));
    let url = Url::parse(&settings.url).map_err(|error| wrong(error.to_string()))?;
    let path = |text: &str| Path::from_url_path(text).map_err(|error| wrong(error.to_string()));
    match url.scheme() {
        "s3" => {
            let bucket = url.host_str().unwrap_or_default();
            if bucket.is_empty() {
                return Err(wrong(
                    "no bucket is named; write s3://bucket/path".to_owned(),
                ));
            }
            let store = s3(settings, bucket).map_err(|error| wrong(error.to_string()))?;
            Ok((store, path(url.path())?))
        }
        "file" => {
            let folder = url
                .to_file_path()
                .map_err(|()| wrong("it names no folder".to_owned()))?;
            let store = LocalFileSystem::new_with_prefix(folder);
            let store = store.map_err(|error| wrong(error.to_string()))?;
            Ok((Arc::new(store), Path::default()))
        }
        other => Err(wrong(format!(
            "unknown kind of store `{other}`; there are s3:// and file://"
        ))),
    }
}

fn s3(settings: &ObjectSettings, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(10))
        .with_read_timeout(Duration::from_secs(30))
        // the whole of a large object takes its time; a pause in it does not
        .with_timeout_disabled();
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 3,
        retry_timeout: Duration::from_secs(60),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(settings.region.as_deref().unwrap_or("us-east-1"))
        .with_client_options(client)
        .with_retry(retry);
    if let Some(endpoint) = &settings.endpoint {
        let plain = endpoint.starts_with("http://");
        builder = builder.with_endpoint(endpoint).with_allow_http(plain);
    }
    builder = match (&settings.access_key, &settings.secret_key) {
        (Some(key), Some(secret)) => builder
            .with_access_key_id(key)
            .with_secret_access_key(secret.expose_secret()),
        _ => builder.with_skip_signature(true),
    };
    Ok(Arc::new(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_told() {
        for (url, part) in [
            ("s3:///x", "bucket"),
            ("ftp://host/x", "unknown kind of store `ftp`"),
            ("x", "relative URL"),
        ] {
            let settings = ObjectSettings {
                url: url.to_owned(),
                ..ObjectSettings::default()
            };
            let error = open(&settings).map(drop).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let settings = ObjectSettings {
            url: "s3://bucket/x".to_owned(),
            secret_key: Some("hidden-one".into()),
            ..ObjectSettings::default()
        };
        assert!(open(&settings).is_ok());
        assert!(!format!("{settings:?}").contains("hidden-one"));
    }
}
