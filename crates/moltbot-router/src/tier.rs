//! Which targets come first: the own region before others, primaries before standbys, and when load spills over.

mod load;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moltbot_types::record::Level;
use smallvec::SmallVec;
use tokio::time::Instant;

pub use load::{Load, loads};

use crate::health::Standing;
use crate::pick::{Candidate, Pick};

/// Where load could go to another region, a target that came back counts as healthy only after this
/// time, so that load does not swing between regions.
const SETTLED: Duration = Duration::from_secs(60);
/// How long a view of the tiers is good for: looking at a thousand targets on each call costs too much,
/// and a tier that went down meanwhile is passed over anyway.
const FRESH: Duration = Duration::from_millis(100);

/// What a target is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes load.
    #[default]
    Primary,
    /// Takes load when the primaries of its region cannot.
    Standby,
}

/// Where a target stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Its region; `None` is wherever the node runs.
    pub region: Option<Arc<str>>,
    /// What it is for.
    pub role: Role,
}

/// The targets of a model in tiers, first things first.
#[derive(Debug)]
pub struct Tiers {
    tiers: Vec<Tier>,
    /// Whether there is more than one region.
    regions: bool,
    seen: Mutex<Seen>,
}

/// What the tiers looked like a moment ago.
#[derive(Debug, Default)]
struct Seen {
    at: Option<Instant>,
    loads: SmallVec<[Load; 4]>,
    /// A target that waits for its probe.
    due: Option<usize>,
}

#[derive(Debug)]
struct Tier {
    place: Place,
    candidates: Vec<Candidate>,
}

enum Draw {
    Probe(usize),
    Tier(usize),
}

impl Tiers {
    /// Puts targets in order: the primaries of the region `own`, its standbys, then other regions alike,
    /// as they are first mentioned.
    pub fn new(targets: impl IntoIterator<Item = (Place, Candidate)>, own: Option<&str>) -> Self {
        let mut regions: Vec<Option<Arc<str>>> = vec![None];
        let mut tiers: Vec<Tier> = Vec::new();
        for (mut place, candidate) in targets {
            place.region = place.region.filter(|region| Some(&**region) != own);
            if !regions.contains(&place.region) {
                regions.push(place.region.clone());
            }
            match tiers.iter_mut().find(|tier| tier.place == place) {
                Some(tier) => tier.candidates.push(candidate),
                None => tiers.push(Tier {
                    place,
                    candidates: vec![candidate],
                }),
            }
        }
        let rank = |place: &Place| regions.iter().position(|region| *region == place.region);
        tiers.sort_by_key(|tier| (rank(&tier.place), tier.place.role));
        let regions = tiers
            .windows(2)
            .any(|pair| pair[0].place.region != pair[1].place.region);
        Self {
            tiers,
            regions,
            seen: Mutex::default(),
        }
    }

    /// Chooses a target: the tier by load, the target in it by `pick`; where that tier has none left,
    /// the first that has.
    ///
    /// A target whose rest is over is probed wherever it stands, for a tier that gets no load would
    /// never learn that it is well. `None` where no target is left that takes calls now and is not
    /// among `tried`.
    pub fn choose(&self, pick: &dyn Pick, tried: &[usize], now: Instant) -> Option<usize> {
        if let [only] = self.tiers.as_slice() {
            return pick.pick(&only.candidates, tried, now);
        }
        let place = match self.draw(tried, now) {
            Draw::Probe(index) => return Some(index),
            Draw::Tier(place) => place,
        };
        let drawn = self.tiers.get(place).into_iter();
        let others = self
            .tiers
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        drawn
            .chain(others.map(|(_, tier)| tier))
            .find_map(|tier| pick.pick(&tier.candidates, tried, now))
    }

    fn draw(&self, tried: &[usize], now: Instant) -> Draw {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen
            .at
            .is_none_or(|at| now.saturating_duration_since(at) >= FRESH)
        {
            *seen = self.look(now);
        }
        if let Some(due) = seen.due.take_if(|due| !tried.contains(due)) {
            return Draw::Probe(due);
        }
        let mut left = rand::random::<f64>();
        let drawn = seen.loads.iter().position(|load| {
            left -= load.share;
            left < 0.0
        });
        Draw::Tier(drawn.unwrap_or(0))
    }

    fn look(&self, now: Instant) -> Seen {
        let mut due = None;
        let loads = loads(self.tiers.iter().map(|tier| {
            let mut healthy = 0.0;
            for candidate in &tier.candidates {
                match candidate.health.standing(now) {
                    Standing::Up { share } => healthy += self.worth(candidate, share, now),
                    Standing::Due => due = due.or(Some(candidate.index)),
                    Standing::Resting(_) => {}
                }
            }
            (healthy, tier.candidates.len())
        }));
        Seen {
            at: Some(now),
            loads,
            due,
        }
    }

    /// How much of a healthy target one is that takes calls: less while it starts slowly, and nothing
    /// while its region is not to be returned to.
    fn worth(&self, candidate: &Candidate, share: f64, now: Instant) -> f64 {
        let back = candidate.health.back_for(now);
        match back {
            Some(back) if self.regions && back < SETTLED => 0.0,
            _ => share,
        }
    }

    /// All candidates, tier by tier.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> + Clone {
        self.tiers.iter().flat_map(|tier| &tier.candidates)
    }

    /// How far a move between two targets of the model goes, named by their candidates' indexes.
    pub fn level(&self, from: usize, to: usize) -> Level {
        match (self.place(from), self.place(to)) {
            (Some(from), Some(to)) if from.region != to.region => Level::Region,
            (Some(from), Some(to)) if from.role != to.role => Level::Node,
            _ => Level::Instance,
        }
    }

    fn place(&self, index: usize) -> Option<&Place> {
        let has = |tier: &&Tier| {
            tier.candidates
                .iter()
                .any(|candidate| candidate.index == index)
        };
        self.tiers.iter().find(has).map(|tier| &tier.place)
    }
}
