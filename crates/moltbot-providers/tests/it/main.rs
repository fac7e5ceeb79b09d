//! Targets over real sockets of this machine, against an upstream that does as it is told.

mod builtin;
mod failures;
mod requests;
mod streams;
mod support;
mod tls;
mod whole;
