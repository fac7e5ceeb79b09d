mod credential;
mod ejection;
mod figures;
mod hold;
mod pause;
mod probe;
mod resort;

use std::time::Duration;

use moltbot_types::reply::{Ending, Hold};
use moltbot_types::{CallError, Kind, Retry};
use tokio::time::{Instant, advance};

use super::*;

fn at(address: &str, credential: Option<&str>) -> HealthKey {
    HealthKey {
        address: address.into(),
        model: "m".into(),
        credential: credential.map(Into::into),
    }
}

fn target() -> Arc<TargetHealth> {
    Health::default().target(&at("http://a", None))
}

fn error(kind: Kind, retry: Retry) -> CallError {
    CallError::new(kind, "it failed").retry(retry)
}

fn hinted(seconds: u64) -> CallError {
    let wait = Duration::from_secs(seconds);
    error(Kind::RateLimited, Retry::After(wait)).retry_after(wait)
}

fn unhinted() -> CallError {
    error(Kind::RateLimited, Retry::After(Duration::from_secs(1)))
}

fn down() -> CallError {
    error(Kind::Unavailable, Retry::Anywhere)
}

fn fails(target: &Arc<TargetHealth>, error: &CallError) {
    target.admit().unwrap().failed(error);
}

/// Fails a call that is judged beside the peers.
fn fails_among(peers: &Peers, target: &Arc<TargetHealth>) {
    target.admit().unwrap().among(peers).failed(&down());
}

fn answers(target: &Arc<TargetHealth>) {
    let mut admission = target.admit().unwrap();
    admission.answered();
    admission.end(&Ending::Complete, None);
}

fn breaks_off(target: &Arc<TargetHealth>) {
    let mut admission = target.admit().unwrap();
    admission.answered();
    let ending = Ending::Cut {
        kind: Kind::Cut,
        message: "reset".into(),
    };
    admission.end(&ending, None);
}

fn eject(target: &Arc<TargetHealth>) {
    while is_up(target) {
        fails(target, &down());
    }
}

fn is_up(target: &TargetHealth) -> bool {
    matches!(target.standing(Instant::now()), Standing::Up { .. })
}

fn refusal(target: &TargetHealth) -> Option<Refusal> {
    match target.standing(Instant::now()) {
        Standing::Resting(refusal) => Some(refusal),
        _ => None,
    }
}

/// Seconds until it opens.
fn rest(target: &TargetHealth) -> f64 {
    let opens = refusal(target).map(|refusal| refusal.opens);
    opens.map_or(0.0, |opens| (opens - Instant::now()).as_secs_f64())
}

async fn pass(seconds: f64) {
    advance(Duration::from_secs_f64(seconds)).await;
}

/// Ends a rest of the n-th ejection.
async fn rested(target: &TargetHealth) {
    pass(rest(target) + 0.001).await;
    assert_eq!(target.standing(Instant::now()), Standing::Due);
}

fn assert_about(seconds: f64, expected: f64) {
    assert!(
        (expected * 0.8..=expected * 1.2).contains(&seconds),
        "{seconds} s"
    );
}
