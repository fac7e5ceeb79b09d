//! The one task that fetches and renews a token, whatever the load.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use http::header::AUTHORIZATION;
use moltbot_types::Headers;
use secrecy::{ExposeSecret, SecretString};
use smallvec::smallvec;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use zeroize::Zeroizing;

use super::grant::{Grant, Granted, refused_at_the_model};
use super::state::{OAuthState, Token};
use super::store::{Saved, TokenStore};
use crate::credential::fault::{Cause, Fault};

/// When a token is renewed, as a share of its life, and how far that strays.
const RENEWED_AT: f64 = 0.8;
const STRAY: f64 = 0.1;
/// Servers count in whole seconds, so that a token may end that much sooner than it is told.
const ROUNDED: Duration = Duration::from_millis(1100);
/// No renewal by the clock follows another one sooner.
const LEAST_LIFE: Duration = Duration::from_millis(500);
/// First wait after a failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait while the server is to blame, and while we are: nobody likes a client that hammers.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT_REFUSED: Duration = Duration::from_secs(300);
/// A token that is refused this soon and in the first half of its life, when the one before was refused too,
/// is not renewed for it again.
const FRESH: Duration = Duration::from_secs(5);
/// First wait after such a token was given up.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// What callers ask of the task.
pub(super) enum Ask {
    /// A model server refused these headers. True: there are better ones.
    Refused(Headers, oneshot::Sender<bool>),
    /// Somebody wants to know whether it works.
    Try(oneshot::Sender<Result<(), Fault>>),
}

/// The task. It ends with the last [`OAuth`](super::OAuth) that asks, and when it is cancelled.
pub(super) struct Renewal<G> {
    pub(super) name: String,
    pub(super) server: G,
    pub(super) key: String,
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) state: watch::Sender<OAuthState>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) cancel: CancellationToken,
    /// The refresh token that is good now.
    pub(super) refresh: Option<SecretString>,
    /// When the next renewal is due.
    pub(super) due: Instant,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Tokens given up in a row.
    pub(super) given_up: u32,
    /// That it is dead was told.
    pub(super) alerted: bool,
}

impl<G: Grant> Renewal<G> {
    pub(super) async fn run(mut self) {
        self.resume().await;
        let cancel = self.cancel.clone();
        loop {
            let (due, death) = (self.due, self.death());
            tokio::select! {
                biased; // whoever asks at the start shares the first renewal
                () = cancel.cancelled() => return,
                ask = self.asks.recv() => match ask {
                    None => return,
                    Some(Ask::Refused(shown, reply)) => {
                        let better = self.refused(&shown).await;
                        let _ = reply.send(better);
                    }
                    Some(Ask::Try(reply)) => {
                        let outcome = self.renew(false).await;
                        let _ = reply.send(outcome);
                    }
                },
                () = sleep_until(due) => {
                    let instead = self.given_up > 0 || self.state.borrow().doubted;
                    let _ = self.renew(instead).await;
                }
                // The moment at which failed renewals begin to matter.
                () = sleep_until(death) => self.alert(),
            }
        }
    }

    /// Takes up what was kept before the restart.
    async fn resume(&mut self) {
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        let saved = tokio::task::spawn_blocking(move || store.load(&key)).await;
        let Ok(Some(saved)) = saved else { return };
        if saved.refresh_token.is_some() && self.refresh.is_some() {
            self.refresh = saved.refresh_token;
        }
        let Ok(age) = SystemTime::now().duration_since(saved.received) else {
            return;
        };
        let left = saved.life.saturating_sub(age);
        if left.is_zero() {
            return;
        }
        if let Some(headers) = headers(&saved.access_token) {
            let now = Instant::now();
            self.due = now + renewed_at(saved.life).saturating_sub(age);
            self.publish(Token {
                headers,
                received: now,
                expires: now + left,
                instead: false,
            });
        }
    }

    /// A model server refused `shown`: whether there is a better token, after one renewal where it is needed.
    async fn refused(&mut self, shown: &Headers) -> bool {
        let token = self.state.borrow().token().cloned();
        let Some(token) = token else {
            return self.failures == 0 && self.renew(true).await.is_ok();
        };
        if token.headers != *shown {
            return true;
        }
        let fresh = FRESH.min((token.expires - token.received) / 2);
        if token.instead && token.received.elapsed() < fresh {
            self.give_up();
            return false;
        }
        if self.state.borrow().doubted && Instant::now() < self.due {
            return false; // it is tried again when its wait is over
        }
        let renewed = self.renew(true).await.is_ok();
        if !renewed {
            // It lives on, for a failed renewal shortens nothing; but whoever asks hears the truth.
            self.state.send_modify(|state| state.doubted = true);
            self.alert();
        }
        renewed
    }

    fn give_up(&mut self) {
        let wait = GIVEN_UP * 2_u32.pow(self.given_up.min(4));
        self.given_up += 1;
        self.due = Instant::now() + strayed(wait);
        self.state.send_modify(|state| {
            state.token = None;
            state.fault = Some(refused_at_the_model(state.skew));
        });
        self.alert();
    }

    /// Fetches a token; `instead` of one that was refused.
    async fn renew(&mut self, instead: bool) -> Result<(), Fault> {
        let cancel = self.cancel.clone();
        let asked = self.server.ask(self.refresh.as_ref());
        let granted = if self.refresh.is_some() {
            // What comes back may be the only refresh token that is still good.
            asked.await
        } else {
            tokio::select! {
                granted = asked => granted,
                () = cancel.cancelled() => return Err(Fault::server("the daemon is stopping")),
            }
        };
        let granted = granted.and_then(|granted| {
            let headers = headers(&granted.access_token).ok_or_else(|| {
                Fault::server("the token server gave a token that no header can carry")
            })?;
            Ok((granted, headers))
        });
        match granted {
            Ok((granted, headers)) => {
                self.granted(granted, headers, instead).await;
                Ok(())
            }
            Err(fault) => {
                self.failed(fault.clone());
                Err(fault)
            }
        }
    }

    async fn granted(&mut self, granted: Granted, headers: Headers, instead: bool) {
        let now = Instant::now();
        self.due = now + renewed_at(granted.life);
        if let Some(refresh) = granted.refresh_token {
            self.refresh = Some(refresh);
        }
        let saved = Saved {
            access_token: granted.access_token,
            refresh_token: self.refresh.clone(),
            received: SystemTime::now(),
            life: granted.life,
        };
        // Before it is used: a crash must not lose the only refresh token that is good.
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        let kept = tokio::task::spawn_blocking(move || store.save(&key, &saved)).await;
        if let Ok(Err(error)) = kept {
            warn!(credential = %self.name, %error, "the token is in use but can't be kept over a restart");
        }
        self.failures = 0;
        self.state.send_modify(|state| state.skew = granted.skew);
        self.publish(Token {
            headers,
            received: now,
            expires: now + granted.life,
            instead,
        });
        if !instead {
            // Nobody refused the one before, so this is not the next turn of the same story.
            self.given_up = 0;
            if std::mem::take(&mut self.alerted) {
                info!(credential = %self.name, "the credential is good again");
            }
        }
    }

    fn publish(&self, token: Token) {
        self.state.send_modify(|state| {
            state.token = Some(Arc::new(token));
            state.fault = None;
            state.doubted = false;
        });
    }

    fn failed(&mut self, fault: Fault) {
        let longest = match fault.cause {
            Cause::Server => LONGEST_WAIT,
            Cause::Secret | Cause::Clock => LONGEST_WAIT_REFUSED,
        };
        let wait = FIRST_WAIT * 2_u32.pow(self.failures.min(16));
        self.due = Instant::now() + strayed(wait.min(longest));
        self.failures = self.failures.saturating_add(1);
        self.state
            .send_modify(|state| state.fault = Some(fault.clone()));
        if self.state.borrow().is_dead() {
            self.alert();
        } else if self.failures == 1 {
            warn!(credential = %self.name, error = %fault, "the token is good but can't be renewed");
        }
    }

    /// When the token ends that could not be renewed; never where there is none.
    fn death(&self) -> Instant {
        let state = self.state.borrow();
        let failing = state.fault.is_some() && !self.alerted;
        let end = state.token.as_ref().filter(|_| failing);
        end.map_or_else(
            || Instant::now() + Duration::from_secs(86_400),
            |token| token.expires,
        )
    }

    /// Says once that it is dead.
    fn alert(&mut self) {
        if std::mem::replace(&mut self.alerted, true) {
            return;
        }
        // Whoever watches hears of an end that only the clock brought.
        self.state.send_modify(|_| {});
        let state = self.state.borrow();
        if let Some(fault) = &state.fault {
            error!(credential = %self.name, error = %fault, "the credential is dead; its models fall back");
        }
    }
}

/// The header that shows a token; `None` where none can carry it.
fn headers(token: &SecretString) -> Option<Headers> {
    let token = token.expose_secret();
    if token.is_empty() {
        return None;
    }
    let text = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(smallvec![(AUTHORIZATION, value)])
}

/// When a token of that life is renewed: many that came together are not renewed together.
fn renewed_at(life: Duration) -> Duration {
    let share = RENEWED_AT * rand::random_range(1.0 - STRAY..=1.0 + STRAY);
    let latest = life.saturating_sub(ROUNDED);
    life.mul_f64(share).min(latest).max(LEAST_LIFE)
}

fn strayed(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.8..=1.2))
}
