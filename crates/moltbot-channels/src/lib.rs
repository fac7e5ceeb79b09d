#![doc = include_str!("../README.md")]

pub mod adapter;
mod ask;
pub mod channel;
pub mod client;
mod command;
mod conversation;
mod deliver;
pub mod driver;
mod gate;
mod grow;
mod growth;
pub mod house;
mod lanes;
mod limit;
pub mod message;
mod notice;
pub mod render;
pub mod send;
pub mod settings;
mod trace;
mod turn;
pub mod web;

pub use channel::{Account, Ack, Channel, ChannelError, Host, NotKept, Received, Refused};
pub use command::Command;
pub use driver::{Driver, Parts, Simulation, Status, Stores, tidy};
pub use grow::Progress;
pub use house::{House, Model, Outcome, Way};
pub use message::{Content, Message};
pub use send::{Capabilities, Chunk, Format, Outgoing, Place, SendError, Sent};
pub use settings::{Rate, SessionBy, Settings};
pub use trace::Step;
