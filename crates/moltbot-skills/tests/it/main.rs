//! Skills in real workers: what scripts find, what they may do, and what ends them.

#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

mod escape;
mod examples;
mod library;
mod limits;
mod scripts;
mod support;
