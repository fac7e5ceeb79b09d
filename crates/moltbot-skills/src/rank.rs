//! Which skills would run for a text, in which order, and why.

use std::sync::Arc;

use crate::manifest::Manifest;
use crate::trigger::{Hit, Kind};

/// A skill that a text wakes.
#[derive(Clone, Debug)]
pub struct Woken<S> {
    /// The skill.
    pub skill: S,
    /// What its best trigger found.
    pub hit: Hit,
}

/// What can be woken: anything that has a manifest.
pub trait Wakeable {
    /// The manifest.
    fn manifest(&self) -> &Manifest;
}

impl Wakeable for Manifest {
    fn manifest(&self) -> &Manifest {
        self
    }
}

impl<T: Wakeable + ?Sized> Wakeable for Arc<T> {
    fn manifest(&self) -> &Manifest {
        (**self).manifest()
    }
}

impl<T: Wakeable + ?Sized> Wakeable for &T {
    fn manifest(&self) -> &Manifest {
        (**self).manifest()
    }
}

/// The skills that `text` wakes, the one that runs first first: by priority, then by the kind of the best
/// trigger (command, regex, keyword, event), then by name.
///
/// ```
/// use moltbot_skills::{Manifest, woken};
///
/// let skill = |yaml| Manifest::parse(yaml, "skill.yaml").unwrap();
/// let skills = [
///     skill("name: faq\ntriggers: [{ keyword: order }]"),
///     skill("name: order\ntriggers: [{ command: /order }]"),
/// ];
/// let woken = woken(&skills, "/order 7");
/// let names: Vec<_> = woken.iter().map(|woken| woken.skill.name.as_str()).collect();
/// assert_eq!(names, ["order", "faq"]);
/// assert_eq!(woken[0].hit.args.as_deref(), Some("7"));
/// ```
pub fn woken<S: Wakeable>(skills: impl IntoIterator<Item = S>, text: &str) -> Vec<Woken<S>> {
    let mut woken: Vec<_> = skills
        .into_iter()
        .filter_map(|skill| {
            let hit = best(skill.manifest(), text)?;
            Some(Woken { skill, hit })
        })
        .collect();
    let rank =
        |woken: &Woken<S>| -> (f64, Kind) { (-woken.skill.manifest().priority, woken.hit.kind) };
    woken.sort_by(|a, b| {
        let ((a_priority, a_kind), (b_priority, b_kind)) = (rank(a), rank(b));
        a_priority
            .total_cmp(&b_priority)
            .then(a_kind.cmp(&b_kind))
            .then_with(|| a.skill.manifest().name.cmp(&b.skill.manifest().name))
    });
    woken
}

/// The hit of the trigger whose kind ranks best, the first of them in the manifest.
fn best(manifest: &Manifest, text: &str) -> Option<Hit> {
    let mut triggers: Vec<_> = manifest.triggers.iter().collect();
    triggers.sort_by_key(|trigger| trigger.kind());
    triggers.into_iter().find_map(|trigger| trigger.find(text))
}
