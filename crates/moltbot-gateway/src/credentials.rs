//! As whom calls leave: credentials out of the configuration. Those with tokens are kept over reloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use moltbot_auth::AuthError;
use moltbot_auth::credential::oauth::TokenFiles;
use moltbot_auth::credential::{
    ApiKey, AuthClient, Missing, NoCredential, OAuth, OAuthSettings, Placement,
};
use moltbot_config::Home;
use moltbot_config::config::{self, Auth};
use moltbot_router::health::Health;
use moltbot_types::Credential;

use crate::gateway::StartError;
use crate::runtime::Runtime;

/// Calls that failed for want of a token tell of it within this time.
const LATE: Duration = Duration::from_secs(1);

/// The credentials that have tokens, by the fingerprint of their settings. Snapshots own them; this finds
/// them again. Each ends with the last snapshot that uses it.
pub(crate) struct Credentials {
    client: AuthClient,
    tokens: TokenFiles,
    known: Mutex<HashMap<String, Weak<OAuth>>>,
}

impl Credentials {
    pub(crate) fn new(home: &Home) -> Result<Self, StartError> {
        Ok(Self {
            client: AuthClient::new().map_err(StartError::other)?,
            tokens: TokenFiles::new(home.tokens_dir()),
            known: Mutex::default(),
        })
    }

    /// What speaks to token servers.
    pub(crate) fn client(&self) -> &AuthClient {
        &self.client
    }

    /// The credential of a model: the one that is at work already where its settings are the same.
    ///
    /// # Errors
    /// A key or an address that can't be used.
    pub(crate) fn of(&self, auth: &Auth, rt: &Runtime) -> Result<Arc<dyn Credential>, AuthError> {
        Ok(match auth {
            Auth::None => Arc::new(NoCredential),
            Auth::ApiKey { key, .. } => Arc::new(ApiKey::new(key, &Placement::Bearer)?),
            Auth::OAuth(oauth) => self.oauth(oauth, rt)?,
            Auth::Missing { what, .. } => Arc::new(Missing::new(what.as_str())),
        })
    }

    /// The same for a credential that has tokens.
    ///
    /// # Errors
    /// As [`OAuth::start`].
    pub(crate) fn oauth(
        &self,
        oauth: &config::OAuth,
        rt: &Runtime,
    ) -> Result<Arc<OAuth>, AuthError> {
        let settings = settings(oauth);
        let fingerprint = settings.fingerprint();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, credential| credential.strong_count() > 0);
        if let Some(credential) = known.get(&fingerprint).and_then(Weak::upgrade) {
            return Ok(credential);
        }
        let credential = Arc::new(OAuth::start(
            settings,
            self.client.clone(),
            Arc::new(self.tokens.clone()),
            &rt.tasks,
            rt.stop.clone(),
        )?);
        known.insert(fingerprint, Arc::downgrade(&credential));
        rt.tasks.spawn(tell_health(
            credential.id().to_owned(),
            &credential,
            Arc::clone(&rt.health),
        ));
        Ok(credential)
    }

    /// The credential of these settings, if it is at work.
    pub(crate) fn find(&self, oauth: &config::OAuth) -> Option<Arc<OAuth>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&settings(oauth).fingerprint())?.upgrade()
    }
}

fn settings(oauth: &config::OAuth) -> OAuthSettings {
    OAuthSettings {
        name: oauth.id.clone(),
        client_id: oauth.client_id.clone(),
        client_secret: oauth.client_secret.clone(),
        token_url: oauth.token_url.clone(),
        scope: oauth.scope.clone(),
        refresh_token: oauth.refresh_token.clone(),
        ..OAuthSettings::default()
    }
}

/// Tells health when a credential is good again, so that its targets need not rest any longer. It ends with
/// the credential's own task.
fn tell_health(
    id: String,
    credential: &OAuth,
    health: Arc<Health>,
) -> impl Future<Output = ()> + use<> {
    let mut state = credential.state();
    async move {
        let mut was_good = false;
        while state.changed().await.is_ok() {
            let is_good = state.borrow_and_update().is_good();
            if is_good && !was_good {
                health.renew(&id);
                tokio::time::sleep(LATE).await;
                if state.borrow().is_good() {
                    health.renew(&id);
                }
            }
            was_good = is_good;
        }
    }
}
