//! Asks an outside service whether a text may pass.
//!
//! The service gets `POST {"text": "…", "direction": "inbound"}` and answers `{"blocked": false, "categories": []}` with a status of 2xx.
//! Anything else, or nothing in time, counts as no answer.

use std::time::Duration;

use moltbot_types::filter::{Action, Direction};
use serde_json::{Value, json};

use crate::error::FilterError;
use crate::settings::{OnError, SafetySettings};

/// Most bytes of an answer.
const REPLY: usize = 64 * 1024;
/// Most categories that are told.
const CATEGORIES: usize = 4;

/// The service.
#[derive(Debug)]
pub(crate) struct Safety {
    client: reqwest::Client,
    endpoint: reqwest::Url,
    pub(crate) action: Action,
    pub(crate) on_error: OnError,
    timeout: Duration,
}

/// What the service says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opinion {
    Fine,
    /// It shall not pass, for these reasons.
    Unsafe(Vec<String>),
}

/// Why there is no opinion, in words without addresses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer(pub(crate) &'static str);

impl Safety {
    pub(crate) fn new(settings: &SafetySettings) -> Result<Self, FilterError> {
        let endpoint: reqwest::Url = settings
            .endpoint
            .parse()
            .map_err(|_| FilterError::Endpoint)?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(FilterError::Endpoint);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the service's address is the operator's own, and its client is made here alone"
        )]
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(settings.timeout)
            .build()
            .map_err(|_| FilterError::Client)?;
        Ok(Self {
            client,
            endpoint,
            action: match settings.action {
                Action::Count => Action::Count,
                Action::Mask | Action::Block => Action::Block,
            },
            on_error: settings.on_error,
            timeout: settings.timeout,
        })
    }

    /// Asks about one text.
    pub(crate) async fn ask(&self, direction: Direction, text: &str) -> Result<Opinion, NoAnswer> {
        let asked = async {
            let question = json!({ "text": text, "direction": direction.word() });
            let request = self.client.post(self.endpoint.clone()).json(&question);
            let mut answer = request
                .send()
                .await
                .map_err(|_| NoAnswer("it can't be reached"))?;
            if !answer.status().is_success() {
                return Err(NoAnswer("it answered with a failure"));
            }
            let mut body = Vec::new();
            let broken = |_| NoAnswer("its answer broke off");
            while let Some(piece) = answer.chunk().await.map_err(broken)? {
                if body.len() + piece.len() > REPLY {
                    return Err(NoAnswer("its answer is too long"));
                }
                body.extend_from_slice(&piece);
            }
            opinion(&body).ok_or(NoAnswer("its answer can't be read"))
        };
        tokio::time::timeout(self.timeout, asked)
            .await
            .unwrap_or(Err(NoAnswer("it did not answer in time")))
    }
}

/// Reads `{"blocked", "categories"}`; the words are shown to callers, so they are plain ones.
fn opinion(body: &[u8]) -> Option<Opinion> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    if !answer.get("blocked")?.as_bool()? {
        return Some(Opinion::Fine);
    }
    let plain = |word: &&str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/ .".contains(&byte);
        !word.is_empty() && word.len() <= 40 && word.bytes().all(sign)
    };
    let categories = answer.get("categories").and_then(Value::as_array);
    let words = categories.into_iter().flatten().filter_map(Value::as_str);
    let words = words.filter(plain).take(CATEGORIES).map(str::to_owned);
    Some(Opinion::Unsafe(words.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opinion_is_read_and_its_words_are_plain() {
        let read = |text: &str| opinion(text.as_bytes());
        assert_eq!(read(r#"{"blocked": false}"#), Some(Opinion::Fine));
        let said = read(r#"{"blocked": true, "categories": ["violence", "<b>", 7]}"#);
        assert_eq!(said, Some(Opinion::Unsafe(vec!["violence".to_owned()])));
    }

    #[test]
    fn what_says_nothing_is_no_opinion() {
        for text in ["", "<html>", "[]", "{}", r#"{"blocked": "no"}"#] {
            assert_eq!(opinion(text.as_bytes()), None, "{text}");
        }
    }
}
