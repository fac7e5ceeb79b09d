//! The credential of each model, out of the values of all layers.

use secrecy::SecretString;

use crate::config::{Auth, OAuth};
use crate::expand::{Failed, References, trim};
use crate::home::AUTH;
use crate::preset;
use crate::problem::{Problems, nearest};
use crate::report::problem_at;
use crate::tree::{Node, Value};

/// The credential of the model at `index`; a mistake in it is told, and it is none then. Its entry in `auth.json`
/// begins with `scope`: nothing, or `NAME/` of its workspace.
pub(crate) fn of_model(
    tree: &Node,
    index: usize,
    auth: &Node,
    scope: &str,
    references: &References<'_>,
    problems: &mut Problems,
) -> Auth {
    let Some(model) = tree.find(&["models", &index.to_string()]) else {
        return Auth::None;
    };
    let text = |key: &str| model.find(&["auth", key]).and_then(Node::text);
    let profile = text("profile");
    let entry = profile.or_else(|| model.get("name").and_then(Node::text));
    let entry = format!("{scope}{}", entry.unwrap_or_default());
    let kind = if profile.is_some() {
        "profile"
    } else {
        "model"
    };
    let mut reader = Reader {
        tree,
        index: index.to_string(),
        model,
        auth,
        id: format!("{kind}/{entry}"),
        entry,
        references,
        problems,
    };
    let is_client = text("client_id").is_some() || text("token_url").is_some();
    let oauth = match text("type") {
        Some("oauth") => true,
        None => text("key").is_none() && is_client,
        _ => false,
    };
    let read = match text("type") {
        Some("none") => return Auth::None,
        _ if oauth => reader.oauth(),
        None if text("key").is_none() && profile.is_none() && !leaves_for_a_vendor(model) => {
            return Auth::None;
        }
        _ => reader.key(),
    };
    match read {
        Ok(auth) => auth,
        Err(Gone::Missing(what)) => Auth::Missing {
            id: reader.id,
            what,
            oauth,
        },
        Err(Gone::Told) => Auth::None,
    }
}

/// Why there is no credential.
enum Gone {
    /// A secret is missing; how to give it.
    Missing(String),
    /// Something is wrong, which was told.
    Told,
}

/// Reads the credential of one model.
struct Reader<'a> {
    tree: &'a Node,
    index: String,
    model: &'a Node,
    auth: &'a Node,
    /// Its entry in `auth.json`.
    entry: String,
    id: String,
    references: &'a References<'a>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn key(&mut self) -> Result<Auth, Gone> {
        // what a header can carry
        let key = self.secret("key", |byte| byte.is_ascii_graphic())?;
        let key = key.ok_or_else(|| self.absent("key"))?;
        let id = self.id.clone();
        Ok(Auth::ApiKey { id, key })
    }

    fn oauth(&mut self) -> Result<Auth, Gone> {
        // what a form can carry
        let fits = |byte: u8| !byte.is_ascii_control();
        let client_secret = self.secret("client_secret", fits)?;
        let refresh_token = self.secret("refresh_token", fits)?;
        if self.text("client_id").is_none() && self.text("token_url").is_none() {
            return Err(self.absent("client_id"));
        }
        let (client_id, token_url) = (self.needed("client_id")?, self.needed("token_url")?);
        if client_secret.is_none() && refresh_token.is_none() {
            return Err(self.absent("client_secret"));
        }
        Ok(Auth::OAuth(OAuth {
            id: self.id.clone(),
            client_id,
            client_secret,
            token_url,
            scope: self.text("scope").map(str::to_owned),
            refresh_token,
        }))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.model.find(&["auth", key]).and_then(Node::text)
    }

    fn needed(&mut self, key: &str) -> Result<String, Gone> {
        if let Some(text) = self.text(key) {
            return Ok(text.to_owned());
        }
        let at = format!("models.{}.auth.{key}", self.index);
        if self.problems.0.iter().any(|known| known.key == at) {
            return Err(Gone::Told); // it is there, but wrong
        }
        let hint = format!("give it here, or under \"{}\" in {AUTH}", self.entry);
        self.wrong(
            &["auth"],
            format!("`{key}` of oauth is missing"),
            Some(hint),
        );
        Err(Gone::Told)
    }

    /// The secret under `key`, of bytes that fit; `None` where it is not set.
    fn secret(&mut self, key: &str, fits: fn(u8) -> bool) -> Result<Option<SecretString>, Gone> {
        let Some(written) = self.model.find(&["auth", key]) else {
            return Ok(None);
        };
        match secret(written, self.references, fits) {
            Ok(secret) => Ok(Some(secret)),
            Err(Failed::Missing(why)) => Err(Gone::Missing(format!(
                "the {key} of {} is missing: {why}",
                self.id
            ))),
            Err(Failed::Broken(message)) => {
                self.wrong(&["auth", key], message, None);
                Err(Gone::Told)
            }
        }
    }

    /// `what` stands nowhere.
    fn absent(&self, what: &str) -> Gone {
        let near = match &self.auth.value {
            Value::Map(entries) if !entries.contains_key(&self.entry) => {
                nearest(&self.entry, entries.keys().map(String::as_str))
            }
            _ => None,
        };
        let near = near.map(|near| format!(", whose nearest entry is \"{near}\""));
        Gone::Missing(format!(
            "the {what} of {} is missing: put it under \"{}\" into {AUTH}{}",
            self.id,
            self.entry,
            near.unwrap_or_default()
        ))
    }

    fn wrong(&mut self, keys: &[&str], message: String, hint: Option<String>) {
        let path = [&["models", &self.index], keys].concat();
        let problem = problem_at(self.tree, &path, message, hint);
        self.problems.push(problem);
    }
}

/// Whether calls of `model` leave for a vendor's public address, which always asks for a key.
fn leaves_for_a_vendor(model: &Node) -> bool {
    let provider = model
        .get("provider")
        .and_then(Node::text)
        .unwrap_or("openai");
    model.get("endpoint").is_none()
        && model.get("targets").is_none()
        && model.get("instance").is_none()
        && preset::find(provider).is_some_and(|preset| preset.key)
}

/// The secret that `written` means.
pub(crate) fn secret(
    written: &Node,
    references: &References<'_>,
    fits: fn(u8) -> bool,
) -> Result<SecretString, Failed> {
    let text = written.text().unwrap_or_default();
    let expanded = references.expand(text, &written.origin.file)?;
    let key = trim(&expanded);
    if key.is_empty() {
        return Err(Failed::Missing("it is empty".to_owned()));
    }
    if !key.bytes().all(fits) {
        return Err(Failed::Broken(
            "the secret holds a control character, such as a line break, a blank or a non-ASCII one; it must be \
             one word"
                .to_owned(),
        ));
    }
    Ok(SecretString::from(key))
}
