//! Mistakes with their place in a tree.

use crate::problem::{Problem, Problems};
use crate::tree::{Node, Origin};

/// A problem at `path` of `tree`, told with the place of the nearest value that is there.
pub(crate) fn problem_at<S: AsRef<str>>(
    tree: &Node,
    path: &[S],
    message: impl Into<String>,
    hint: Option<String>,
) -> Problem {
    let Origin {
        file, line, column, ..
    } = tree.origin_of(path);
    Problem {
        file: file.to_string(),
        line: *line,
        column: *column,
        key: path.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("."),
        message: message.into(),
        hint,
    }
}

/// Where mistakes are told.
pub(crate) struct Report<'a> {
    tree: &'a Node,
    problems: &'a mut Problems,
}

impl<'a> Report<'a> {
    pub(crate) fn new(tree: &'a Node, problems: &'a mut Problems) -> Self {
        Self { tree, problems }
    }

    /// The line where `path` stands.
    pub(crate) fn line(&self, path: &[&str]) -> usize {
        self.tree.origin_of(path).line
    }

    /// Whether any layer sets `path`.
    pub(crate) fn is_set(&self, path: &[&str]) -> bool {
        self.tree.find(path).is_some()
    }

    /// Tells a mistake; an empty hint is none.
    pub(crate) fn say(
        &mut self,
        path: &[&str],
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.problems
            .push(problem_at(self.tree, path, message, hint));
    }
}
