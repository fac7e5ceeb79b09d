//! Tokens of a call.

use serde::{Deserialize, Serialize};

/// Tokens that a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read: everything of the prompt, cached parts included.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// No upstream told them: they were estimated here.
    pub estimated: bool,
}

impl Usage {
    /// Estimates tokens from bytes of text: a token is about four bytes.
    ///
    /// ```
    /// use moltbot_types::Usage;
    /// assert_eq!(Usage::estimate(400, 9), Usage { input: 100, output: 3, estimated: true });
    /// ```
    pub fn estimate(input_bytes: usize, output_bytes: usize) -> Self {
        Self {
            input: (input_bytes as u64).div_ceil(4),
            output: (output_bytes as u64).div_ceil(4),
            estimated: true,
        }
    }
}
