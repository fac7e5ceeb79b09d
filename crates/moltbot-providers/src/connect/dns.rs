//! Names to addresses: bounded in time, and with the last good ones while the name server fails.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::time::{Instant, timeout};
use tower_service::Service;

/// How long a name server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long addresses are good enough while the name server fails.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

type Known = HashMap<Name, (Instant, Vec<SocketAddr>)>;

/// Asks `system`, and remembers what it said.
#[derive(Clone, Debug)]
pub(super) struct Resolver<S> {
    system: S,
    known: Arc<Mutex<Known>>,
}

impl<S> Resolver<S> {
    pub(super) fn new(system: S) -> Self {
        Self {
            system,
            known: Arc::default(),
        }
    }
}

impl<S> Service<Name> for Resolver<S>
where
    S: Service<Name, Error = io::Error>,
    S::Response: Iterator<Item = SocketAddr>,
    S::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let asked = self.system.call(name.clone());
        let known = Arc::clone(&self.known);
        Box::pin(async move {
            let answer = match timeout(PATIENCE, asked).await {
                Ok(answer) => answer.map(Vec::from_iter),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the name server does not answer",
                )),
            };
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, (since, _)| since.elapsed() < GOOD_FOR);
            let addresses = match answer {
                Ok(addresses) if addresses.is_empty() => {
                    return Err(io::Error::other("the name has no address"));
                }
                Ok(addresses) => {
                    known.insert(name, (Instant::now(), addresses.clone()));
                    addresses
                }
                Err(error) => match known.get(&name) {
                    Some((_, addresses)) => addresses.clone(),
                    None => return Err(error),
                },
            };
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the first question, and no other.
    #[derive(Clone, Default)]
    struct Once(bool);

    impl Service<Name> for Once {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = std::future::Ready<Result<Self::Response, io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let first = !std::mem::replace(&mut self.0, true);
            std::future::ready(match first {
                true => Ok(vec![([127, 0, 0, 1], 80).into()].into_iter()),
                false => Err(io::Error::other("SERVFAIL")),
            })
        }
    }

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_addresses_serve_for_five_minutes() {
        let mut resolver = Resolver::new(Once::default());
        assert_eq!(resolver.call(name("api")).await.unwrap().len(), 1);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(resolver.call(name("api")).await.unwrap().len(), 1);
        assert!(resolver.call(name("other")).await.is_err());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(resolver.call(name("api")).await.is_err());
    }

    /// Never answers.
    struct Silent;

    impl Service<Name> for Silent {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = std::future::Pending<Result<Self::Response, io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            std::future::pending()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_is_left_after_two_seconds() {
        let begun = Instant::now();
        let error = Resolver::new(Silent).call(name("api")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
    }
}
