//! Where a file comes from, read by ranges.

use std::io::SeekFrom;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, path::Path};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Client, StatusCode, redirect};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use url::Url;

use super::PullSettings;
use crate::error::{FilesError, disk};
use crate::objects::{self, ObjectSettings};

/// Bytes that are read of a local file at once.
const BLOCK: usize = 1 << 20;

/// A source.
pub(super) enum Remote {
    Http {
        client: Client,
        url: Url,
    },
    Object {
        store: Arc<dyn ObjectStore>,
        path: Path,
        shown: String,
    },
    Local(PathBuf),
}

/// What a source says of its file before anything is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes.
    pub(super) size: Option<u64>,
    /// Names this version of the file.
    pub(super) tag: Option<String>,
    /// Whether a part can be asked for.
    pub(super) ranges: bool,
}

/// Why a read failed.
pub(super) enum ReadError {
    /// It may go better the next time.
    Again(String),
    /// It will not.
    Final(FilesError),
    /// The source has another version of the file now, or does not give parts after all.
    Changed,
}

pub(super) type Pieces = BoxStream<'static, Result<Bytes, ReadError>>;

impl Remote {
    pub(super) fn parse(source: &str, settings: &PullSettings) -> Result<Self, FilesError> {
        let Some((scheme, _)) = source.split_once("://") else {
            return Ok(Self::Local(source.into()));
        };
        let wrong = |what: String| FilesError::Usage(format!("{source}: {what}"));
        let url = Url::parse(source).map_err(|error| wrong(error.to_string()))?;
        match scheme {
            "http" | "https" => Ok(Self::Http {
                client: client(settings.idle).map_err(|error| wrong(error.to_string()))?,
                url,
            }),
            "s3" => {
                let (store, path) = objects::open(&ObjectSettings {
                    url: source.to_owned(),
                    ..settings.objects.clone()
                })?;
                let shown = source.to_owned();
                Ok(Self::Object { store, path, shown })
            }
            other => Err(FilesError::Usage(format!(
                "unknown kind of source `{other}`: there are https://, http://, s3:// and paths"
            ))),
        }
    }

    /// The address without what may be secret.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Http { url, .. } => {
                let mut url = url.clone();
                url.set_query(None);
                url.set_fragment(None);
                // an http address can have neither or both
                let _ = url.set_password(None);
                let _ = url.set_username("");
                url.into()
            }
            Self::Object { shown, .. } => shown.clone(),
            Self::Local(path) => path.display().to_string(),
        }
    }

    /// The last part of the source.
    pub(super) fn file_name(&self) -> Result<String, FilesError> {
        let name = match self {
            Self::Http { url, .. } => {
                let last = url.path_segments().and_then(|mut parts| parts.next_back());
                percent_decoded(last.unwrap_or_default())
            }
            Self::Object { path, .. } => path.filename().unwrap_or_default().to_owned(),
            Self::Local(path) => {
                let name = path.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
        };
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(FilesError::Usage(format!(
                "{} names no file: its last part would be the file's name",
                self.shown()
            )));
        }
        Ok(name)
    }

    /// Asks what the source has.
    pub(super) async fn head(&self, settings: &PullSettings) -> Result<Head, FilesError> {
        let mut wait = settings.wait;
        for _ in 1..settings.tries {
            match self.head_once().await {
                Err(ReadError::Again(_)) => {}
                other => return self.told(other),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        let last = self.head_once().await;
        self.told(last)
    }

    /// What is said in the end.
    pub(super) fn told<T>(&self, result: Result<T, ReadError>) -> Result<T, FilesError> {
        result.map_err(|error| match error {
            ReadError::Again(what) => self.failed(&what),
            ReadError::Final(error) => error,
            ReadError::Changed => self.failed("it changes while it is loaded"),
        })
    }

    async fn head_once(&self) -> Result<Head, ReadError> {
        match self {
            Self::Http { client, url } => {
                // some servers and signed addresses know no HEAD
                let request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
                let answer = request.header(RANGE, "bytes=0-0").send().await;
                let answer = answer.map_err(|error| ReadError::Again(unwrapped(error)))?;
                let headers = answer.headers();
                let tag = tag(headers);
                match answer.status() {
                    StatusCode::PARTIAL_CONTENT => Ok(Head {
                        size: total(headers),
                        tag,
                        ranges: true,
                    }),
                    StatusCode::RANGE_NOT_SATISFIABLE => Ok(Head {
                        size: Some(0),
                        tag,
                        ranges: false,
                    }),
                    status if status.is_success() => Ok(Head {
                        size: answer.content_length(),
                        tag,
                        ranges: false,
                    }),
                    status => Err(self.refused(status)),
                }
            }
            Self::Object { store, path, .. } => {
                let found = store.head(path).await;
                let meta = found.map_err(|error| ReadError::Final(self.object_error(error)))?;
                // some servers give the part and say that it is the whole; the library refuses that
                let first = 0..meta.size.min(1);
                let ranges = meta.size > 0 && store.get_range(path, first).await.is_ok();
                Ok(Head {
                    size: Some(meta.size),
                    tag: meta.e_tag,
                    ranges,
                })
            }
            Self::Local(path) => {
                let meta = match std::fs::metadata(path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        let what = format!("there is no file {}", path.display());
                        return Err(ReadError::Final(FilesError::Missing(what)));
                    }
                    meta => meta.map_err(|error| ReadError::Final(disk(path)(error)))?,
                };
                if !meta.is_file() {
                    let what = format!("{} is no file", path.display());
                    return Err(ReadError::Final(FilesError::Usage(what)));
                }
                let changed = meta.modified().ok();
                let changed = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                Ok(Head {
                    size: Some(meta.len()),
                    tag: changed.map(|at| format!("{}-{}", at.as_nanos(), meta.len())),
                    ranges: true,
                })
            }
        }
    }

    /// Reads a part of the version that `tag` names, or the whole.
    pub(super) async fn read(
        &self,
        range: Option<Range<u64>>,
        tag: Option<&str>,
    ) -> Result<Pieces, ReadError> {
        match self {
            Self::Http { client, url } => {
                let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
                if let Some(range) = &range {
                    let bytes = format!("bytes={}-{}", range.start, range.end - 1);
                    request = request.header(RANGE, bytes);
                    if let Some(tag) = tag {
                        request = request.header(IF_RANGE, tag);
                    }
                }
                let answer = request.send().await;
                let answer = answer.map_err(|error| ReadError::Again(unwrapped(error)))?;
                let status = answer.status();
                if !status.is_success() {
                    return Err(self.refused(status));
                }
                if range.is_some() && status != StatusCode::PARTIAL_CONTENT {
                    return Err(ReadError::Changed);
                }
                let pieces = answer.bytes_stream();
                Ok(pieces
                    .map_err(|error| ReadError::Again(unwrapped(error)))
                    .boxed())
            }
            Self::Object { store, path, .. } => {
                let options = GetOptions {
                    range: range.map(GetRange::Bounded),
                    if_match: tag.map(str::to_owned),
                    ..GetOptions::default()
                };
                let got = store
                    .get_opts(path, options)
                    .await
                    .map_err(|error| match error {
                        object_store::Error::Precondition { .. } => ReadError::Changed,
                        object_store::Error::Generic { .. } => ReadError::Again(error.to_string()),
                        other => ReadError::Final(self.object_error(other)),
                    })?;
                let pieces = got.into_stream();
                Ok(pieces
                    .map_err(|error| ReadError::Again(error.to_string()))
                    .boxed())
            }
            Self::Local(path) => {
                let again = |error: std::io::Error| ReadError::Again(error.to_string());
                let mut file = tokio::fs::File::open(path).await.map_err(again)?;
                let range = range.unwrap_or(0..u64::MAX);
                file.seek(SeekFrom::Start(range.start))
                    .await
                    .map_err(again)?;
                let left = file.take(range.end - range.start);
                let pieces = futures_util::stream::try_unfold(left, move |mut left| async move {
                    let mut block = vec![0; BLOCK];
                    let length = left.read(&mut block).await.map_err(again)?;
                    block.truncate(length);
                    Ok((length > 0).then(|| (Bytes::from(block), left)))
                });
                Ok(pieces.boxed())
            }
        }
    }

    fn failed(&self, what: &str) -> FilesError {
        FilesError::Failed(format!("{} could not be loaded: {what}", self.shown()))
    }

    fn refused(&self, status: StatusCode) -> ReadError {
        let what = format!("the server answers {status}");
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let what = format!("{} does not exist: {status}", self.shown());
                ReadError::Final(FilesError::Missing(what))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => ReadError::Again(what),
            _ if status.is_server_error() => ReadError::Again(what),
            _ => ReadError::Final(self.failed(&what)),
        }
    }

    fn object_error(&self, error: object_store::Error) -> FilesError {
        match error {
            object_store::Error::NotFound { .. } => {
                FilesError::Missing(format!("{} does not exist", self.shown()))
            }
            object_store::Error::Unauthenticated { .. }
            | object_store::Error::PermissionDenied { .. } => self.failed(
                "the store refuses the key; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
            other => self.failed(&other.to_string()),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the address comes from the owner of the home, on the command line"
)]
fn client(idle: Duration) -> reqwest::Result<Client> {
    let policy = redirect::Policy::custom(|attempt| {
        let from = attempt.previous().last().map(Url::scheme);
        if attempt.previous().len() > 10 {
            attempt.error("more than ten redirects")
        } else if from == Some("https") && attempt.url().scheme() != "https" {
            attempt.error("a redirect leaves TLS")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .redirect(policy)
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(idle)
        .no_gzip()
        .build()
}

/// A strong name of the version, good for `If-Range`.
fn tag(headers: &HeaderMap) -> Option<String> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let strong = text(ETAG).filter(|tag| !tag.starts_with("W/"));
    strong.or_else(|| text(LAST_MODIFIED))
}

/// The length of the whole in `Content-Range: bytes 0-0/N`.
fn total(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit('/').next()?.parse().ok()
}

/// The cause without the address, which may hold a secret in its query.
fn unwrapped(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| {
            after
                .get(at)
                .and_then(|digit| (*digit as char).to_digit(16))
        };
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                // two digits of four bits
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
