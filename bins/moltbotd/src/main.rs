//! moltbotd
fn main() {}
