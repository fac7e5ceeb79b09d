//! Feishu.

use moltbot_platforms::{Faults, Feishu};
use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_event_is_answered_as_a_card() {
    let feishu = Feishu::start(Faults::default()).await;
    let home = home(&super::feishu(&feishu, &encrypted()));
    let daemon = running(&home, "feishu");
    feishu.post_events_to(daemon.url("/channels/default/feishu"));
    assert_eq!(
        feishu.verify_address().await,
        json!({ "challenge": "ch4llenge" })
    );
    feishu.say("ou_1", "oc_1-p2p", "**你好** <at user_id=\"all\">");
    feishu.mention("ou_1", "oc_2", "in a group");
    feishu.say("ou_1", "oc_2", "not for the bot");
    until("both are answered", || feishu.sent().len() == 2).await;
    until("all is acknowledged", || feishu.open() == 0).await;
    let sent = feishu.sent();
    let found = |room: &str| {
        sent.iter()
            .find(|sent| sent.receiver == room)
            .expect("answered")
    };
    assert_eq!(
        found("oc_1-p2p").text,
        "**你好** &#60;at user_id=\"all\"&#62;"
    );
    assert_eq!(found("oc_1-p2p").kind, "interactive");
    assert_eq!(found("oc_2").text, "in a group");
    assert_eq!((feishu.refused(), feishu.late()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn feishu_shows_every_answer_once_though_answers_are_lost() {
    let feishu = Feishu::start(Faults {
        lost: 0.3,
        repeated: 0.3,
        reordered: 0.2,
        ..Faults::default()
    })
    .await;
    let home = home(&super::feishu(&feishu, &encrypted()));
    let daemon = running(&home, "feishu");
    feishu.post_events_to(daemon.url("/channels/default/feishu"));
    for number in 0..30 {
        feishu.say(&format!("ou_{number}"), "oc_1-p2p", &format!("m{number}"));
    }
    until("all are answered", || feishu.sent().len() >= 30).await;
    until("all are delivered", || {
        outbox(&home).get("delivered") == Some(&30)
    })
    .await;
    let sent = feishu.sent();
    let times = times(sent.iter().map(|sent| sent.text.as_str()));
    assert_eq!((times.len(), sent.len()), (30, 30));
    assert!(feishu.repeats() > 0, "no answer was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_long_connection_needs_no_key_and_no_address() {
    let feishu = Feishu::start(Faults::default()).await;
    let home = home(&super::feishu(&feishu, "mode = \"socket\""));
    let _daemon = running(&home, "feishu");
    until("it is connected", || feishu.connections() == 1).await;
    feishu.say("ou_1", "oc_1-p2p", "hello");
    until("it is answered", || feishu.sent().len() == 1).await;
    until("it is acknowledged", || feishu.open() == 0).await;
}
