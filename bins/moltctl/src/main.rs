//! moltctl
fn main() {}
