#![doc = include_str!("../README.md")]

pub mod health;
pub mod pick;
pub mod tier;
