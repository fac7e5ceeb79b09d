//! Names to addresses: bounded in time, one question at a time for each name, and with the last good
//! addresses while the name server fails.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hyper_util::client::legacy::connect::dns::Name;
use tokio::time::{Instant, timeout};
use tower_service::Service;

/// How long a name server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long addresses are good enough while the name server fails.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

type Known = HashMap<Name, (Instant, Vec<SocketAddr>)>;
type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;
/// Questions under way. One that nobody waits for any more still occupies a thread of the system's
/// resolver: whoever comes next waits for the same one, so that a name which hangs never occupies two.
type Asked = HashMap<Name, (Instant, Shared<BoxFuture<'static, Answer>>)>;

/// Asks `system`, and remembers what it said.
#[derive(Clone, Debug)]
pub(super) struct Resolver<S> {
    system: S,
    known: Arc<Mutex<Known>>,
    asked: Arc<Mutex<Asked>>,
}

impl<S> Resolver<S> {
    pub(super) fn new(system: S) -> Self {
        Self {
            system,
            known: Arc::default(),
            asked: Arc::default(),
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
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
        let asking = lock(&self.asked)
            .get(&name)
            .filter(|(since, _)| since.elapsed() < GOOD_FOR)
            .map(|(_, asking)| asking.clone());
        let asking = asking.unwrap_or_else(|| {
            let asking = self.system.call(name.clone());
            let asking = asking
                .map(|answer| answer.map(Vec::from_iter).map_err(Arc::new))
                .boxed()
                .shared();
            lock(&self.asked).insert(name.clone(), (Instant::now(), asking.clone()));
            asking
        });
        let (known, asked) = (Arc::clone(&self.known), Arc::clone(&self.asked));
        Box::pin(async move {
            let answer = match timeout(PATIENCE, asking).await {
                Ok(answer) => {
                    lock(&asked).remove(&name);
                    answer
                }
                Err(_) => Err(Arc::new(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the name server does not answer",
                ))),
            };
            let mut known = lock(&known);
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
                    None => return Err(io::Error::new(error.kind(), error)),
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
    async fn fm_03_the_last_good_addresses_serve_for_five_minutes() {
        let mut resolver = Resolver::new(Once::default());
        assert_eq!(resolver.call(name("api")).await.unwrap().len(), 1);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(resolver.call(name("api")).await.unwrap().len(), 1);
        assert!(resolver.call(name("other")).await.is_err());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(resolver.call(name("api")).await.is_err());
    }

    /// Never answers, and counts who asks.
    #[derive(Default)]
    struct Silent(u32);

    impl Service<Name> for Silent {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = std::future::Pending<Result<Self::Response, io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            self.0 += 1;
            std::future::pending()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fm_03_a_silent_name_server_is_left_after_two_seconds() {
        let begun = Instant::now();
        let mut resolver = Resolver::new(Silent::default());
        let error = resolver.call(name("api")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn fm_03_a_name_that_hangs_is_asked_for_once_and_blocks_no_other() {
        let mut resolver = Resolver::new(Silent::default());
        for _ in 0..3 {
            let calls = [0; 100].map(|_| resolver.call(name("api")));
            for answer in futures_util::future::join_all(calls).await {
                assert!(answer.is_err());
            }
        }
        assert_eq!(resolver.system.0, 1);
        drop(resolver.call(name("other")));
        assert_eq!(resolver.system.0, 2);
    }
}
