//! The meters of one workspace: its own, and those of its keys and senders.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::meter::{Amount, Meter, Standing, What};
use super::{Price, QuotaSettings};

/// Keys and senders of one workspace that are told apart; those beyond share one meter.
const MOST: usize = 100_000;

/// Whose limit it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All callers of the workspace together.
    Workspace,
    /// One key, by its id.
    Key(Arc<str>),
    /// One sender: the user that a call names.
    Sender(Arc<str>),
}

impl Scope {
    /// Its form in stores: `workspace`, `key:ID`, `sender:NAME`.
    pub fn text(&self) -> String {
        match self {
            Self::Workspace => "workspace".to_owned(),
            Self::Key(id) => format!("key:{id}"),
            Self::Sender(name) => format!("sender:{name}"),
        }
    }

    /// Reads that form.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "workspace").then_some(Self::Workspace),
            Some(("key", id)) => Some(Self::Key(id.into())),
            Some(("sender", name)) => Some(Self::Sender(name.into())),
            Some(_) => None,
        }
    }

    /// Who it is, in words for the caller.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Workspace => "this workspace",
            Self::Key(_) => "this key",
            Self::Sender(_) => "this user",
        }
    }
}

/// What is in use of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Whose limit.
    pub scope: Scope,
    /// Which one.
    pub what: What,
    /// How much, in its own unit: calls, tokens, billionths of a dollar.
    pub used: u64,
}

/// What is known of a call before it is made.
pub(super) struct Asked<'a> {
    pub(super) key: Option<&'a Arc<str>>,
    pub(super) sender: Option<&'a Arc<str>>,
    /// Tokens of the prompt, estimated.
    pub(super) input: u64,
    /// Most tokens of the answer, where the caller says so; `Some(0)` where it has none.
    pub(super) output: Option<u64>,
    pub(super) price: Price,
}

/// A call does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) scope: Scope,
    pub(super) what: What,
    pub(super) wait: Duration,
}

/// How the limits of a caller stand: of several, the one of which least is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standings {
    pub(super) requests: Option<Standing>,
    pub(super) tokens: Option<Standing>,
}

/// All meters of one workspace. It outlives reloads.
#[derive(Debug, Default)]
pub(super) struct Tenant(Mutex<Meters>);

#[derive(Debug, Default)]
struct Meters {
    known: HashMap<Scope, Meter>,
    /// All that found no room.
    others: Meter,
}

impl Tenant {
    /// Takes what the call is likely to use from every limit that it falls under, or from none.
    pub(super) fn reserve(
        &self,
        settings: &QuotaSettings,
        asked: &Asked<'_>,
    ) -> (Result<(Vec<Scope>, Amount), Over>, Standings) {
        let now = Instant::now();
        let scopes = scopes(settings, asked);
        let mut meters = self.lock();
        for scope in &scopes {
            meters.make_room(scope, settings, now);
        }
        let amount = meters.amount(&scopes, asked);
        let over = scopes
            .iter()
            .filter_map(|scope| {
                let (what, wait) = meters.of(scope).over(settings.of(scope), &amount, now)?;
                Some((scope, what, wait))
            })
            .max_by_key(|(_, _, wait)| *wait);
        let taken = match over {
            Some((scope, what, wait)) => Err(Over {
                scope: scope.clone(),
                what,
                wait,
            }),
            None => {
                for scope in &scopes {
                    meters.of(scope).take(settings.of(scope), &amount, now);
                }
                Ok(amount)
            }
        };
        let standings = meters.standings(&scopes, settings, now);
        (taken.map(|amount| (scopes, amount)), standings)
    }

    /// Puts what was really used in the place of what was reserved.
    pub(super) fn settle(
        &self,
        scopes: &[Scope],
        reserved: &Amount,
        used: &Amount,
        answer: Option<u64>,
    ) {
        let mut meters = self.lock();
        for scope in scopes {
            meters.of(scope).settle(reserved, used, answer);
        }
    }

    pub(super) fn restore(&self, used: Used, age: Duration) {
        let now = Instant::now();
        let at = now.checked_sub(age).unwrap_or(now);
        let mut meters = self.lock();
        if meters.known.len() < MOST {
            let meter = meters.known.entry(used.scope).or_default();
            meter.restore(used.what, used.used, at);
        }
    }

    pub(super) fn used(&self, settings: &QuotaSettings) -> Vec<Used> {
        let now = Instant::now();
        let mut meters = self.lock();
        let mut all = Vec::new();
        for (scope, meter) in &mut meters.known {
            // Brought to this moment, which is the one that the store notes.
            if !meter.is_idle(settings.of(scope), now) {
                all.extend(meter.used().map(|(what, used)| Used {
                    scope: scope.clone(),
                    what,
                    used,
                }));
            }
        }
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Meters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meters {
    fn of(&mut self, scope: &Scope) -> &mut Meter {
        self.known.get_mut(scope).unwrap_or(&mut self.others)
    }

    /// Makes a meter for a caller that has none, where there is room.
    fn make_room(&mut self, scope: &Scope, settings: &QuotaSettings, now: Instant) {
        if self.known.contains_key(scope) {
            return;
        }
        if self.known.len() >= MOST {
            self.known
                .retain(|scope, meter| !meter.is_idle(settings.of(scope), now));
        }
        if self.known.len() < MOST {
            self.known.insert(scope.clone(), Meter::default());
        }
    }

    fn amount(&mut self, scopes: &[Scope], asked: &Asked<'_>) -> Amount {
        let guess = scopes.iter().map(|scope| self.of(scope).guess()).max();
        let output = asked.output.or(guess).unwrap_or(0);
        Amount {
            requests: 1,
            tokens: asked.input.saturating_add(output),
            cost: asked.price.of(asked.input, output),
        }
    }

    fn standings(&mut self, scopes: &[Scope], settings: &QuotaSettings, now: Instant) -> Standings {
        let mut least = |what| {
            let all = scopes.iter();
            let all =
                all.filter_map(|scope| self.of(scope).standing(settings.of(scope), what, now));
            all.min_by_key(|standing| standing.remaining)
        };
        Standings {
            requests: least(What::Requests),
            tokens: least(What::Tokens),
        }
    }
}

/// Whose limits a call falls under.
fn scopes(settings: &QuotaSettings, asked: &Asked<'_>) -> Vec<Scope> {
    let key = asked.key.map(|key| Scope::Key(Arc::clone(key)));
    let sender = asked.sender.map(|name| Scope::Sender(Arc::clone(name)));
    let all = [Some(Scope::Workspace), key, sender];
    all.into_iter()
        .flatten()
        .filter(|scope| !settings.of(scope).is_none())
        .collect()
}
