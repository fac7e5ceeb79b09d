//! A daemon that is killed again and again loses no acknowledged message and doubles no answer.
//!
//! `CHATS_MESSAGES` and `CHATS_KILLS` make it longer: see `docs/evidence/chats.md`.

use moltbot_platforms::{Faults, Slack, Telegram};
use rustix::process::Signal;

use super::*;

/// How many messages are sent to how many daemons in turn.
struct Size {
    messages: u64,
    kills: u64,
}

impl Size {
    fn wanted() -> Self {
        let number = |name: &str, short| {
            let number = std::env::var(name).ok();
            number
                .and_then(|number| number.parse().ok())
                .unwrap_or(short)
        };
        Self {
            messages: number("CHATS_MESSAGES", 60),
            kills: number("CHATS_KILLS", 4),
        }
    }

    /// The messages before the next kill.
    fn rounds(&self) -> impl Iterator<Item = std::ops::Range<u64>> {
        let each = self.messages.div_ceil(self.kills);
        let all = self.messages;
        (0..self.kills).map(move |round| (round * each)..((round + 1) * each).min(all))
    }
}

/// Kills the daemon, at another moment each time, and starts another.
async fn kill(home: &Home, daemon: Daemon, number: u64) -> Daemon {
    tokio::time::sleep(Duration::from_millis(150 + 137 * number % 900)).await;
    daemon.signal(Signal::KILL);
    drop(daemon);
    home.start()
}

/// Waits until every message has a sending, and every sending its end; gives how many are unknown.
async fn ended(home: &Home, size: &Size) -> usize {
    for _ in 0..6000 {
        let states = outbox(home);
        let open = ["prepared", "sending"].map(|state| states.get(state).copied().unwrap_or(0));
        let all: usize = states.values().sum();
        if open == [0, 0] && all as u64 >= size.messages {
            return states.get("unknown").copied().unwrap_or(0);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("not all was sent: {:?}", outbox(home));
}

/// Every text is there once, but for as many as are unknown; those of a sender are in order.
fn check<'a>(size: &Size, texts: impl Iterator<Item = &'a str> + Clone, unknown: usize) {
    let times = times(texts.clone());
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    let answered = times.len();
    println!(
        "{answered} answered once, {unknown} unknown, of {} messages over {} kills",
        size.messages, size.kills
    );
    assert!(
        (answered + unknown) as u64 >= size.messages,
        "{answered} answered, {unknown} unknown"
    );
    let mut last: HashMap<u64, u64> = HashMap::new();
    for text in texts {
        let number: u64 = text.trim_start_matches('m').parse().expect("a number");
        let before = last.insert(sender(number), number);
        assert!(
            before.is_none_or(|before| before < number),
            "{number} came after {before:?}"
        );
    }
}

/// Who says the message of that number.
fn sender(number: u64) -> u64 {
    number % 20
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_slack_message_and_double_none() {
    let slack = Slack::start(Faults {
        lost: 0.05,
        limited: 0.01,
        slow: 0.2,
        delay: Duration::from_millis(100),
        repeated: 0.3,
        cut: 0.001,
        ..Faults::default()
    })
    .await;
    let size = Size::wanted();
    let home = home(&super::slack(
        &slack,
        &format!("{}\nreply_ttl = \"1h\"", socket_mode()),
    ));
    let mut daemon = running(&home, "slack");
    for (round, numbers) in (0..).zip(size.rounds()) {
        for number in numbers {
            // Each sender has a room of his own with the bot, where order is seen.
            let user = sender(number);
            slack.say(
                &format!("U{user}"),
                &format!("D{user}"),
                &format!("m{number}"),
            );
        }
        until("most are answered", || slack.open() < 10).await;
        daemon = kill(&home, daemon, round).await;
    }
    until("all is acknowledged", || slack.open() == 0).await;
    let unknown = ended(&home, &size).await;
    let posts = slack.posts();
    check(&size, posts.iter().map(|post| post.text.as_str()), unknown);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_telegram_message_and_double_none() {
    let telegram = Telegram::start(Faults {
        limited: 0.01,
        slow: 0.2,
        delay: Duration::from_millis(100),
        ..Faults::default()
    })
    .await;
    let size = Size::wanted();
    let home = home(&super::telegram(&telegram, "reply_ttl = \"1h\""));
    let mut daemon = running(&home, "telegram");
    for (round, numbers) in (0..).zip(size.rounds()) {
        for number in numbers {
            let user = i64::try_from(sender(number)).expect("small") + 1;
            telegram.say(user, user, &format!("m{number}"));
        }
        daemon = kill(&home, daemon, round).await;
    }
    until("all is confirmed", || telegram.open() == 0).await;
    let unknown = ended(&home, &size).await;
    let sent = telegram.sent();
    check(&size, sent.iter().map(|sent| sent.text.as_str()), unknown);
    drop(daemon);
}
