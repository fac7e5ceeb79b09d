//! How much the filters find, and how often they are wrong, over the labelled texts in `corpus/`.

use moltbot_filters::{Engine, Name, Settings};
use moltbot_types::filter::{Action, Direction, Filter};

const FINDINGS: &str = include_str!("corpus/findings.txt");
const ORDINARY: &str = include_str!("corpus/ordinary.txt");

fn lines(corpus: &str) -> impl Iterator<Item = String> + '_ {
    let lines = corpus.lines().filter(|line| !line.starts_with("# "));
    lines.map(|line| line.replace("\\n", "\n"))
}

fn filters() -> impl Filter {
    let settings = Settings {
        pii: Some(Action::Mask),
        secrets: Some(Action::Mask),
        ..Settings::default()
    };
    let engine = Engine::new(&settings).expect("these filters can be built");
    engine.chain(&[Name::Pii, Name::Secrets], &[])
}

async fn masked(filter: &impl Filter, text: &str) -> String {
    let masked = filter.text(Direction::Inbound, text).await;
    let masked = masked.expect("nothing is blocked");
    masked.unwrap_or_else(|| text.to_owned())
}

/// The text without its labels, and what shall become of it.
fn unlabelled(line: &str) -> (String, String, Vec<String>) {
    let (mut text, mut wanted, mut kinds) = (String::new(), String::new(), Vec::new());
    for (index, part) in line.split(['⟦', '⟧']).enumerate() {
        match part.split_once('|') {
            Some((kind, value)) if index % 2 == 1 => {
                text.push_str(value);
                wanted.push_str(&format!("[{kind}]"));
                kinds.push(kind.to_owned());
            }
            _ => {
                text.push_str(part);
                wanted.push_str(part);
            }
        }
    }
    (text, wanted, kinds)
}

#[tokio::test]
async fn at_least_95_of_100_are_found_of_every_kind() {
    let filter = filters();
    let mut counts = std::collections::BTreeMap::<String, (u32, u32)>::new();
    for line in lines(FINDINGS) {
        let (text, wanted, kinds) = unlabelled(&line);
        let found = masked(&filter, &text).await;
        for kind in kinds {
            let count = counts.entry(kind).or_default();
            count.0 += u32::from(found == wanted);
            count.1 += 1;
        }
        if found != wanted {
            println!("wanted {wanted}\nfound  {found}");
        }
    }
    println!("found and present: {counts:?}");
    assert_eq!(counts.len(), 7);
    for (kind, (found, present)) in counts {
        assert!(found * 100 >= present * 95, "{kind}: {found} of {present}");
    }
}

#[tokio::test]
async fn at_most_1_of_100_ordinary_texts_is_touched() {
    let filter = filters();
    let (mut wrong, mut all) = (0, 0);
    for line in lines(ORDINARY) {
        let found = masked(&filter, &line).await;
        all += 1;
        if found != line {
            println!("false alarm: {line}\n             {found}");
            wrong += 1;
        }
    }
    println!("{wrong} false alarms in {all} texts");
    assert!(all >= 200 && wrong * 100 <= all, "{wrong} of {all}");
}
