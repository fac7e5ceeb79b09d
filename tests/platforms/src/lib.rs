#![doc = include_str!("../README.md")]

mod connection;
mod deliver;
mod faults;
mod feishu;
mod html;
mod http;
mod slack;
mod telegram;

pub use faults::Faults;
pub use feishu::{Feishu, FeishuSent};
pub use slack::{Slack, SlackPost};
pub use telegram::{Telegram, TelegramSent};
