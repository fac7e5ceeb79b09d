//! The envelope of an event: `{"encrypt": …}`, AES-256-CBC under SHA-256 of the key, and a signature beside it.

use std::time::SystemTime;

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::adapter::age::fresh;
use crate::channel::Refused;

/// Bytes of the initialisation vector, which come first.
const IV: usize = 16;

/// Opens events.
pub(super) struct Envelope {
    key: SecretString,
}

/// The value of `X-Lark-Signature` for a post. It is a plain hash with the key inside, not an HMAC.
pub fn sign(key: &SecretString, timestamp: &str, nonce: &str, body: &[u8]) -> String {
    let parts = [
        timestamp.as_bytes(),
        nonce.as_bytes(),
        key.expose_secret().as_bytes(),
        body,
    ];
    hex::encode(digest::digest(&SHA256, &parts.concat()).as_ref())
}

/// The value of `encrypt` for an event; `None` should the cipher fail.
pub fn encrypt(key: &SecretString, event: &[u8]) -> Option<String> {
    let cipher = UnboundCipherKey::new(&AES_256, hashed(key).as_ref()).ok()?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).ok()?;
    let mut iv = [0; IV];
    aws_lc_rs::rand::fill(&mut iv).ok()?;
    let mut bytes = event.to_vec();
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    cipher.less_safe_encrypt(&mut bytes, context).ok()?;
    Some(STANDARD.encode([&iv[..], &bytes].concat()))
}

impl Envelope {
    pub(super) fn new(key: SecretString) -> Self {
        Self { key }
    }

    /// Checks the signature over the raw bytes first, the age then.
    pub(super) fn verify(&self, request: &Request<Bytes>, now: SystemTime) -> Result<(), Refused> {
        let header = |name| {
            let value = request.headers().get(name);
            value.and_then(|value| value.to_str().ok())
        };
        let signed_with = (
            header("x-lark-request-timestamp"),
            header("x-lark-request-nonce"),
            header("x-lark-signature"),
        );
        let (Some(timestamp), Some(nonce), Some(signature)) = signed_with else {
            let reason = "the post is not signed: X-Lark-Request-Timestamp, X-Lark-Request-Nonce and X-Lark-Signature are needed";
            return Err(Refused::untrusted(reason));
        };
        let own = sign(&self.key, timestamp, nonce, request.body());
        if verify_slices_are_equal(own.as_bytes(), signature.as_bytes()).is_err() {
            return Err(Refused::untrusted("the signature is wrong"));
        }
        fresh(timestamp, now)
    }

    /// Reads what is inside.
    pub(super) fn open(&self, body: &[u8]) -> Result<Value, Refused> {
        let malformed = |_| Refused::malformed("the body is no JSON");
        let outer: Value = serde_json::from_slice(body).map_err(malformed)?;
        let Some(sealed) = outer["encrypt"].as_str() else {
            return Err(Refused::untrusted("the event is not encrypted"));
        };
        let wrong = || Refused::untrusted("the event is not encrypted with this encrypt_key");
        let mut bytes = STANDARD.decode(sealed).map_err(|_| wrong())?;
        let plain = self.decrypt(&mut bytes).ok_or_else(wrong)?;
        serde_json::from_slice(plain).map_err(|_| wrong())
    }

    pub(super) fn decrypt<'b>(&self, bytes: &'b mut [u8]) -> Option<&'b [u8]> {
        let (iv, bytes) = bytes.split_at_mut_checked(IV)?;
        let iv: [u8; IV] = (&*iv).try_into().ok()?;
        let cipher = UnboundCipherKey::new(&AES_256, hashed(&self.key).as_ref()).ok()?;
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).ok()?;
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let plain = cipher.decrypt(bytes, context).ok()?;
        Some(plain)
    }
}

fn hashed(key: &SecretString) -> digest::Digest {
    digest::digest(&SHA256, key.expose_secret().as_bytes())
}
