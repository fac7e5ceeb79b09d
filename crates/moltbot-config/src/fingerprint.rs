//! Tells equal configurations from others, secrets included, without telling anything about them.

use std::fmt::Debug;

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Config, Model};
use crate::workspace::{Rules, Workspace};

/// A hash over values as `Debug` tells them, which hides secrets, and over the secrets.
struct Fingerprint(digest::Context);

impl Fingerprint {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    fn text(&mut self, text: &[u8]) {
        self.0.update(&text.len().to_le_bytes());
        self.0.update(text);
    }

    fn value(&mut self, value: &impl Debug) {
        self.text(format!("{value:?}").as_bytes());
    }

    fn secrets<'a>(&mut self, secrets: impl IntoIterator<Item = &'a SecretString>) {
        for secret in secrets {
            self.text(secret.expose_secret().as_bytes());
        }
    }

    fn models(&mut self, models: &[Model]) {
        self.value(&models);
        for model in models {
            self.secrets(model.auth.secrets());
        }
    }

    fn end(self) -> String {
        hex::encode(self.0.finish())
    }
}

impl Config {
    /// Equal where the configuration is equal, secrets included. Tells nothing about them.
    pub fn fingerprint(&self) -> String {
        let mut print = Fingerprint::new();
        print.text(self.shared_fingerprint().as_bytes());
        for workspace in &self.workspaces {
            print.text(workspace.fingerprint().as_bytes());
        }
        print.end()
    }

    /// The same for what all workspaces share.
    pub fn shared_fingerprint(&self) -> String {
        let mut print = Fingerprint::new();
        let shared = Self {
            workspaces: Vec::new(),
            ..self.clone()
        };
        print.value(&shared);
        print.models(&self.models);
        for secrets in self.skill_secrets.values() {
            print.secrets(secrets.values());
        }
        print.end()
    }
}

impl Workspace {
    /// Equal where the workspace is equal, secrets included. Tells nothing about them.
    pub fn fingerprint(&self) -> String {
        let mut print = Fingerprint::new();
        print.value(self);
        if let Some(rules) = &self.rules {
            print.text(rules.fingerprint().as_bytes());
        }
        for channel in self.channels.iter().flatten() {
            print.secrets(channel.secrets.values());
        }
        print.end()
    }
}

impl Rules {
    /// The same for what its callers meet alone.
    pub fn fingerprint(&self) -> String {
        let mut print = Fingerprint::new();
        print.value(&self.policy);
        print.models(&self.models);
        print.end()
    }
}
