#![doc = include_str!("../README.md")]

mod canonical;
mod json;
pub mod openai;
mod peek;
mod splice;
pub mod sse;
pub mod texts;
mod words;

pub use openai::OPENAI;
