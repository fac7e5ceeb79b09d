//! The channel behind our own page: messages and answers pass through the page's own requests.

use async_trait::async_trait;

use crate::channel::{Account, Channel, ChannelError};
use crate::render::{Platform, render};
use crate::send::{Capabilities, Chunk, Format, Outgoing, SendError, Sent};

/// A web chat.
#[derive(Debug, Default)]
pub struct Web;

#[async_trait]
impl Channel for Web {
    fn kind(&self) -> &'static str {
        "web"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn render(&self, answer: &str, format: Format) -> Vec<Chunk> {
        render(answer, Platform::Text, format)
    }

    fn answers_in_response(&self) -> bool {
        true
    }

    async fn login(&self) -> Result<Account, ChannelError> {
        Ok(Account::default())
    }

    async fn send(&self, _: &Outgoing) -> Result<Sent, SendError> {
        let reason = "a web chat answers on its page alone";
        Err(SendError::Refused(reason.to_owned()))
    }
}
