//! What can go wrong when keys and credentials are set up.

/// Why a key or a credential can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// It has no characters but blanks.
    #[error("the key is empty; set it, or leave the entry out")]
    Empty,
    /// It has a character that no header can carry.
    #[error(
        "the key has a line break, a control character or a non-ASCII one in it; copy it again"
    )]
    Characters,
    /// It can be guessed.
    #[error(
        "the key is shorter than {} characters and can be guessed; let `moltctl` make one",
        crate::key::SHORTEST
    )]
    Short,
    /// It is longer than any key that a caller may show.
    #[error("the key is longer than {} characters", crate::key::LONGEST)]
    Long,
    /// The address of the token server is none.
    #[error("the token_url is no address; write it like https://auth.example.com/token")]
    TokenUrl,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}
