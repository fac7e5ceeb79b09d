//! The frames of the long connection: one protobuf message, read and written by hand.

/// A frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) seq: u64,
    pub(super) log: u64,
    pub(super) service: u64,
    /// [`CONTROL`] or [`DATA`].
    pub(super) method: u64,
    pub(super) headers: Vec<(String, String)>,
    pub(super) encoding: String,
    pub(super) kind: String,
    pub(super) payload: Vec<u8>,
    pub(super) log_new: String,
}

/// Pings and pongs.
pub(super) const CONTROL: u64 = 0;
/// Events.
pub(super) const DATA: u64 = 1;

impl Frame {
    /// A ping of a connection.
    pub(super) fn ping(service: u64) -> Self {
        Self {
            service,
            method: CONTROL,
            headers: vec![("type".to_owned(), "ping".to_owned())],
            ..Self::default()
        }
    }

    /// A header; empty where it is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Reads a frame; `None` where the bytes are none. Fields that we do not know are passed over.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut frame = Self::default();
        let mut fields = Fields(bytes);
        while !fields.0.is_empty() {
            match fields.next()? {
                (1, Field::Number(number)) => frame.seq = number,
                (2, Field::Number(number)) => frame.log = number,
                (3, Field::Number(number)) => frame.service = number,
                (4, Field::Number(number)) => frame.method = number,
                (5, Field::Bytes(bytes)) => frame.headers.push(header(bytes)?),
                (6, Field::Bytes(bytes)) => frame.encoding = text(bytes)?,
                (7, Field::Bytes(bytes)) => frame.kind = text(bytes)?,
                (8, Field::Bytes(bytes)) => frame.payload = bytes.to_vec(),
                (9, Field::Bytes(bytes)) => frame.log_new = text(bytes)?,
                _ => {}
            }
        }
        Some(frame)
    }

    /// Writes the frame.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.len() + 200);
        let numbers = [self.seq, self.log, self.service, self.method];
        for (tag, number) in (1..).zip(numbers) {
            put_number(&mut bytes, tag << 3);
            put_number(&mut bytes, number);
        }
        for (key, value) in &self.headers {
            let mut header = Vec::new();
            put_bytes(&mut header, 1, key.as_bytes());
            put_bytes(&mut header, 2, value.as_bytes());
            put_bytes(&mut bytes, 5, &header);
        }
        let optional = [
            (6, self.encoding.as_bytes()),
            (7, self.kind.as_bytes()),
            (8, &self.payload),
            (9, self.log_new.as_bytes()),
        ];
        for (tag, field) in optional {
            if !field.is_empty() {
                put_bytes(&mut bytes, tag, field);
            }
        }
        bytes
    }
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field with its tag.
    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((key >> 3, field))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

fn header(bytes: &[u8]) -> Option<(String, String)> {
    let mut header = (String::new(), String::new());
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        match fields.next()? {
            (1, Field::Bytes(key)) => header.0 = text(key)?,
            (2, Field::Bytes(value)) => header.1 = text(value)?,
            _ => {}
        }
    }
    Some(header)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn put_bytes(bytes: &mut Vec<u8>, tag: u64, field: &[u8]) {
    put_number(bytes, tag << 3 | 2);
    put_number(bytes, field.len() as u64);
    bytes.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_written_as_protobuf_has_it() {
        assert_eq!(
            Frame::ping(1).write(),
            b"\x08\x00\x10\x00\x18\x01\x20\x00\x2a\x0c\x0a\x04type\x12\x04ping"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in any::<[u64; 4]>(),
            headers in prop::collection::vec(("[a-z]{0,9}", "\\PC{0,9}"), 0..4),
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let [seq, log, service, method] = numbers;
            let frame = Frame { seq, log, service, method, headers, payload, ..Frame::default() };
            prop_assert_eq!(Frame::read(&frame.write()), Some(frame));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Frame::read(&bytes);
        }
    }
}
