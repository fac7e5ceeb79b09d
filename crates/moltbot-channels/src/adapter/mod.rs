//! One platform each: what it sends us, read; what we send it, written.

mod age;
mod answer;
pub mod feishu;
pub mod slack;
mod socket;
pub mod telegram;
pub mod web;
pub mod webhook;
