//! `logs.archive`: where closed days of the log go, with its secrets read.

use secrecy::SecretString;

use crate::config::{Archive, ArchiveForm};
use crate::credential;
use crate::expand::{Failed, References};
use crate::problem::Problems;
use crate::report::problem_at;
use crate::tree::Node;

/// The archive that a form asks for. A missing secret is no mistake of the file; it is noted.
pub(crate) fn build(
    form: Option<&ArchiveForm>,
    tree: &Node,
    references: &References<'_>,
    problems: &mut Problems,
) -> Option<Archive> {
    let form = form?;
    if !form.url.starts_with("s3://") || form.url.len() == "s3://".len() {
        problems.push(problem_at(
            tree,
            &["logs", "archive", "url"],
            "is no address of object storage",
            Some("write `s3://bucket/prefix`".to_owned()),
        ));
    }
    let mut missing = None;
    let mut secret = |key: &str| -> Option<SecretString> {
        let path = ["logs", "archive", key];
        let written = tree.find(&path)?;
        match credential::secret(written, references, |byte| byte.is_ascii_graphic()) {
            Ok(secret) => return Some(secret),
            Err(Failed::Missing(why)) => {
                missing = Some(format!("the {key} of logs.archive is missing: {why}"));
            }
            Err(Failed::Broken(message)) => problems.push(problem_at(tree, &path, message, None)),
        }
        None
    };
    let (access_key, secret_key) = (secret("access_key"), secret("secret_key"));
    Some(Archive {
        url: form.url.clone(),
        after: form.after,
        keep: form.keep,
        endpoint: form.endpoint.clone(),
        region: form.region.clone(),
        access_key,
        secret_key,
        missing,
    })
}
