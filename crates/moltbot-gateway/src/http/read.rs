//! Reading a request's body: whole, unpacked, within its limits of size and time.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::poll;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::BodyExt;
use moltbot_types::{CallError, Kind};

use super::coding::{Coding, Unpacker};

/// A body that has not arrived within this time is refused with 408.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// Reads the whole body. The first look at it is what makes a caller that waits for `100 Continue` send it.
///
/// # Errors
/// `TooLarge` beyond `limit` bytes, packed or unpacked, before more is kept; `Unsupported` for a coding that
/// is not taken; `RequestTimeout`; `Cancelled` where the caller broke off.
pub(crate) async fn whole<B>(body: B, headers: &HeaderMap, limit: u64) -> Result<Bytes, CallError>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let told = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > limit) {
        return Err(too_large("the body", limit));
    }
    let Some(coding) = Coding::of(headers)? else {
        return in_time(collect(body, limit, told)).await;
    };
    in_time(unpack(body, limit, Unpacker::new(coding, limit)?)).await
}

async fn in_time(
    reading: impl Future<Output = Result<Bytes, CallError>>,
) -> Result<Bytes, CallError> {
    let mut reading = pin!(reading);
    // Most bodies arrived with the head: no timer is set for them.
    if let Poll::Ready(done) = poll!(reading.as_mut()) {
        return done;
    }
    tokio::time::timeout(ARRIVES_WITHIN, reading)
        .await
        .unwrap_or_else(|_| {
            Err(CallError::new(
                Kind::RequestTimeout,
                format!(
                    "the body did not arrive within {} s",
                    ARRIVES_WITHIN.as_secs()
                ),
            ))
        })
}

async fn collect<B>(body: B, limit: u64, told: Option<u64>) -> Result<Bytes, CallError>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut body: Pin<&mut B> = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(data) = next(&mut body).await? {
        if (first.len() + rest.len() + data.len()) as u64 > limit {
            return Err(too_large("the body", limit));
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(told.unwrap_or(0).max((first.len() + data.len()) as u64) as usize);
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

async fn unpack<B>(body: B, limit: u64, mut unpacker: Unpacker) -> Result<Bytes, CallError>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut body = pin!(body);
    let mut packed = 0;
    while let Some(data) = next(&mut body).await? {
        packed += data.len() as u64;
        if packed > limit {
            return Err(too_large("the body", limit));
        }
        unpacker.push(&data)?;
        // A small piece may have been much work.
        tokio::task::yield_now().await;
    }
    unpacker.finish()
}

/// The next piece of data.
async fn next<B>(body: &mut Pin<&mut B>) -> Result<Option<Bytes>, CallError>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            CallError::new(Kind::Cancelled, "the caller broke off within the body").because(error)
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

pub(super) fn too_large(what: &str, limit: u64) -> CallError {
    CallError::new(
        Kind::TooLarge,
        format!("{what} is larger than {limit} bytes (server.limits.body)"),
    )
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;

    use super::*;

    fn pieces(pieces: &[&'static str]) -> impl Body<Data = Bytes, Error = Infallible> + use<> {
        let frames: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn pieces_are_joined() {
        let body = whole(pieces(&["ab", "", "cd", "e"]), &HeaderMap::new(), 5).await;
        assert_eq!(body.unwrap(), "abcde");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_told_or_not() {
        let error = whole(pieces(&["abc", "def"]), &HeaderMap::new(), 5).await;
        assert_eq!(error.unwrap_err().status(), 413);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 6.into());
        let error = whole(Full::new(Bytes::new()), &headers, 5).await;
        assert_eq!(error.unwrap_err().status(), 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let error = whole(body, &HeaderMap::new(), 5).await;
        assert_eq!(error.unwrap_err().status(), 408);
    }
}
