//! One platform each: what it sends us, read; what we send it, written.

pub mod webhook;
