//! Many workspaces beside each other: nobody gets, sees or names what another one owns.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use moltbot_tests::{Daemon, Home};
use regex::Regex;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::client;

const WORKSPACES: usize = 20;
/// Calls of the short form; `MOLTBOT_ISOLATION_CALLS` sets another number.
const CALLS: usize = 2_000;
const AT_ONCE: usize = 16;

const GATEWAY: &str = "server: { listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\" }
models:
  - { name: shared, provider: builtin, model: echo }
";

/// Its own models: one whose name all others have too, and one that it alone has.
fn models(workspace: &str) -> String {
    let model = |name: &str, more: &str| {
        format!(
            "  - {{ name: {name}, provider: builtin, model: script, params: {{ text: \"of {workspace}.\"{more} }} }}\n"
        )
    };
    let own = model("own", "");
    let alone = model(&format!("only-{workspace}"), "");
    let slow = model("slow", ", pace: 300ms");
    format!("models:\n{own}{alone}{slow}")
}

/// A daemon with those workspaces, and a key for each.
fn start(home: &Home, count: usize) -> (Daemon, Vec<(String, String)>) {
    home.write("config/gateway.yaml", GATEWAY);
    let names: Vec<_> = (0..count).map(|number| format!("w{number:02}")).collect();
    for name in &names {
        home.write(&format!("workspaces/{name}/models.yaml"), &models(name));
    }
    let daemon = home.start();
    let key = |name: &String| {
        let words = ["key", "create", "--workspace", name, "--output", "json"];
        let made = home.ctl(&words).json();
        (name.clone(), made["key"].as_str().unwrap().to_owned())
    };
    (daemon, names.iter().map(key).collect())
}

/// What a caller of one workspace asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Own,
    Shared,
    OfAnother,
    List,
    OneOfAnother,
}

struct Callers<'a> {
    daemon: &'a Daemon,
    client: Client,
    keys: &'a [(String, String)],
}

impl Callers<'_> {
    /// The answer to one wish: its status and its text.
    async fn asks(&self, who: usize, wish: Wish, other: usize) -> (u16, String) {
        let other = format!("only-{}", self.keys[other].0);
        let model = match wish {
            Wish::Own => "own",
            Wish::Shared => "shared",
            _ => &other,
        };
        let request = match wish {
            Wish::List => self.client.get(self.daemon.url("/v1/models")),
            Wish::OneOfAnother => {
                let path = self.daemon.url(&format!("/v1/models/{other}"));
                self.client.get(path)
            }
            _ => {
                let body =
                    json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
                let path = self.daemon.url("/v1/chat/completions");
                self.client.post(path).json(&body)
            }
        };
        let answer = request.bearer_auth(&self.keys[who].1).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap())
    }

    /// Fails where the answer holds anything of another workspace, or nothing of what was asked for.
    async fn check(&self, who: usize, wish: Wish, other: usize) {
        let (status, text) = self.asks(who, wish, other).await;
        let (own, foreign) = (&self.keys[who].0, &self.keys[other].0);
        let said = format!("{own}: {status} {text}");
        match wish {
            Wish::Own => assert!(
                status == 200 && text.contains(&format!("of {own}.")),
                "{said}"
            ),
            Wish::Shared => assert_eq!(status, 200, "{said}"),
            Wish::List => assert!(
                status == 200 && text.contains(&format!("only-{own}")),
                "{said}"
            ),
            Wish::OfAnother | Wish::OneOfAnother => assert_eq!(status, 404, "{said}"),
        }
        // the name that was asked for is the caller's own word
        let asked = format!("only-{foreign}");
        let told = match wish {
            Wish::OfAnother | Wish::OneOfAnother => text.replace(&asked, ""),
            _ => text,
        };
        for (name, _) in self.keys {
            let marks = [format!("of {name}."), format!("only-{name}")];
            let leaks = name != own && marks.iter().any(|mark| told.contains(mark));
            assert!(!leaks, "{own} sees {name}: {told}");
        }
    }
}

/// The wishes of a run, the same at each: who asks for what, and whose it is.
fn wishes(calls: usize, count: usize) -> impl Iterator<Item = (usize, Wish, usize)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut any = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    (0..calls).map(move |_| {
        let (who, step) = (any(count), 1 + any(count - 1));
        let wish = [
            Wish::Own,
            Wish::Own,
            Wish::Own,
            Wish::Shared,
            Wish::OfAnother,
            Wish::OfAnother,
            Wish::OneOfAnother,
            Wish::List,
        ][any(8)];
        (who, wish, (who + step) % count)
    })
}

fn calls() -> usize {
    let set = std::env::var("MOLTBOT_ISOLATION_CALLS").ok();
    set.map_or(CALLS, |text| text.parse().expect("a number"))
}

#[tokio::test]
async fn nothing_of_twenty_workspaces_leaks_while_one_breaks_and_another_reloads() {
    let home = Home::empty();
    let (mut daemon, keys) = start(&home, WORKSPACES);
    let callers = Callers {
        daemon: &daemon,
        client: client(),
        keys: &keys,
    };
    let calls = calls();
    let mut counted = BTreeMap::<(usize, Wish), u64>::new();
    let wishes: Vec<_> = wishes(calls, WORKSPACES).collect();
    for (who, wish, _) in &wishes {
        *counted.entry((*who, *wish)).or_default() += 1;
    }
    let checks = stream::iter(wishes.into_iter().enumerate());
    let checks = checks.map(|(number, (who, wish, other))| {
        // w00 is broken and mended, w01 changes; nobody else may feel it, nor may they
        if number % 200 == 50 {
            home.write("workspaces/w00/policy.yaml", "models: [nobody]\n");
            home.write("workspaces/w01/policy.yaml", "models: [shared]\n");
        } else if number % 200 == 150 {
            home.write("workspaces/w00/policy.yaml", "# all\n");
            home.write("workspaces/w01/policy.yaml", "# all\n");
        }
        callers.check(who, wish, other)
    });
    checks.buffer_unordered(AT_ONCE).collect::<()>().await;

    let metrics = client().get(daemon.admin_url("/metrics")).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    for (who, (name, _)) in keys.iter().enumerate() {
        let own = counted.get(&(who, Wish::Own)).copied().unwrap_or(0);
        let series = format!(
            "moltbot_requests_total{{workspace=\"{name}\",model=\"own\",status=\"200\"}} {own}"
        );
        assert!(metrics.contains(&series), "{series}");
        // what others asked for in vain is no label
        let foreign = format!("model=\"only-{name}\",status=\"404\"");
        assert!(!metrics.contains(&foreign), "{foreign}");
    }
    let lines = daemon.wait_for(|daemon| {
        let lines = daemon.log();
        let calls = lines.iter().filter(|line| line["served"] == "own").count();
        let own = (0..WORKSPACES).filter_map(|who| counted.get(&(who, Wish::Own)));
        (calls as u64 >= own.sum()).then_some(lines)
    });
    for line in lines.iter().filter(|line| line["status"] == 200) {
        let (workspace, served) = (&line["workspace"], &line["served"]);
        let of_another = |name: &str| served == &format!("only-{name}") && workspace != name;
        assert!(!keys.iter().any(|(name, _)| of_another(name)), "{line}");
    }
}

#[tokio::test]
async fn a_reload_of_one_workspace_leaves_the_streams_of_others_whole() {
    let home = Home::empty();
    let (mut daemon, keys) = start(&home, 3);
    let body = json!({ "model": "slow", "stream": true, "messages": [{ "role": "user", "content": "Hello" }] });
    let request = client().post(daemon.url("/v1/chat/completions"));
    let request = request.bearer_auth(&keys[2].1).json(&body);
    let streaming = async { request.send().await.unwrap().text().await.unwrap() };
    let changing = async {
        for text in ["models: [shared]\n", "modls: x\n", "# all\n"] {
            home.write("workspaces/w01/policy.yaml", text);
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
        std::fs::remove_dir_all(home.path("workspaces/w00")).unwrap();
    };
    let (streamed, ()) = tokio::join!(streaming, changing);
    assert!(streamed.trim_end().ends_with("data: [DONE]"), "{streamed}");

    // a key of a workspace that is gone opens nothing
    daemon.wait_for(|_| {
        let shown = home.ctl(&["workspace", "list", "--output", "json"]).json();
        (shown.as_array().unwrap().len() == 3).then_some(())
    });
    let gone = client()
        .get(daemon.url("/v1/models"))
        .bearer_auth(&keys[0].1);
    let mut status = 0;
    for _ in 0..60 {
        status = gone
            .try_clone()
            .unwrap()
            .send()
            .await
            .unwrap()
            .status()
            .as_u16();
        if status == 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, 403);
}

/// The table of the admin API, as the program has it.
fn routes() -> Vec<(Method, Vec<String>)> {
    let table = include_str!("../../crates/moltbot-gateway/src/admin/mod.rs");
    let row = Regex::new(r#"\("(GET|POST|PUT|DELETE)", \[([^\]]+)\]\)"#).unwrap();
    let rows = row.captures_iter(table).map(|row| {
        let parts = row[2].split(',').map(|part| part.trim().to_owned());
        (row[1].parse().unwrap(), parts.collect())
    });
    rows.collect()
}

#[tokio::test]
async fn no_admin_route_of_one_workspace_reaches_anything_of_another() {
    let home = Home::empty();
    let (daemon, _) = start(&home, 2);
    let made = ["key", "list", "--workspace", "w01", "--output", "json"];
    let key = home.ctl(&made).json()[0]["id"].as_str().unwrap().to_owned();
    let files = || {
        let names = [
            "config/gateway.yaml",
            "workspaces/w01/models.yaml",
            "models/auth.json",
        ];
        names.map(|name| std::fs::read_to_string(home.path(name)).unwrap_or_default())
    };
    let before = files();
    let token = home.read("run/admin.token");
    let client = client();
    let routes = routes();
    assert!(routes.len() > 25, "{}", routes.len());
    for (method, parts) in routes {
        let whole = parts.join("/").replace('"', "");
        // what belongs to the owner of the home, whatever the workspace
        if ["config", "workspaces", "reload", "log-level"].contains(&&*parts[0].replace('"', "")) {
            continue;
        }
        for foreign in ["only-w01", &*key, "w01"] {
            let path: Vec<_> = parts
                .iter()
                .map(|part| match part.strip_prefix('"') {
                    Some(word) => word.trim_end_matches('"'),
                    None => foreign,
                })
                .collect();
            let url = daemon.admin_url(&format!("/admin/v1/{}?workspace=w00", path.join("/")));
            let body = json!({
                "model": foreign, "to": foreign, "name": "fresh", "secret": "x", "take": "instance", "calls": 1,
            });
            let request = client
                .request(method.clone(), url)
                .bearer_auth(token.trim());
            let answer = request.json(&body).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            let named = parts.iter().any(|part| !part.starts_with('"'));
            if named || whole == "drill" || whole == "auth/check" {
                assert!(
                    status.is_client_error(),
                    "{method} {whole} {foreign}: {status} {text}"
                );
            } else {
                let shown: Value = serde_json::from_str(&text).unwrap_or_default();
                let shown = shown.to_string();
                let leaks =
                    status.is_success() && (shown.contains("only-w01") || shown.contains(&key));
                assert!(!leaks, "{method} {whole}: {text}");
            }
        }
    }
    assert_eq!(files(), before);
}
