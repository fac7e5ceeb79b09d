//! `policy.yaml`: what a workspace may use, who belongs to it, and how much it may take.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rate::{Rate, Spend};
use crate::report::Report;

/// What a workspace may use, who belongs to it, and how much it may take. A fresh one allows all shared models and skills.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "policy.yaml")]
pub struct Policy {
    /// The shared models that it may use; `*` stands for any text. All of them where absent. It may always use its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The shared skills that it may use, written likewise. All of them where absent. It may always use its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skills: Option<Vec<String>>,
    /// Keys that have another role here than their own.
    pub members: Vec<Member>,
    /// What all its callers together may take.
    pub limits: WorkspaceLimits,
    /// The filters that its calls and their answers pass.
    pub filters: WorkspaceFilters,
}

/// The role of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["key"]))]
pub struct Member {
    /// The key's name.
    #[schemars(length(min = 1))]
    pub key: String,
    /// What its callers may do; each role includes those before it.
    pub role: MemberRole,
}

/// What a caller may do in its workspace.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Reads models, usage and status.
    Viewer,
    /// Also calls models.
    #[default]
    User,
    /// Also runs channels, skills, tests and the outbox.
    Operator,
    /// Also changes policy, keys and files of the workspace.
    Admin,
}

/// What all callers of a workspace together may take; no limit where absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceLimits {
    /// Calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Rate>,
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Rate>,
    /// Money, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Spend>,
    /// Calls at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub concurrency: Option<usize>,
    /// What each key may take of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_key: Option<Allowance>,
    /// What each sender may take of it: a channel's sender, or the user that a call names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_sender: Option<Allowance>,
    /// Whether a call over a limit is refused, or only counted.
    pub enforce: bool,
}

/// What one caller of a workspace may take; no limit where absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allowance {
    /// Calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Rate>,
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Rate>,
    /// Money, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Spend>,
    /// Calls at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub concurrency: Option<usize>,
}

impl Default for WorkspaceLimits {
    fn default() -> Self {
        Self {
            requests: None,
            tokens: None,
            cost: None,
            concurrency: None,
            per_key: None,
            per_sender: None,
            enforce: true,
        }
    }
}

/// The filters of a workspace, by the names of `filters` in `gateway.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceFilters {
    /// What a call passes before anything else sees it; all filters where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Vec<FilterName>>,
    /// What an answer passes before the caller sees it; all filters where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Vec<FilterName>>,
}

/// A filter.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FilterName {
    /// Data about persons.
    Pii,
    /// Keys and passwords.
    Secrets,
    /// Lists of words.
    Words,
    /// A service that judges content.
    Safety,
}

impl FilterName {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pii => "pii",
            Self::Secrets => "secrets",
            Self::Words => "words",
            Self::Safety => "safety",
        }
    }
}

impl Policy {
    /// Whether a shared model of that name may be used.
    pub fn allows_model(&self, name: &str) -> bool {
        allows(self.models.as_deref(), name)
    }

    /// Whether a shared skill of that name may be used.
    pub fn allows_skill(&self, name: &str) -> bool {
        allows(self.skills.as_deref(), name)
    }

    /// The role that a key of that name has here; `None` where it keeps its own.
    pub fn role_of(&self, key: &str) -> Option<MemberRole> {
        let member = self.members.iter().find(|member| member.key == key)?;
        Some(member.role)
    }

    /// Reports names that lead nowhere and members that stand twice.
    pub(crate) fn check(
        &self,
        models: &[&str],
        skills: &[&str],
        filters: &[FilterName],
        report: &mut Report<'_>,
    ) {
        self.filters.check(filters, report);
        named("models", "model", self.models.as_deref(), models, report);
        named("skills", "skill", self.skills.as_deref(), skills, report);
        let mut first = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate() {
            if let Some(known) = first.insert(&*member.key, index) {
                let line = report.line(&["members", &known.to_string()]);
                report.say(
                    &["members", &index.to_string(), "key"],
                    format!("the key stands twice, first in line {line}"),
                    "keep one of the two",
                );
            }
        }
    }
}

impl WorkspaceFilters {
    /// Reports filters that `gateway.yaml` does not have: a policy that names one relies on it.
    fn check(&self, known: &[FilterName], report: &mut Report<'_>) {
        for (key, names) in [("inbound", &self.inbound), ("outbound", &self.outbound)] {
            for (index, name) in names.iter().flatten().enumerate() {
                if !known.contains(name) {
                    report.say(
                        &["filters", key, &index.to_string()],
                        format!("gateway.yaml has no filter `{}`", name.word()),
                        format!("add `filters: {{ {}: … }}` there", name.word()),
                    );
                }
            }
        }
    }
}

/// Whether any of `patterns` means `name`; no list means everything.
fn allows(patterns: Option<&[String]>, name: &str) -> bool {
    patterns.is_none_or(|patterns| {
        let means = |pattern: &String| pattern == name || glob(pattern).matches(name);
        patterns.iter().any(means)
    })
}

/// `*` stands for any text; nothing else has a meaning.
fn glob(pattern: &str) -> wildmatch::WildMatchPattern<'*', '\0'> {
    wildmatch::WildMatchPattern::new(pattern)
}

/// Names without a `*` must be those of something that is there.
fn named(
    key: &str,
    thing: &str,
    patterns: Option<&[String]>,
    known: &[&str],
    report: &mut Report<'_>,
) {
    for (index, pattern) in patterns.unwrap_or_default().iter().enumerate() {
        if !pattern.contains('*') && !known.contains(&&**pattern) {
            let hint = crate::names::choose(pattern, known, thing);
            report.say(
                &[key, &index.to_string()],
                format!("there is no {thing} \"{pattern}\""),
                hint,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        let policy = Policy {
            models: Some(vec!["primary".into(), "local-*".into(), "a?c".into()]),
            ..Policy::default()
        };
        for good in ["primary", "local-", "local-x/y", "a?c"] {
            assert!(policy.allows_model(good), "{good}");
        }
        for bad in ["primary2", "xlocal-", "abc", ""] {
            assert!(!policy.allows_model(bad), "{bad}");
        }
    }

    #[test]
    fn a_fresh_policy_allows_everything_and_an_empty_list_nothing() {
        assert!(Policy::default().allows_model("any"));
        let none = Policy {
            models: Some(Vec::new()),
            ..Policy::default()
        };
        assert!(!none.allows_model("any") && none.allows_skill("any"));
    }
}
