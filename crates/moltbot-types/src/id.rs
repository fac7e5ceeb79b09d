//! Names and ids, as types of their own so that one cannot stand in for another.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; whoever reads it from a file or a request has checked it.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// The gateway's name of a model, as configured: `primary-model`.
    ModelName
}
name! {
    /// One place that answers for a model: its configured name, else `model/index`.
    TargetId
}
name! {
    /// The workspace a caller belongs to; `default` where none was made.
    Workspace
}

impl Workspace {
    /// The workspace that always exists.
    pub const DEFAULT: &'static str = "default";
}

impl Default for Workspace {
    fn default() -> Self {
        Self::from(Self::DEFAULT)
    }
}

/// Names one request in the answer's `x-request-id`, in the log and towards people.
///
/// Made of time and randomness (UUID version 7), so ids sort by arrival. Never a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(uuid::Uuid);

impl RequestId {
    /// A new id.
    #[allow(clippy::new_without_default)] // every call gives another id, which `Default` would hide
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// Writes the id's text, `req_` and 32 hexadecimal digits, into `buffer` and returns it.
    pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
        buffer[..4].copy_from_slice(b"req_");
        let mut hex = [0; 32];
        self.0.simple().encode_lower(&mut hex);
        buffer[4..].copy_from_slice(&hex);
        std::str::from_utf8(buffer).unwrap_or("req_")
    }
}

/// A text that is no request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request id is `req_` and 32 hexadecimal digits")]
pub struct NoRequestId;

impl FromStr for RequestId {
    type Err = NoRequestId;

    fn from_str(text: &str) -> Result<Self, NoRequestId> {
        let hex = text.strip_prefix("req_").filter(|hex| hex.len() == 32);
        let id = hex.and_then(|hex| uuid::Uuid::try_parse(hex).ok());
        id.map(Self).ok_or(NoRequestId)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; 36]))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_have_one_form_and_sort_by_arrival() {
        let (a, b) = (RequestId::new(), RequestId::new());
        assert_eq!(a.to_string().len(), 36);
        assert!(a.to_string().starts_with("req_"));
        assert!(a < b);
    }

    #[test]
    fn a_request_id_is_read_as_it_is_written() {
        let id = RequestId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            "",
            "req_",
            "req_12",
            "x",
            &id.to_string()[4..],
            "req_0192f0c4-7c1e-7b4a-9a54-0a1b2c3d",
        ] {
            assert_eq!(wrong.parse::<RequestId>(), Err(NoRequestId), "{wrong}");
        }
    }
}
