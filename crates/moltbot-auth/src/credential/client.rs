//! The one HTTP client of this crate: to token servers, and to model lists when a key is tried.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, DATE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use oauth2::{HttpRequest, HttpResponse};
use reqwest::redirect::Policy;

use super::fault::Fault;

/// Most bytes that are read of an answer.
const LIMIT: usize = 256 << 10;

/// Speaks to token servers; clones share its connections.
///
/// No proxy, no redirects, every request within a time: what is sent is a secret.
#[derive(Clone, Debug)]
pub struct AuthClient {
    http: reqwest::Client,
    /// Why no TLS certificate can be trusted, where the system has no authorities.
    problem: Option<String>,
}

impl AuthClient {
    /// Makes the client. Nothing is connected yet.
    ///
    /// # Errors
    /// TLS can't be set up at all.
    pub fn new() -> Result<Self, Fault> {
        #[expect(clippy::disallowed_methods, reason = "the one client of credentials")]
        let builder = || {
            reqwest::Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .connect_timeout(Duration::from_secs(5))
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent(concat!("moltbot/", env!("CARGO_PKG_VERSION")))
        };
        match builder().build() {
            Ok(http) => Ok(Self {
                http,
                problem: None,
            }),
            // Plain HTTP works without authorities, and a house without them still starts.
            Err(error) => Ok(Self {
                http: builder()
                    .tls_certs_only([])
                    .build()
                    .map_err(|error| Fault::server(format!("TLS can't be set up: {error}")))?,
                problem: Some(causes(&error)),
            }),
        }
    }

    /// Sends a request to a token server and reads the whole answer, with the time of the server's clock.
    pub(crate) async fn post(
        &self,
        request: HttpRequest,
        within: Duration,
    ) -> Result<(HttpResponse, Option<SystemTime>), Fault> {
        let (parts, body) = request.into_parts();
        let request = self.http.post(parts.uri.to_string()).headers(parts.headers);
        let sent = request.body(body).timeout(within).send().await;
        let answer = sent.map_err(|error| self.unreachable(error))?;
        let date = date(answer.headers());
        Ok((self.whole(answer).await?, date))
    }

    /// Asks for a page with these headers; gives its status.
    pub(super) async fn get(
        &self,
        url: &str,
        headers: HeaderMap,
        within: Duration,
    ) -> Result<StatusCode, Fault> {
        let sent = self.http.get(url).headers(headers).timeout(within).send();
        let answer = sent.await.map_err(|error| self.unreachable(error))?;
        Ok(answer.status())
    }

    async fn whole(&self, mut answer: reqwest::Response) -> Result<HttpResponse, Fault> {
        let status = answer.status();
        if status.is_redirection() {
            return Err(Fault::server(format!(
                "it answers with a redirect ({status}), which is not followed; give the address that it leads to as token_url"
            )));
        }
        let kind = answer.headers().get(CONTENT_TYPE);
        let is_html = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_html {
            return Err(Fault::server(format!(
                "it answers with a web page ({status}) instead of a token; check token_url"
            )));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer
            .chunk()
            .await
            .map_err(|error| self.unreachable(error))?
        {
            if body.len() + piece.len() > LIMIT {
                return Err(Fault::server("its answer is far too large for a token"));
            }
            body.extend_from_slice(&piece);
        }
        let mut whole = Response::new(body);
        // Some say 201, and some name no type or another one.
        *whole.status_mut() = match status.is_success() {
            true => StatusCode::OK,
            false => status,
        };
        let json = HeaderValue::from_static("application/json");
        whole.headers_mut().insert(CONTENT_TYPE, json);
        Ok(whole)
    }

    fn unreachable(&self, error: reqwest::Error) -> Fault {
        if error.is_timeout() {
            return Fault::server("it does not answer in time");
        }
        let causes = causes(&error.without_url());
        if let Some(problem) = &self.problem
            && causes.contains("certificate")
        {
            return Fault::server(format!(
                "no certificate can be trusted ({problem}); install the system's CA certificates"
            ));
        }
        let about_time = ["expired", "not valid yet", "NotValidYet"];
        if causes.contains("certificate") && about_time.iter().any(|word| causes.contains(word)) {
            return Fault::clock(format!(
                "its certificate is expired or not valid yet by this machine's clock ({causes}); set the clock, then look at the certificate"
            ));
        }
        Fault::server(format!("it can't be reached: {causes}"))
    }
}

/// The innermost cause, which says most.
fn causes(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}
