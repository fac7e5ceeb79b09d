//! Why a file was not had.

/// Why a file was not had. Each says what to do; none holds a secret or a query of an address.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// The network, the disk or the content failed.
    #[error("{0}")]
    Failed(String),
}

impl FilesError {
    /// The exit code that a command ends with: 2 wrong use, 4 no such thing, 1 everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Missing(_) => 4,
            Self::Failed(_) => 1,
        }
    }
}

/// A failure of the disk, with the path that it is about.
pub(crate) fn disk(path: &std::path::Path) -> impl Fn(std::io::Error) -> FilesError {
    move |error| FilesError::Failed(format!("{}: {error}", path.display()))
}
