//! OAuth 2.0: a token that is fetched before the first call and renewed before it ends.

mod answer;
mod grant;
mod renewal;
mod settings;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moltbot_types::{CallError, Credential, Headers, Kind, Retry};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::AuthClient;
use super::fault::Fault;
use crate::error::AuthError;
use grant::{Grant, TokenServer};
use renewal::{Ask, Renewal};
pub use settings::OAuthSettings;
pub use state::OAuthState;
pub use store::{MemoryTokens, Saved, TokenFiles, TokenStore};

/// Asks that wait for the task.
const ASKS: usize = 64;

/// A credential of OAuth 2.0.
///
/// One task fetches its token at once, renews it at about 80 % of its life and, once, when a model server
/// refuses it. Calls only ever wait for the first token. While no good token can be had the credential is
/// dead: that is logged once, and the task keeps trying with growing waits.
pub struct OAuth {
    id: String,
    name: String,
    wait: Duration,
    state: watch::Receiver<OAuthState>,
    asks: mpsc::Sender<Ask>,
}

impl OAuth {
    /// Starts the task on `tracker`; it ends when the credential is dropped or `cancel` is cancelled.
    ///
    /// # Errors
    /// [`AuthError::TokenUrl`]. That a token can't be had is no error here.
    pub fn start(
        settings: OAuthSettings,
        client: AuthClient,
        store: Arc<dyn TokenStore>,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, AuthError> {
        let server = TokenServer::new(settings.clone(), client)?;
        Ok(Self::with(settings, server, store, tracker, cancel))
    }

    fn with(
        settings: OAuthSettings,
        server: impl Grant,
        store: Arc<dyn TokenStore>,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let key = settings.fingerprint();
        let id = super::told_apart("oauth", &key);
        let (publish, state) = watch::channel(OAuthState::default());
        let (asks, asked) = mpsc::channel(ASKS);
        let renewal = Renewal {
            name: settings.name.clone(),
            server,
            key,
            store,
            state: publish,
            asks: asked,
            cancel,
            refresh: settings.refresh_token,
            due: Instant::now(),
            failures: 0,
            given_up: 0,
            alerted: false,
        };
        tracker.spawn(renewal.run());
        Self {
            id,
            name: settings.name,
            wait: settings.wait,
            state,
            asks,
        }
    }

    /// The name of the settings.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of it, and every change of that.
    pub fn state(&self) -> watch::Receiver<OAuthState> {
        self.state.clone()
    }

    /// Logs in now: fetches a new token, whether or not one is due.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn log_in(&self) -> Result<(), Fault> {
        let (reply, outcome) = oneshot::channel();
        let ended = || Fault::server("the daemon is stopping");
        self.asks.send(Ask::Try(reply)).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }

    fn dead(&self, why: String) -> CallError {
        let error = CallError::new(Kind::UpstreamAuth, "the model's credential is dead");
        error.retry(Retry::Elsewhere).because(why)
    }
}

#[async_trait]
impl Credential for OAuth {
    fn id(&self) -> &str {
        &self.id
    }

    fn ready(&self) -> Option<Headers> {
        let state = self.state.borrow();
        state.token().map(|token| token.headers.clone())
    }

    async fn fetch(&self) -> Result<Headers, CallError> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| state.token().is_some() || state.is_dead());
        match timeout(self.wait, known).await {
            Ok(Ok(state)) => match (state.token(), state.fault()) {
                (Some(token), _) => Ok(token.headers.clone()),
                (None, Some(fault)) => Err(self.dead(fault.to_string())),
                (None, None) => Err(self.dead("its token ended just now".to_owned())),
            },
            Ok(Err(_)) => Err(self.dead("the daemon is stopping".to_owned())),
            Err(_) => Err(self.dead(format!(
                "the token server gave no token within {:?}",
                self.wait
            ))),
        }
    }

    async fn refused(&self, shown: &Headers) -> bool {
        let (reply, better) = oneshot::channel();
        let asked = async {
            let ask = Ask::Refused(shown.clone(), reply);
            self.asks.send(ask).await.ok()?;
            better.await.ok()
        };
        let asked = timeout(self.wait, asked).await;
        asked.ok().flatten().unwrap_or(false)
    }

    fn problem(&self) -> Option<String> {
        let state = self.state.borrow();
        let fault = state.fault().filter(|_| state.is_dead())?;
        Some(fault.to_string())
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth")
            .field("name", &self.name)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}
