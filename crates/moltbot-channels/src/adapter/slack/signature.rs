//! Slack's signature: `v0=` and the hex of HMAC-SHA256 over `v0:TIMESTAMP:BODY`.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::Request;
use secrecy::{ExposeSecret, SecretString};

use crate::adapter::age::fresh;
use crate::channel::Refused;

/// The value of `X-Slack-Signature` for a post; `timestamp` is that of `X-Slack-Request-Timestamp`, in seconds.
pub fn sign(secret: &SecretString, timestamp: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&key(secret), &signed(timestamp, body));
    format!("v0={}", hex::encode(tag.as_ref()))
}

/// Checks the signature over the raw bytes first, the age then.
pub(super) fn verify(
    secret: &SecretString,
    request: &Request<Bytes>,
    now: SystemTime,
) -> Result<(), Refused> {
    let header = |name| {
        let value = request.headers().get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let signed_with = (
        header("x-slack-request-timestamp"),
        header("x-slack-signature"),
    );
    let (Some(timestamp), Some(signature)) = signed_with else {
        let reason =
            "the post is not signed: X-Slack-Request-Timestamp and X-Slack-Signature are needed";
        return Err(Refused::untrusted(reason));
    };
    let tag = signature.strip_prefix("v0=").unwrap_or_default();
    let tag = hex::decode(tag).unwrap_or_default();
    let content = signed(timestamp, request.body());
    if hmac::verify(&key(secret), &content, &tag).is_err() {
        return Err(Refused::untrusted("the signature is wrong"));
    }
    fresh(timestamp, now)
}

fn key(secret: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes())
}

fn signed(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [b"v0:", timestamp.as_bytes(), b":", body].concat()
}
