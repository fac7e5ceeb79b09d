//! Host names of targets that have no address: worth a warning when a configuration comes into force,
//! and no reason not to serve, for the name may come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::runtime::Runtime;
use crate::snapshot::Snapshot;

/// How long a name server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks up the names of all targets beside the calls, and warns of those without an address.
pub(crate) fn look_up(snapshot: &Snapshot, rt: &Arc<Runtime>) {
    let mut models = BTreeMap::new();
    let own = snapshot.workspaces().flat_map(|path| path.own().models());
    for model in snapshot.shared().models().iter().chain(own) {
        for target in &model.targets {
            if let Some(host) = host(&target.url) {
                models.entry(host).or_insert_with(|| model.name.clone());
            }
        }
    }
    let stop = rt.stop.clone();
    rt.tasks.spawn(async move {
        let looking = async {
            for (host, model) in models {
                let looked = tokio::net::lookup_host((host.as_str(), 0));
                let found = tokio::time::timeout(PATIENCE, looked).await;
                let reason = match found.map(|found| found.map(|mut found| found.next())) {
                    Ok(Ok(Some(_))) => continue,
                    Ok(Ok(None)) => "it has no address".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "the name server does not answer".to_owned(),
                };
                warn!("the host {host} of model {model} can't be found: {reason}");
            }
        };
        tokio::select! {
            () = looking => {}
            () = stop.cancelled() => {}
        }
    });
}

/// The host of a base URL where it is a name.
fn host(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    (!is_address).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_and_addresses_are_not() {
        assert_eq!(
            host("https://api.example.com:8443/v1").as_deref(),
            Some("api.example.com")
        );
        for address in ["http://127.0.0.1:1/v1", "http://[::1]:1/v1", "no url"] {
            assert_eq!(host(address), None, "{address}");
        }
    }
}
