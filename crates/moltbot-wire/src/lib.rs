#![doc = include_str!("../README.md")]

mod json;
pub mod openai;
mod peek;
mod splice;
pub mod sse;
mod words;

pub use openai::OPENAI;
