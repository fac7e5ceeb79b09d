//! What can go wrong when filters are set up.

/// Why a filter can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A word of a list is too long to be held back in a stream.
    #[error(
        "a word has more than {} bytes; write a shorter part of it",
        crate::words::LONGEST
    )]
    TooLong,
    /// The words need too much memory.
    #[error("the list has too many words to be searched at once; split it")]
    TooMany,
    /// The address of the safety service is none.
    #[error("the endpoint is no address; write it like http://127.0.0.1:9000/check")]
    Endpoint,
    /// No HTTP client could be made.
    #[error("no HTTP client can be made here")]
    Client,
}
