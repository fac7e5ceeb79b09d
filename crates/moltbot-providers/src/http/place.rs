//! Where a target is: its base URL as parts that are ready to use.

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use moltbot_types::{Call, CallError, Dialect, Kind, Operation};

const OPERATIONS: [Operation; 3] = [Operation::Chat, Operation::Complete, Operation::Embed];

/// A base URL and what is made of it.
#[derive(Debug)]
pub(super) struct Place {
    /// Host and port, for the log.
    pub(super) authority: String,
    /// The host without its port, to keep it out of words that callers read.
    pub(super) name: String,
    /// The `host` header, where the connection is HTTP/1 for sure.
    pub(super) host: Option<HeaderValue>,
    paths: Vec<(Operation, Uri)>,
}

impl Place {
    /// Reads a base URL; one that ends in a version is used as it is, others get the dialect's.
    pub(super) fn new(base: &str, dialect: &dyn Dialect) -> Result<Self, &'static str> {
        if base.contains('#') {
            return Err("it has a fragment");
        }
        let base: Uri = base.trim().parse().map_err(|_| "it can't be read")?;
        let (Some(scheme), Some(authority)) = (base.scheme(), base.authority()) else {
            return Err("scheme or host is missing");
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err("its scheme is neither http nor https");
        }
        if authority.as_str().contains('@') {
            return Err("it names a user; credentials have a place of their own");
        }
        if base.query().is_some() {
            return Err("it has a query");
        }
        let path = base.path().trim_end_matches('/');
        let version = match ends_in_version(path) {
            true => "",
            false => dialect.version(),
        };
        let paths = OPERATIONS.iter().map(|operation| {
            let path = format!("{path}{version}{}", dialect.path(*operation));
            let uri = Uri::builder()
                .scheme(scheme.clone())
                .authority(authority.clone())
                .path_and_query(path)
                .build();
            uri.map(|uri| (*operation, uri))
        });
        Ok(Self {
            authority: authority.to_string(),
            name: authority.host().to_owned(),
            // TLS may agree on HTTP/2, which has no such header
            host: (*scheme == Scheme::HTTP)
                .then(|| HeaderValue::from_str(authority.as_str()).ok())
                .flatten(),
            paths: paths
                .collect::<Result<_, _>>()
                .map_err(|_| "its path can't be sent")?,
        })
    }

    /// Scheme, host and some path.
    pub(super) fn base(&self) -> &Uri {
        &self.paths[0].1
    }

    /// Where a call goes.
    pub(super) fn uri(&self, call: &Call) -> Result<Uri, CallError> {
        let mut known = self.paths.iter();
        let Some((_, uri)) = known.find(|(op, _)| *op == call.head.operation) else {
            return Err(CallError::new(Kind::BadRequest, "this model can't do that"));
        };
        let Some(query) = &call.query else {
            return Ok(uri.clone());
        };
        let unsendable = |_| CallError::new(Kind::BadRequest, "the query of the path is malformed");
        let path: PathAndQuery = format!("{}?{query}", uri.path())
            .parse()
            .map_err(unsendable)?;
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts)
            .map_err(|_| CallError::new(Kind::BadRequest, "the query of the path is malformed"))
    }
}

/// Where a server of that dialect lists its models, which costs nothing to ask.
pub fn list_of_models(base: &str, dialect: &dyn Dialect) -> String {
    let base = base.trim().trim_end_matches('/');
    match ends_in_version(base) {
        true => format!("{base}/models"),
        false => format!("{base}{}/models", dialect.version()),
    }
}

/// Whether the last segment is a version: `v1`, `v1beta`.
fn ends_in_version(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let mut rest = last.bytes();
    rest.next() == Some(b'v')
        && rest.next().is_some_and(|b| b.is_ascii_digit())
        && rest.all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_base_url_is_taken_or_refused(base in "(https?://)?[ -~]{0,32}") {
            if let Ok(place) = Place::new(&base, &moltbot_wire::OPENAI) {
                for (operation, uri) in &place.paths {
                    let end = Dialect::path(&moltbot_wire::OPENAI, *operation);
                    prop_assert!(uri.path().ends_with(end) && !uri.path().contains("//chat"));
                    prop_assert!(!uri.authority().unwrap().as_str().contains('@'), "{uri}");
                }
            }
        }
    }
}
