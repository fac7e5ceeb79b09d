//! The way through a chunked body: hyper checks its form and closes on a fault; this only finds its end.

/// Where in the body the next byte stands.
#[derive(Debug)]
pub(super) enum Chunks {
    Size {
        size: u64,
        digits: bool,
    },
    /// Data and the line end behind it.
    Data(u64),
    /// A line of trailers, with so many bytes before its end.
    Trailer(usize),
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Size {
            size: 0,
            digits: true,
        }
    }
}

impl Chunks {
    /// How many bytes belong to the body, and whether it ends with them.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            match self {
                Self::Size { size, digits } => {
                    at += 1;
                    match char::from(byte).to_digit(16) {
                        Some(digit) if *digits => {
                            *size = size.saturating_mul(16).saturating_add(digit.into());
                        }
                        _ if byte == b'\n' && *size == 0 => *self = Self::Trailer(0),
                        _ if byte == b'\n' => *self = Self::Data(size.saturating_add(2)),
                        _ => *digits = false,
                    }
                }
                Self::Data(left) => {
                    let taken =
                        (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    at += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        *self = Self::default();
                    }
                }
                Self::Trailer(length) => {
                    at += 1;
                    match byte {
                        b'\n' if *length == 0 => return (at, true),
                        b'\n' => *length = 0,
                        b'\r' => {}
                        _ => *length += 1,
                    }
                }
            }
        }
        (at, false)
    }
}
