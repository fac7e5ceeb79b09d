//! What is wrong with the files: where, with which key, and what to do.

use std::fmt;

/// One mistake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the home; or the variable of the environment, or `command line`.
    pub file: String,
    /// Line, from 1; 0 where there is none.
    pub line: usize,
    /// Column, from 1; 0 where there is none.
    pub column: usize,
    /// The key, as `config get` takes it; empty where the whole file is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// Whether it tells the same, wherever it stands in its file.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.file, &self.key, &self.message) == (&other.file, &other.key, &other.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Every mistake that was found, in the order of the files; never empty where it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl Problems {
    /// Adds one, unless that key is known to be wrong: one mistake is told once.
    pub(crate) fn push(&mut self, problem: Problem) {
        let same = |known: &Problem| {
            known.file == problem.file && known.line == problem.line && known.key == problem.key
        };
        if problem.key.is_empty() || !self.0.iter().any(same) {
            self.0.push(problem);
        }
    }

    /// Sorts by file and place.
    pub(crate) fn sorted(mut self) -> Self {
        self.0
            .sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        self
    }
}

/// The candidate that looks most like `word`, where one looks like it at all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_file_line_key_and_cure() {
        let problem = Problem {
            file: "config/gateway.yaml".into(),
            line: 12,
            column: 5,
            key: "models.0.fallbak".into(),
            message: "unknown key".into(),
            hint: Some("the nearest is \"fallback\"".into()),
        };
        assert_eq!(
            problem.to_string(),
            "config/gateway.yaml:12:5: models.0.fallbak: unknown key; the nearest is \"fallback\""
        );
    }

    #[test]
    fn the_nearest_word_is_found_and_a_strange_one_is_not() {
        let keys = ["fallback", "fallback_on", "concurrency"];
        assert_eq!(nearest("fallbak", keys), Some("fallback"));
        assert_eq!(nearest("zzz", keys), None);
    }
}
