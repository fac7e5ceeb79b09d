//! Frames between a worker and its starter: four bytes of length, then JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest order: what `fetch` brought, each byte written as an escape at worst.
pub(super) const LARGEST_ORDER: usize = 32 << 20;
/// The largest thing that a worker says.
pub(super) const LARGEST_SAID: usize = 8 << 20;

/// A frame ready to be written.
pub(super) fn encode(value: &impl Serialize, largest: usize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = frame.len() - 4;
    if length > largest {
        return Err(too_large(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(frame)
}

/// Writes one frame, as the worker does.
pub(super) fn write(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(value, LARGEST_SAID)?)?;
    to.flush()
}

/// Reads one frame, as the worker does; `None` at the end.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut body = vec![0; length(head, LARGEST_ORDER)?];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Reads one frame of a worker, which is not trusted.
pub(super) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let mut head = [0; 4];
    from.read_exact(&mut head).await?;
    let length = length(head, LARGEST_SAID)?;
    // Memory grows with what arrives, not with what was announced.
    let mut body = Vec::with_capacity(length.min(64 << 10));
    from.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&body)?)
}

fn length(head: [u8; 4], largest: usize) -> io::Result<usize> {
    match u32::from_be_bytes(head) as usize {
        length if length > largest => Err(too_large(length)),
        length => Ok(length),
    }
}

fn too_large(length: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a frame of {length} bytes is too large"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        write(&mut bytes, &"hello").unwrap();
        write(&mut bytes, &7).unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(read::<String>(&mut from).unwrap().as_deref(), Some("hello"));
        assert_eq!(read::<u8>(&mut from).unwrap(), Some(7));
        assert_eq!(read::<u8>(&mut from).unwrap(), None);
    }

    #[tokio::test]
    async fn a_worker_that_speaks_nonsense_is_refused_and_costs_no_memory() {
        for bytes in [
            &[0xff, 0xff, 0xff, 0xff][..],
            &[0, 0, 0, 2, b'{', b'{'],
            &[0, 0, 0, 9, b'1'],
            &[0, 0],
        ] {
            let mut from = bytes;
            assert!(receive::<u8>(&mut from).await.is_err(), "{bytes:?}");
        }
        let deep = "[".repeat(100_000);
        let mut frame = (deep.len() as u32).to_be_bytes().to_vec();
        frame.extend(deep.bytes());
        assert!(
            receive::<serde_json::Value>(&mut frame.as_slice())
                .await
                .is_err()
        );
    }
}
