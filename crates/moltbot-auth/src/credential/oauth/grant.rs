//! One request for a token, and what its failure means.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RefreshToken, RequestTokenError, Scope, StandardRevocableToken, TokenResponse,
    TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};

use super::answer::{self, Answer};
use super::settings::OAuthSettings;
use crate::credential::client::AuthClient;
use crate::credential::fault::{Cause, Fault};
use crate::error::AuthError;

/// A clock that is off by more is told.
const SKEW: i64 = 60;
/// Most characters of a server's own words that are told.
const LONGEST_WORDS: usize = 200;

type Client = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A token as it was given.
pub(super) struct Granted {
    pub(super) access_token: SecretString,
    /// Another refresh token than the one that was shown.
    pub(super) refresh_token: Option<SecretString>,
    pub(super) life: Duration,
    pub(super) skew: Option<i64>,
}

/// Who gives tokens.
pub(super) trait Grant: Send + 'static {
    /// Asks for a token, with the refresh token where there is one.
    fn ask(
        &mut self,
        refresh: Option<&SecretString>,
    ) -> impl Future<Output = Result<Granted, Fault>> + Send;
}

/// A token server, as one client speaks to it.
pub(super) struct TokenServer {
    http: AuthClient,
    oauth: Client,
    settings: OAuthSettings,
    /// Host and port, for words.
    place: String,
    /// How the client proves itself is known: a server took it.
    proven: bool,
}

impl TokenServer {
    /// # Errors
    /// [`AuthError::TokenUrl`].
    pub(super) fn new(settings: OAuthSettings, http: AuthClient) -> Result<Self, AuthError> {
        let url = TokenUrl::new(settings.token_url.clone()).map_err(|_| AuthError::TokenUrl)?;
        let address = url.url();
        if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
            return Err(AuthError::TokenUrl);
        }
        let host = address.host_str().unwrap_or_default();
        let place = match address.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let mut oauth =
            oauth2::Client::new(ClientId::new(settings.client_id.clone())).set_token_uri(url);
        if let Some(secret) = &settings.client_secret {
            let secret = ClientSecret::new(secret.expose_secret().to_owned());
            oauth = oauth.set_client_secret(secret);
        }
        Ok(Self {
            http,
            oauth,
            settings,
            place,
            proven: false,
        })
    }

    async fn ask_once(&self, refresh: Option<&SecretString>) -> Result<Granted, Failed> {
        let send = Exchange {
            http: &self.http,
            within: self.settings.timeout,
            date: OnceLock::new(),
        };
        let scopes = self.settings.scope.iter();
        let scopes = scopes.flat_map(|scope| scope.split_whitespace());
        let scopes: Vec<_> = scopes.map(|scope| Scope::new(scope.to_owned())).collect();
        let answer = match refresh {
            Some(token) => {
                let token = RefreshToken::new(token.expose_secret().to_owned());
                let request = self.oauth.exchange_refresh_token(&token).add_scopes(scopes);
                request.request_async(&send).await
            }
            None => {
                let request = self.oauth.exchange_client_credentials();
                request.add_scopes(scopes).request_async(&send).await
            }
        };
        let skew = send
            .date
            .get()
            .map(|at| seconds_ahead(SystemTime::now(), *at));
        let answer = answer.map_err(|error| self.judge(error, skew))?;
        let token = answer.access_token().secret();
        let server_now = send.date.get().copied().unwrap_or_else(SystemTime::now);
        Ok(Granted {
            life: answer::life(answer.expires_in(), token, server_now),
            access_token: SecretString::from(token.as_str()),
            refresh_token: answer
                .refresh_token()
                .map(|token| SecretString::from(token.secret().as_str())),
            skew,
        })
    }

    /// What a failure means, in words.
    fn judge(
        &self,
        error: RequestTokenError<Fault, BasicErrorResponse>,
        skew: Option<i64>,
    ) -> Failed {
        let place = &self.place;
        let error = match error {
            RequestTokenError::ServerResponse(error) => error,
            RequestTokenError::Request(fault) => {
                let words = format!("the token server {place} gives no token: {}", fault.words);
                return Failed::Other(Fault { words, ..fault });
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                return Failed::Other(Fault::server(format!(
                    "the token server {place} answers something that is neither a token nor an error of OAuth 2.0; check token_url, and look at its log"
                )));
            }
        };
        let code = self.clean(error.error().as_ref());
        let said = error.error_description().map_or_else(String::new, |said| {
            format!(": {}", self.clean(said).trim_end_matches('.'))
        });
        let client = &self.settings.client_id;
        let words = format!("the token server {place} refuses client `{client}` ({code}{said})");
        let clock = off(skew);
        match code.as_str() {
            "server_error" | "temporarily_unavailable" | "slow_down" => {
                Failed::Other(Fault::server(format!(
                    "the token server {place} gives no token ({code}{said}); look at its log"
                )))
            }
            "invalid_client" => Failed::Client(Fault::secret(format!(
                "{words}; check client_id and client_secret{}",
                clock.map_or_else(String::new, |clock| format!(". Besides, {clock}"))
            ))),
            _ => Failed::Other(match clock {
                Some(clock) => Fault::clock(format!("{words}, and {clock}; set it right first")),
                None => Fault::secret(format!("{words}; {}", cure(&code))),
            }),
        }
    }

    /// A server's own words, without secrets, line breaks and length.
    fn clean(&self, said: &str) -> String {
        let mut said = said.to_owned();
        let secrets = [&self.settings.client_secret, &self.settings.refresh_token];
        for secret in secrets.into_iter().flatten() {
            if !secret.expose_secret().is_empty() {
                said = said.replace(secret.expose_secret(), "[secret]");
            }
        }
        let said = said.chars().filter(|c| !c.is_control());
        said.take(LONGEST_WORDS).collect()
    }
}

impl Grant for TokenServer {
    /// The client proves itself in a header, and where the server has not taken that before, in the body.
    async fn ask(&mut self, refresh: Option<&SecretString>) -> Result<Granted, Fault> {
        let first = self.ask_once(refresh).await;
        let may_differ = !self.proven && self.settings.client_secret.is_some();
        let granted = match first {
            Err(Failed::Client(fault)) if may_differ => {
                let oauth = self.oauth.clone().set_auth_type(AuthType::RequestBody);
                let before = std::mem::replace(&mut self.oauth, oauth);
                match self.ask_once(refresh).await {
                    Ok(granted) => Ok(granted),
                    Err(_) => {
                        self.oauth = before;
                        Err(fault)
                    }
                }
            }
            other => other.map_err(Failed::into_fault),
        };
        self.proven |= granted.is_ok();
        granted
    }
}

/// Sends one request, and notes the time of the server's clock.
struct Exchange<'a> {
    http: &'a AuthClient,
    within: Duration,
    date: OnceLock<SystemTime>,
}

impl<'c> AsyncHttpClient<'c> for Exchange<'_> {
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Fault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (answer, date) = self.http.post(request, self.within).await?;
            if let Some(date) = date {
                let _ = self.date.set(date);
            }
            Ok(answer)
        })
    }
}

/// A failed request.
enum Failed {
    /// The server does not know the client by what it showed.
    Client(Fault),
    /// Anything else.
    Other(Fault),
}

impl Failed {
    fn into_fault(self) -> Fault {
        match self {
            Self::Client(fault) | Self::Other(fault) => fault,
        }
    }
}

fn cure(code: &str) -> &'static str {
    match code {
        "invalid_grant" => "the refresh token is no longer good: log in anew and give the new one",
        "invalid_scope" => "check scope",
        "unauthorized_client" | "unsupported_grant_type" => {
            "the client may not use this grant: allow it at the token server"
        }
        _ => "check the credential",
    }
}

/// How far this machine's clock is off, in words, where it is by much.
pub(super) fn off(skew: Option<i64>) -> Option<String> {
    let skew = skew.filter(|skew| skew.abs() > SKEW)?;
    let way = if skew > 0 { "ahead of" } else { "behind" };
    Some(format!(
        "this machine's clock is {} s {way} the token server's",
        skew.abs()
    ))
}

/// What is to blame where a model server refuses a token that was just given.
pub(super) fn refused_at_the_model(skew: Option<i64>) -> Fault {
    let words = "the model server refuses a token that the token server has just given";
    match off(skew) {
        Some(off) => Fault {
            cause: Cause::Clock,
            words: format!("{words}, and {off}; set it right first"),
        },
        None => Fault::secret(format!(
            "{words}; check that client and scope may use the model"
        )),
    }
}

fn seconds_ahead(ours: SystemTime, theirs: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match ours.duration_since(theirs) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}
