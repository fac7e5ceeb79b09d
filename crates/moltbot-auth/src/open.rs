//! A gateway without keys: for programs on this machine, not for pages in its browser.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName};
use moltbot_types::{CallError, Caller, Kind};

use crate::authenticate::Authenticate;

/// Asks for no key. A foreign page that reaches the gateway through its visitor's browser, by a name of
/// its own that leads to loopback or from its own origin, is refused.
#[derive(Clone, Debug, Default)]
pub struct Open {
    listen: Vec<IpAddr>,
}

impl Open {
    /// For a gateway that listens on these addresses. The caller has made sure that all are loopback.
    pub fn new(listen: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            listen: listen.into_iter().map(|at| at.ip()).collect(),
        }
    }

    /// Whether `authority` (`localhost:18789`, `[::1]`) names this machine.
    fn is_ours(&self, authority: &str) -> bool {
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(host, _)| host),
            None => authority.split(':').next(),
        };
        let Some(host) = host else { return false };
        match host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || self.listen.contains(&ip),
            Err(_) => host
                .strip_suffix('.')
                .unwrap_or(host)
                .eq_ignore_ascii_case("localhost"),
        }
    }

    fn check(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
        authority: fn(&str) -> Option<&str>,
    ) -> Result<(), CallError> {
        let ours = headers.get_all(name).iter().all(|value| {
            let authority = value.to_str().ok().and_then(authority);
            authority.is_some_and(|authority| self.is_ours(authority))
        });
        if ours { Ok(()) } else { Err(foreign(name)) }
    }
}

impl Authenticate for Open {
    fn authenticate(&self, headers: &HeaderMap, _: Option<IpAddr>) -> Result<Caller, CallError> {
        self.check(headers, &HOST, |host| Some(host))?;
        self.check(headers, &ORIGIN, |origin| {
            let (scheme, authority) = origin.split_once("://")?;
            matches!(scheme, "http" | "https").then_some(authority)
        })?;
        Ok(Caller::anonymous())
    }
}

fn foreign(name: &HeaderName) -> CallError {
    let name = if *name == HOST { "Host" } else { "Origin" };
    CallError::new(
        Kind::Forbidden,
        format!(
            "this gateway asks for no key and so serves this machine alone: a foreign {name} header is \
             refused; call it as 127.0.0.1 or localhost, or set `server.auth: keys`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(headers: &[(&'static str, &str)]) -> Result<Caller, CallError> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Open::new(["127.0.0.5:18789".parse().unwrap()]).authenticate(&headers, None)
    }

    #[test]
    fn programs_on_this_machine_are_served() {
        for host in [
            "127.0.0.1:18789",
            "localhost",
            "LocalHost.:1",
            "[::1]:18789",
            "127.0.0.5",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(
                ask(&[("host", host)]).unwrap(),
                Caller::anonymous(),
                "{host}"
            );
            let origin = format!("http://{host}");
            assert!(
                ask(&[("host", host), ("origin", &origin)]).is_ok(),
                "{origin}"
            );
        }
        assert!(ask(&[]).is_ok());
    }

    #[test]
    fn a_name_that_leads_here_from_elsewhere_is_refused() {
        for host in [
            "evil.example:18789",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.example@localhost",
            "10.0.0.1",
            "0.0.0.0",
            "0x7f.1",
            "[::1",
            "",
        ] {
            let error = ask(&[("host", host)]).unwrap_err();
            assert_eq!(error.status(), 403, "{host}");
            assert!(error.message().contains("Host"));
        }
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert!(ask(&twice).is_err());
    }

    #[test]
    fn a_foreign_page_is_refused() {
        for origin in [
            "https://evil.example",
            "null",
            "file://",
            "http://10.0.0.1",
            "localhost",
        ] {
            let error = ask(&[("host", "localhost"), ("origin", origin)]).unwrap_err();
            assert_eq!(error.status(), 403, "{origin}");
            assert!(error.message().contains("Origin"));
        }
    }
}
