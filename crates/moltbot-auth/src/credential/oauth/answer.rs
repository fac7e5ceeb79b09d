//! What a token server answers, read with patience: only the token itself must be right.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// How long a token is taken to live where nobody says.
const UNKNOWN_LIFE: Duration = Duration::from_secs(3600);
/// No token is taken to live longer.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// A good answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    access_token: AccessToken,
    #[serde(skip, default = "bearer")]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

/// A number, also as a text or a fraction; anything else is no life at all.
fn seconds<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(d)?;
    let number = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Ok(number
        .filter(|number| *number >= 1.0)
        .map(|number| number as u64))
}

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// How long a token lives: as told, else by the `exp` of a JWT and the server's own clock, else one hour.
pub(super) fn life(told: Option<Duration>, token: &str, server_now: SystemTime) -> Duration {
    let of_jwt = || {
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(exp(token)?))?;
        let left = expires.duration_since(server_now).ok()?;
        (left >= Duration::from_secs(1)).then_some(left)
    };
    told.or_else(of_jwt)
        .unwrap_or(UNKNOWN_LIFE)
        .min(LONGEST_LIFE)
}

fn exp(token: &str) -> Option<u64> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims.get("exp")?.as_f64().map(|exp| exp as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn told(expires_in: &str) -> Option<Duration> {
        let text = format!(r#"{{"access_token":"t","expires_in":{expires_in}}}"#);
        serde_json::from_str::<Answer>(&text).unwrap().expires_in()
    }

    fn jwt(exp: u64) -> String {
        let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#));
        format!("e30.{payload}.sig")
    }

    #[test]
    fn a_life_is_read_as_servers_write_it() {
        assert_eq!(told("3600"), Some(HOUR));
        assert_eq!(told("\"3600\""), Some(HOUR));
        assert_eq!(told("3600.0"), Some(HOUR));
        for none in ["0", "-1", "null", "\"soon\"", "{}"] {
            assert_eq!(told(none), None, "{none}");
        }
    }

    #[test]
    fn a_token_without_a_life_lives_until_its_exp_or_one_hour() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let of = |token: &str| life(None, token, now);
        assert_eq!(of(&jwt(1_000_090)), Duration::from_secs(90));
        assert_eq!(of(&jwt(999_000)), HOUR);
        for opaque in ["opaque", "a.b.c", "..", "a.!.c"] {
            assert_eq!(of(opaque), HOUR, "{opaque}");
        }
        assert_eq!(life(Some(HOUR * 2), &jwt(1_000_090), now), HOUR * 2);
    }

    #[test]
    fn no_life_is_longer_than_clocks_can_count() {
        let of = life(Some(Duration::from_secs(u64::MAX)), "t", UNIX_EPOCH);
        assert_eq!(of, LONGEST_LIFE);
    }
}
