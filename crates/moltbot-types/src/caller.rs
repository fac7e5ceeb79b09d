//! Who is calling.

use std::sync::Arc;

use crate::id::Workspace;

/// What a caller may do in its workspace; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads models, usage and status.
    Viewer,
    /// Also calls models.
    User,
    /// Also runs channels, skills, tests and the outbox.
    Operator,
    /// Also changes policy, keys and files of the workspace.
    Admin,
}

impl Role {
    /// All of them, from the least.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::User, Self::Operator, Self::Admin];

    /// Its word in files and lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// The caller of a request, as authentication found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Scope of everything that the call touches.
    pub workspace: Workspace,
    /// The id (never the secret) of the key that was shown; `None` where none was asked for.
    pub key: Option<Arc<str>>,
    /// The name that the key's owner gave it; policies call it by that.
    pub name: Option<Arc<str>>,
    /// What the caller may do.
    pub role: Role,
    /// The models that its key may use, `*` for any text; `None` is all that the policy allows.
    pub models: Option<Arc<[String]>>,
}

impl Caller {
    /// A caller of the default workspace that needed no key.
    pub fn anonymous() -> Self {
        Self {
            workspace: Workspace::default(),
            key: None,
            name: None,
            role: Role::User,
            models: None,
        }
    }

    /// Whether its key may use a model of that name; the policy of its workspace is asked besides.
    pub fn may_use(&self, model: &str) -> bool {
        let models = self.models.as_deref();
        models.is_none_or(|models| models.iter().any(|pattern| matches(pattern, model)))
    }
}

/// Whether `pattern` means `text`; `*` stands for any text, and nothing else has a meaning.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place that fits leaves most to what follows.
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_uses_the_models_that_its_patterns_mean() {
        let caller = |models: &[&str]| Caller {
            models: Some(models.iter().map(|text| (*text).to_owned()).collect()),
            ..Caller::anonymous()
        };
        for (pattern, good, bad) in [
            ("m", "m", "mm"),
            ("local-*", "local-", "local"),
            ("*-mini", "gpt-4o-mini", "gpt-4o-mini-2"),
            ("a*b*c", "aXbXbXc", "aXbX"),
            ("a*a", "aa", "a"),
            ("a**b", "ab", "ba"),
            ("模*", "模型", "型"),
        ] {
            assert!(caller(&[pattern]).may_use(good), "{pattern} {good}");
            assert!(!caller(&[pattern]).may_use(bad), "{pattern} {bad}");
        }
        assert!(caller(&["x", "*"]).may_use("anything"));
        assert!(!caller(&[]).may_use("anything"));
        assert!(Caller::anonymous().may_use("anything"));
    }

    #[test]
    fn roles_rise_and_have_words() {
        assert!(Role::ALL.is_sorted());
        assert!(
            Role::ALL
                .iter()
                .all(|role| Role::of(role.word()) == Some(*role))
        );
        assert_eq!(Role::of("root"), None);
    }
}
