//! Targets over real sockets of this machine, against an upstream that does as it is told.

#![allow(clippy::unwrap_used)] // clippy knows the tests, not the helpers beside them

mod builtin;
mod failures;
mod instance;
mod requests;
mod streams;
mod support;
mod tls;
mod whole;
