//! The schedule, with paused time and a token server that is a script.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::sleep;

use super::grant::Granted;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Gives `t1`, `t2`, … after `delay`, unless it is `down`.
#[derive(Clone, Default)]
struct Server(Arc<Shared>);

#[derive(Default)]
struct Shared {
    asked: AtomicUsize,
    down: Mutex<Option<Fault>>,
    delay: Mutex<Duration>,
    life: Mutex<Option<Duration>>,
    shown: Mutex<Vec<Option<String>>>,
    rotates: bool,
}

impl Server {
    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    fn down(&self, fault: Option<Fault>) {
        *self.0.down.lock().unwrap() = fault;
    }
}

impl Grant for Server {
    async fn ask(&mut self, refresh: Option<&SecretString>) -> Result<Granted, Fault> {
        let shared = &self.0;
        let number = shared.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let shown = refresh.map(|token| token.expose_secret().to_owned());
        shared.shown.lock().unwrap().push(shown);
        let delay = *shared.delay.lock().unwrap();
        sleep(delay).await;
        if let Some(fault) = &*shared.down.lock().unwrap() {
            return Err(fault.clone());
        }
        Ok(Granted {
            access_token: format!("t{number}").into(),
            refresh_token: shared.rotates.then(|| format!("r{number}").into()),
            life: shared.life.lock().unwrap().unwrap_or(HOUR),
            skew: Some(0),
        })
    }
}

struct House {
    server: Server,
    oauth: Arc<OAuth>,
    tasks: TaskTracker,
}

fn settings() -> OAuthSettings {
    OAuthSettings {
        name: "model/m".to_owned(),
        ..OAuthSettings::default()
    }
}

fn start(server: &Server, settings: OAuthSettings, store: Arc<dyn TokenStore>) -> House {
    let tasks = TaskTracker::new();
    let cancel = CancellationToken::new();
    let oauth = OAuth::with(settings, server.clone(), store, &tasks, cancel);
    House {
        server: server.clone(),
        oauth: Arc::new(oauth),
        tasks,
    }
}

fn house(server: &Server) -> House {
    start(server, settings(), Arc::new(MemoryTokens::default()))
}

fn shown(headers: &Headers) -> &str {
    headers[0].1.to_str().unwrap()
}

impl House {
    async fn fetched(&self) -> String {
        shown(&self.oauth.fetch().await.unwrap()).to_owned()
    }

    fn ready(&self) -> Option<String> {
        let headers = self.oauth.ready()?;
        Some(shown(&headers).to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_token_is_fetched_once_for_all_that_wait() {
    let server = Server::default();
    *server.0.delay.lock().unwrap() = Duration::from_secs(3);
    let house = house(&server);
    let waiting = (0..100).map(|_| {
        let oauth = Arc::clone(&house.oauth);
        house
            .tasks
            .spawn(async move { oauth.fetch().await.is_ok() })
    });
    for waiting in waiting.collect::<Vec<_>>() {
        assert!(waiting.await.unwrap());
    }
    assert_eq!(server.asked(), 1);
    assert_eq!(house.ready().as_deref(), Some("Bearer t1"));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_no_longer_than_the_bound() {
    let server = Server::default();
    *server.0.delay.lock().unwrap() = HOUR;
    let house = house(&server);
    let begun = Instant::now();
    let error = house.oauth.fetch().await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(error.decision(), Retry::Elsewhere);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_renewed_at_80_percent_of_their_life_and_none_is_ever_missing() {
    let server = Server::default();
    *server.0.life.lock().unwrap() = Some(Duration::from_secs(100));
    let house = house(&server);
    house.fetched().await;
    let mut seen = HashSet::new();
    let mut last = (house.ready(), Instant::now());
    for _ in 0..10_000 {
        sleep(Duration::from_millis(100)).await;
        let now = house.ready();
        assert!(now.is_some());
        if now != last.0 {
            let age = last.1.elapsed().as_secs_f64();
            assert!((71.8..=88.4).contains(&age), "{age}");
            seen.insert((age * 10.0) as u64);
            last = (now, Instant::now());
        }
    }
    assert!((11..=14).contains(&server.asked()), "{}", server.asked());
    assert!(seen.len() > 2, "no jitter: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn fm_55_a_refusal_that_many_meet_is_one_renewal() {
    let server = Server::default();
    let house = house(&server);
    let old = house.oauth.fetch().await.unwrap();
    *server.0.delay.lock().unwrap() = Duration::from_secs(1);
    let refused = (0..1000).map(|_| {
        let (oauth, old) = (Arc::clone(&house.oauth), old.clone());
        house.tasks.spawn(async move { oauth.refused(&old).await })
    });
    for refused in refused.collect::<Vec<_>>() {
        assert!(refused.await.unwrap());
    }
    assert_eq!(server.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_gives_the_credential_up_and_it_is_tried_again_later() {
    let server = Server::default();
    let house = house(&server);
    let first = house.oauth.fetch().await.unwrap();
    assert!(house.oauth.refused(&first).await);
    let second = house.oauth.ready().unwrap();
    assert!(!house.oauth.refused(&second).await);
    assert_eq!((house.ready(), server.asked()), (None, 2));
    assert!(house.oauth.fetch().await.is_err());
    assert!(house.oauth.problem().unwrap().contains("just given"));
    sleep(Duration::from_secs(75)).await;
    assert_eq!(house.ready().as_deref(), Some("Bearer t3"));
    assert_eq!(house.oauth.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_shortens_no_token_and_is_tried_again_with_growing_waits() {
    let server = Server::default();
    *server.0.life.lock().unwrap() = Some(Duration::from_secs(1000));
    let house = house(&server);
    house.fetched().await;
    server.down(Some(Fault::server("down")));
    sleep(Duration::from_secs(990)).await;
    assert_eq!(house.ready().as_deref(), Some("Bearer t1"));
    assert_eq!(house.oauth.problem(), None);
    let asked = server.asked();
    assert!((6..=14).contains(&asked), "{asked}");
    sleep(Duration::from_secs(20)).await;
    assert_eq!(house.ready(), None);
    assert!(house.oauth.problem().unwrap().contains("down"));
    server.down(None);
    sleep(Duration::from_secs(75)).await;
    assert!(house.oauth.state().borrow().is_good());
}

#[tokio::test(start_paused = true)]
async fn a_dead_credential_fails_at_once_and_asks_the_server_no_more_for_calls() {
    let server = Server::default();
    server.down(Some(Fault::secret("refused")));
    let house = house(&server);
    assert!(house.oauth.fetch().await.is_err());
    let (begun, asked) = (Instant::now(), server.asked());
    for _ in 0..1000 {
        assert!(house.oauth.fetch().await.is_err());
    }
    assert_eq!((begun.elapsed(), server.asked()), (Duration::ZERO, asked));
    sleep(24 * HOUR).await;
    assert!(server.asked() < 400, "{}", server.asked());
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_that_cannot_be_renewed_is_doubted_until_it_is() {
    let server = Server::default();
    let house = house(&server);
    let old = house.oauth.fetch().await.unwrap();
    server.down(Some(Fault::server("down")));
    assert!(!house.oauth.refused(&old).await);
    let asked = server.asked();
    assert!(!house.oauth.refused(&old).await);
    assert_eq!(server.asked(), asked, "its wait is not over");
    assert!(house.oauth.problem().is_some());
    assert!(house.ready().is_some(), "a failed renewal shortens nothing");
    server.down(None);
    sleep(Duration::from_secs(5)).await;
    assert!(house.oauth.state().borrow().is_good());
    assert!(house.oauth.refused(&old).await, "another one is there");
}

#[tokio::test(start_paused = true)]
async fn a_rotated_refresh_token_is_shown_next_also_after_a_restart() {
    let server = Server(Arc::new(Shared {
        rotates: true,
        ..Shared::default()
    }));
    let store: Arc<dyn TokenStore> = Arc::new(MemoryTokens::default());
    let settings = OAuthSettings {
        refresh_token: Some("r0".into()),
        ..settings()
    };
    let first = start(&server, settings.clone(), Arc::clone(&store));
    first.fetched().await;
    sleep(HOUR).await;
    drop(first.oauth);
    first.tasks.close();
    first.tasks.wait().await;
    let second = start(&server, settings, store);
    assert_eq!(second.fetched().await, "Bearer t2", "it lived on");
    sleep(HOUR).await;
    let shown = server.0.shown.lock().unwrap().clone();
    let shown: Vec<_> = shown.iter().flatten().map(String::as_str).collect();
    assert_eq!(shown, ["r0", "r1", "r2"]);
}

#[tokio::test(start_paused = true)]
async fn logging_in_tells_what_came_of_it() {
    let server = Server::default();
    let house = house(&server);
    house.fetched().await;
    house.oauth.log_in().await.unwrap();
    assert_eq!(house.ready().as_deref(), Some("Bearer t2"));
    server.down(Some(Fault::secret("refused")));
    let fault = house.oauth.log_in().await.unwrap_err();
    assert_eq!(fault.cause, crate::credential::Cause::Secret);
    assert!(house.ready().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_its_credential() {
    let house = house(&Server::default());
    house.fetched().await;
    drop(house.oauth);
    house.tasks.close();
    house.tasks.wait().await;
    assert_eq!(house.server.asked(), 1);
}

#[test]
fn settings_are_told_apart_by_all_that_matters_and_not_by_name() {
    let base = settings().fingerprint();
    let named = OAuthSettings {
        name: "other".to_owned(),
        ..settings()
    };
    assert_eq!(named.fingerprint(), base);
    let changed = [
        OAuthSettings {
            client_id: "a".into(),
            ..settings()
        },
        OAuthSettings {
            client_secret: Some("a".into()),
            ..settings()
        },
        OAuthSettings {
            token_url: "a".into(),
            ..settings()
        },
        OAuthSettings {
            scope: Some("a".into()),
            ..settings()
        },
        OAuthSettings {
            refresh_token: Some("a".into()),
            ..settings()
        },
    ];
    let mut prints: HashSet<String> = changed.iter().map(OAuthSettings::fingerprint).collect();
    prints.insert(base);
    assert_eq!(prints.len(), 6);
}
