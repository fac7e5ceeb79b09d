//! The HTTP client that all tests ask with.

/// A client that no proxy of the machine stands in the way of, to be finished as a test needs it.
#[expect(clippy::disallowed_methods, reason = "tests know where they ask")]
pub fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy()
}
