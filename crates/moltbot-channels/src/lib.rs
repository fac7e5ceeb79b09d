#![doc = include_str!("../README.md")]

pub mod adapter;
pub mod channel;
pub mod client;
pub mod message;
pub mod render;
pub mod send;

pub use channel::{Account, Ack, Channel, ChannelError, Host, NotKept, Received, Refused};
pub use message::{Content, Message};
pub use send::{Capabilities, Chunk, Format, Outgoing, Place, SendError, Sent};
