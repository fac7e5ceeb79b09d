//! Who is let in, and what others hear.

use jiff::SignedDuration;
use moltbot_types::{Role, Workspace};

use super::*;

const HOME: &str = "mb_canary-0123456789";

fn pepper() -> Pepper {
    Pepper::new(&[7; 32])
}

fn keys() -> Keys {
    let keys = Keys::new(pepper());
    keys.set_home(Some(&CallerKey::parse(&HOME.into()).unwrap()));
    keys
}

/// A new key of a workspace, and what is stored of it.
fn made(workspace: &str) -> (String, KeyRecord) {
    let key = CallerKey::generate().unwrap();
    let record = KeyRecord {
        id: key.id().to_string(),
        digest: pepper().digest_of(&key),
        name: "ops".into(),
        workspace: workspace.into(),
        role: Role::Operator,
        models: Some(vec!["local-*".into()]),
        created: Timestamp::now(),
        expires: None,
        last_used: None,
        revoked: None,
        replaced_by: None,
        overlap_until: None,
    };
    (key.expose().to_owned(), record)
}

fn ask(keys: &Keys, headers: &[(&'static str, &str)]) -> Result<Caller, CallError> {
    ask_from(keys, "127.0.0.1", headers)
}

fn ask_from(
    keys: &Keys,
    peer: &str,
    headers: &[(&'static str, &str)],
) -> Result<Caller, CallError> {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    keys.authenticate(&headers, Some(peer.parse().unwrap()))
}

#[test]
fn a_known_key_counts_in_each_of_its_places() {
    for (name, value) in [
        ("authorization", "Bearer mb_canary-0123456789"),
        ("authorization", "bearer  mb_canary-0123456789 "),
        ("x-api-key", HOME),
        ("x-goog-api-key", HOME),
    ] {
        let caller = ask(&keys(), &[(name, value)]).unwrap();
        assert_eq!(caller.workspace, Workspace::default());
        assert!(caller.key.unwrap().starts_with("key_"));
    }
}

#[test]
fn a_caller_is_whom_the_store_says_it_is() {
    let keys = keys();
    let (text, record) = made("finance-team");
    keys.replace(vec![record.clone()]);
    let caller = ask(&keys, &[("x-api-key", &text)]).unwrap();
    assert_eq!(caller.workspace.as_str(), "finance-team");
    assert_eq!(caller.key.as_deref(), Some(&*record.id));
    assert_eq!(
        (caller.name.as_deref(), caller.role),
        (Some("ops"), Role::Operator)
    );
    assert!(caller.may_use("local-a") && !caller.may_use("other"));
}

#[test]
fn the_first_valid_key_counts_and_two_of_different_workspaces_are_refused() {
    let keys = keys();
    let ((a, first), (b, second)) = (made("a"), made("b"));
    keys.replace(vec![first, second]);
    let bearer = format!("Bearer {a}");
    let workspace = |headers: &[_]| ask(&keys, headers).map(|caller| caller.workspace.to_string());
    let unknown = ("authorization", "Bearer sk-placeholder");
    assert_eq!(workspace(&[unknown, ("x-api-key", &b)]).unwrap(), "b");
    assert_eq!(
        workspace(&[("x-api-key", &a), ("x-goog-api-key", &a)]).unwrap(),
        "a"
    );
    let torn = workspace(&[("authorization", &bearer), ("x-api-key", &b)]).unwrap_err();
    assert_eq!(torn.status(), 400);
    assert!(!torn.message().contains(&a) && !torn.message().contains("mb_"));
}

#[test]
fn a_key_that_is_over_says_why_to_whoever_shows_it() {
    let now = Timestamp::now();
    let earlier = Some(now - SignedDuration::from_secs(1));
    let later = Some(now + SignedDuration::from_hours(1));
    for (change, words) in [
        (
            (|record: &mut KeyRecord, at| record.revoked = at) as fn(&mut KeyRecord, _),
            "the API key has been revoked",
        ),
        (|record, at| record.expires = at, "the API key has expired"),
        (
            |record, at| record.overlap_until = at,
            "the API key has been replaced by a newer one",
        ),
    ] {
        let keys = keys();
        let (text, mut record) = made("a");
        change(&mut record, later);
        keys.replace(vec![record.clone()]);
        assert!(ask(&keys, &[("x-api-key", &text)]).is_ok(), "{words}");
        change(&mut record, earlier);
        keys.replace(vec![record]);
        let error = ask(&keys, &[("x-api-key", &text)]).unwrap_err();
        assert_eq!((error.status().as_u16(), error.message()), (401, words));
        // Whoever knows the id alone learns nothing.
        let guess = format!("{}x", &text[..text.len() - 1]);
        let error = ask(&keys, &[("x-api-key", &guess)]).unwrap_err();
        assert_eq!(error.message(), "the API key is not known");
    }
}

#[test]
fn refusals_help_and_reveal_nothing() {
    for (headers, words) in [
        (&[][..], "no API key: send `Authorization: Bearer mb_…`"),
        (
            &[("authorization", "Basic bWI6eA==")],
            "the Authorization header shows no API key: send `Authorization: Bearer mb_…`",
        ),
        (
            &[("authorization", "Bearer ")],
            "the Authorization header shows no API key: send `Authorization: Bearer mb_…`",
        ),
        (
            &[("x-api-key", "mb_canary-012345678")],
            "the API key is not known",
        ),
        (
            &[("x-api-key", "mb_canary-0123456789x")],
            "the API key is not known",
        ),
    ] {
        let error = ask(&keys(), headers).unwrap_err();
        assert_eq!(error.status(), 401);
        assert_eq!(error.message(), words);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[test]
fn without_a_good_key_everyone_is_refused() {
    let keys = Keys::new(pepper());
    assert!(!keys.any_stored());
    assert_eq!(
        ask(&keys, &[("x-api-key", HOME)]).unwrap_err().status(),
        401
    );
    let (_, mut record) = made("a");
    record.revoked = Some(Timestamp::now());
    keys.replace(vec![record.clone()]);
    assert!(!keys.any_stored());
    record.revoked = None;
    keys.replace(vec![record]);
    assert!(keys.any_stored());
}

#[test]
fn an_endless_key_is_not_looked_at() {
    let long = "x".repeat(LONGEST + 1);
    let error = ask(&keys(), &[("x-api-key", &long)]).unwrap_err();
    assert_eq!(error.status(), 401);
}

#[test]
fn when_a_key_was_last_shown_is_told_once_and_outlives_a_change() {
    let keys = keys();
    let ((text, record), (_, other)) = (made("a"), made("b"));
    keys.replace(vec![record.clone(), other.clone()]);
    assert!(keys.uses().is_empty());
    assert!(ask(&keys, &[("x-api-key", &text)]).is_ok());
    keys.replace(vec![record.clone(), other]);
    let uses = keys.uses();
    assert_eq!(uses.len(), 1);
    assert_eq!((&uses[0].id, uses[0].workspace.as_str()), (&record.id, "a"));
    assert!(keys.uses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_wrong_keys_are_slowed_down_and_a_right_one_is_not() {
    let keys = keys();
    let wrong = [("x-api-key", "mb_wrong-0123456789")];
    let refused = (0..200)
        .map(|_| ask(&keys, &wrong).unwrap_err())
        .find(|error| error.kind() == Kind::RateLimited)
        .unwrap();
    assert!(refused.wait().is_some());
    assert!(ask(&keys, &[("x-api-key", HOME)]).is_ok());
    assert_eq!(ask(&keys, &[]).unwrap_err().status(), 401);
    let both = [("authorization", "Bearer mb_wrong"), wrong[0]];
    assert_eq!(ask(&keys, &both).unwrap_err().status(), 429);
}

#[tokio::test(start_paused = true)]
async fn a_right_key_does_not_hide_guesses_at_another() {
    let keys = keys();
    let guess = [
        ("authorization", "Bearer mb_canary-0123456789"),
        ("x-api-key", "mb_guess-0123456789"),
    ];
    for _ in 0..100 {
        assert!(ask(&keys, &guess).is_ok());
    }
    assert_eq!(ask(&keys, &guess[1..]).unwrap_err().status(), 429);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_counts_once_however_many_keys_it_shows() {
    let keys = keys();
    let wrong = [
        ("authorization", "Bearer mb_a-0123456789abc"),
        ("x-api-key", "mb_b-0123456789abc"),
        ("x-goog-api-key", "mb_c-0123456789abc"),
    ];
    let statuses: Vec<_> = (0..61)
        .map(|_| ask(&keys, &wrong).unwrap_err().status().as_u16())
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 60);
    assert_eq!(statuses.last(), Some(&429));
}

#[tokio::test(start_paused = true)]
async fn guesses_at_one_key_from_many_addresses_are_slowed_down() {
    let keys = keys();
    let (text, record) = made("a");
    keys.replace(vec![record]);
    let guess = format!("{}!", &text[..text.len() - 1]);
    let slowed = (0..100)
        .filter(|n| {
            let error = ask_from(&keys, &format!("10.0.{n}.1"), &[("x-api-key", &guess)]);
            error.unwrap_err().status() == 429
        })
        .count();
    assert_eq!(slowed, 40);
    assert!(ask_from(&keys, "10.1.0.1", &[("x-api-key", &text)]).is_ok());
}
