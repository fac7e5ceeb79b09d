use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::load;

const SAMPLE: &str = include_str!("../load/sample.yaml");

struct Bench {
    _dir: TempDir,
    home: Home,
    overrides: Overrides,
}

fn bench(yaml: &str) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    fs::create_dir(home.config_dir()).unwrap();
    fs::write(home.gateway_file(), yaml).unwrap();
    Bench {
        _dir: dir,
        home,
        overrides: Overrides::default(),
    }
}

impl Bench {
    fn editor(&self) -> Editor<'_> {
        Editor::new(&self.home, &self.overrides)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.home.gateway_file()).unwrap()
    }

    fn get(&self, key: &str) -> Option<Json> {
        load(&self.home, &self.overrides)
            .unwrap()
            .get_in_file(key)
            .unwrap()
    }
}

#[test]
fn setting_a_value_changes_its_line_alone() {
    let bench = bench(SAMPLE);
    bench
        .editor()
        .set("model.failover.retry_interval", "6000")
        .unwrap();
    let expected = SAMPLE.replace("retry_interval: 5000 ", "retry_interval: 6000 ");
    assert_eq!(bench.text(), expected);
}

#[test]
fn models_are_edited_by_name_and_by_index() {
    let bench = bench(SAMPLE);
    bench
        .editor()
        .set(
            "models.primary-model.fallback",
            "[secondary-model, long-model]",
        )
        .unwrap();
    bench.editor().set("models.1.kind", "code").unwrap();
    bench
        .editor()
        .set("models.primary-model.targets.east-a.weight", "3")
        .unwrap();
    assert!(
        bench.text().contains(
            "    fallback: [secondary-model, long-model]    # one name or a list, in order"
        )
    );
    assert_eq!(
        bench.get("models.secondary-model.kind"),
        Some("code".into())
    );
    assert_eq!(bench.get("models.0.targets.0.weight"), Some(3.into()));
}

#[test]
fn parents_are_made_even_in_a_file_of_comments() {
    let bench = bench("# only comments\n# and more\n");
    bench
        .editor()
        .set("model.failover.enabled", "true")
        .unwrap();
    bench
        .editor()
        .set("model.failover.retry_interval", "5000")
        .unwrap();
    let expected = "# only comments\n# and more\nmodel:\n  failover:\n    enabled: true\n    retry_interval: 5000\n";
    assert_eq!(bench.text(), expected);
}

#[test]
fn fm_62_a_result_that_is_invalid_is_not_written() {
    let bench = bench(SAMPLE);
    for (key, value) in [
        ("server.workers", "many"),
        ("server.workrs", "1"),
        ("models.primary-model.fallback", "nobody"),
        ("model.failover", "true"),
        ("server.jwt.issuer", "x"),
    ] {
        let error = bench.editor().set(key, value).unwrap_err();
        assert!(matches!(error, EditError::Invalid(_)), "{key}: {error}");
    }
    assert!(matches!(
        bench.editor().set("server.workers.x", "1"),
        Err(EditError::Refused(_))
    ));
    assert!(matches!(
        bench.editor().set("server..x", "1"),
        Err(EditError::Key(_))
    ));
    assert!(matches!(
        bench.editor().set("models.nobody.kind", "chat"),
        Err(EditError::Key(_))
    ));
    assert_eq!(bench.text(), SAMPLE);
    assert!(matches!(
        bench.editor().rollback(),
        Err(EditError::NotThere(_))
    ));
}

#[test]
fn texts_that_look_like_something_else_are_quoted() {
    let bench = bench(SAMPLE);
    for text in [
        "123",
        "true",
        "yes: no # x",
        "null",
        "- a",
        "*x",
        "it's",
        "a\"b",
        "日本",
    ] {
        bench.editor().set("region", text).unwrap();
        assert_eq!(bench.get("region"), Some(text.into()));
    }
}

#[test]
fn references_stay_as_they_are_written() {
    let mut bench = bench(SAMPLE);
    bench.overrides.env.insert("R".into(), "east".into());
    bench.editor().set("region", "${env:R}").unwrap();
    bench.editor().set("server.workers", "2").unwrap();
    assert!(bench.text().contains("${env:R}"));
}

#[test]
fn unset_takes_the_key_out_and_says_when_there_is_none() {
    let bench = bench(SAMPLE);
    bench.editor().unset("region").unwrap();
    bench
        .editor()
        .unset("models.primary-model.timeouts.idle")
        .unwrap();
    bench.editor().unset("models.0.targets.1").unwrap();
    assert_eq!(bench.get("region"), None);
    assert_eq!(bench.get("models.0.targets.1.region"), Some("west".into()));
    assert!(!bench.text().contains("idle:"));
    assert!(matches!(
        bench.editor().unset("region"),
        Err(EditError::NotThere(_))
    ));
}

#[test]
fn the_last_key_of_a_map_can_go() {
    let bench = bench("server:\n  workers: 1 # one\nregion: east\n");
    bench.editor().unset("server.workers").unwrap();
    assert_eq!(
        load(&bench.home, &bench.overrides)
            .unwrap()
            .config
            .server
            .workers,
        0
    );
    bench.editor().set("server.workers", "2").unwrap();
    assert_eq!(bench.get("server.workers"), Some(2.into()));
}

#[test]
fn models_are_added_to_every_form_of_list_and_removed_again() {
    for yaml in [
        "# x\n",
        "models:\n",
        "models: []\n",
        "models: [{name: a, provider: builtin, model: echo}]\n",
        "models:\n  - name: a # the a\n    provider: builtin\n    model: echo\n\nregion: east # r\n",
        "models:\n- name: a\n  provider: builtin\n  model: echo\n",
    ] {
        for fragment in [
            "{\"name\": \"b.1\", \"targets\": [{\"url\": \"http://h/v1\"}], \"params\": {\"stop\": [\"\\n\"]}}",
            "name: b.1\ntargets:\n  - url: http://h/v1\nparams:\n  stop: [\"\\n\"]\n",
        ] {
            let bench = bench(yaml);
            bench
                .editor()
                .add_model(fragment)
                .unwrap_or_else(|error| panic!("{yaml}: {error}"));
            assert_eq!(
                bench.get("models.b.1.targets.0.url"),
                Some("http://h/v1".into()),
                "{yaml}"
            );
            assert!(matches!(
                bench.editor().add_model(fragment),
                Err(EditError::Invalid(_))
            ));
            bench
                .editor()
                .remove_model("b.1")
                .unwrap_or_else(|error| panic!("{yaml}: {error}"));
            assert!(matches!(
                bench.editor().remove_model("b.1"),
                Err(EditError::NotThere(_))
            ));
            for line in yaml.lines().filter(|line| line.contains('#')) {
                assert!(bench.text().contains(line), "{}", bench.text());
            }
        }
    }
    let bench = bench("# x\n");
    assert!(matches!(
        bench.editor().add_model("- a"),
        Err(EditError::Refused(_))
    ));
}

#[test]
fn a_model_that_others_name_is_not_removed() {
    let bench = bench(SAMPLE);
    let error = bench.editor().remove_model("secondary-model").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no model \"secondary-model\""),
        "{error}"
    );
}

#[test]
fn a_switch_is_set_and_unset() {
    let bench = bench(SAMPLE);
    bench
        .editor()
        .set("models.primary-model.switch_to", "long-model")
        .unwrap();
    let config = load(&bench.home, &bench.overrides).unwrap().config;
    assert_eq!(config.models[0].switch_to.as_deref(), Some("long-model"));
    bench
        .editor()
        .unset("models.primary-model.switch_to")
        .unwrap();
    assert_eq!(bench.text(), SAMPLE);
}

#[test]
fn fm_65_mode_bits_and_links_survive() {
    let bench = bench(SAMPLE);
    let path = bench.home.gateway_file();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let elsewhere = bench.home.root().join("real.yaml");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    bench.editor().set("region", "west").unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(bench.text().contains("region: west"));
}

#[test]
fn ten_versions_are_kept_and_come_back_one_by_one() {
    let bench = bench(SAMPLE);
    for workers in 1..=12 {
        bench
            .editor()
            .set("server.workers", &workers.to_string())
            .unwrap();
    }
    assert_eq!(write::versions(&bench.home).unwrap().len(), 10);
    for workers in (2..=11).rev() {
        bench.editor().rollback().unwrap();
        assert_eq!(bench.get("server.workers"), Some(workers.into()));
    }
    assert!(matches!(
        bench.editor().rollback(),
        Err(EditError::NotThere(_))
    ));
}

#[test]
fn fm_65_a_crash_between_keeping_and_writing_costs_no_step_back() {
    let bench = bench(SAMPLE);
    let lock = write::lock(&bench.home).unwrap();
    write::keep(&bench.home, SAMPLE).unwrap();
    drop(lock);
    bench.editor().set("region", "west").unwrap();
    bench.editor().rollback().unwrap();
    assert_eq!(bench.text(), SAMPLE);
    assert!(matches!(
        bench.editor().rollback(),
        Err(EditError::NotThere(_))
    ));
    assert_eq!(bench.text(), SAMPLE);
}

#[test]
fn a_diff_is_empty_where_nothing_changed() {
    let bench = bench("server:\n  workers: 1\n");
    let diff = || bench.editor().diff().unwrap();
    assert_eq!(diff(), "");
    bench.editor().set("server.workers", "1").unwrap();
    assert_eq!(diff(), "");
    bench.editor().set("server.workers", "2").unwrap();
    let changed = diff();
    bench.editor().set("server.workers", "3").unwrap();
    bench.editor().rollback().unwrap();
    assert_eq!(diff(), changed);
    bench.editor().rollback().unwrap();
    assert_eq!(diff(), "");
}

#[test]
fn a_diff_tells_what_changed_and_hides_secrets() {
    let bench = bench(
        "models:\n  - name: m\n    endpoint: http://h\n    auth: { type: api_key, key: s3cret }\n",
    );
    bench.editor().set("models.m.auth.key", "n3w").unwrap();
    let diff = bench.editor().diff().unwrap();
    assert!(
        diff.contains("-    auth: { type: api_key, key: (hidden) }"),
        "{diff}"
    );
    assert!(!diff.contains("s3cret") && !diff.contains("n3w"), "{diff}");
}

#[test]
fn a_home_that_is_none_stays_none() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path().join("none"));
    let overrides = Overrides::default();
    let error = Editor::new(&home, &overrides)
        .set("region", "x")
        .unwrap_err();
    assert!(error.to_string().contains("moltctl init"), "{error}");
    assert!(Editor::new(&home, &overrides).rollback().is_err());
    assert!(Editor::new(&home, &overrides).diff().is_err());
    assert!(!home.root().exists());
}

#[test]
fn edits_at_once_come_one_after_another() {
    let bench = bench(SAMPLE);
    std::thread::scope(|scope| {
        for index in 0..3 {
            let bench = &bench;
            scope.spawn(move || {
                let key = format!("models.{index}.params.seed");
                bench.editor().set(&key, &index.to_string()).unwrap();
            });
        }
    });
    for index in 0..3 {
        assert_eq!(
            bench.get(&format!("models.{index}.params.seed")),
            Some(index.into())
        );
    }
}

#[test]
fn windows_line_ends_stay() {
    let bench = bench("# a\r\nserver:\r\n  workers: 1\r\n");
    bench.editor().set("server.auth", "keys").unwrap();
    assert_eq!(
        bench.text(),
        "# a\r\nserver:\r\n  workers: 1\r\n  auth: keys\r\n"
    );
}

/// Keys with values that are valid in the sample.
fn edits() -> impl Strategy<Value = (&'static str, String)> {
    let number = (1..50u32).prop_map(|n| n.to_string());
    let time =
        (1..50u32, prop_oneof!["ms", "s", "m", "h"]).prop_map(|(n, unit)| format!("{n}{unit}"));
    prop_oneof![
        (
            prop_oneof![
                Just("server.workers"),
                Just("server.limits.connections"),
                Just("model.failover.max_attempts"),
                Just("models.primary-model.concurrency"),
                Just("models.1.concurrency"),
                Just("models.long-model.params.max_tokens"),
                Just("models.0.targets.2.weight")
            ],
            number
        ),
        (
            prop_oneof![
                Just("server.limits.header_timeout"),
                Just("models.primary-model.timeouts.total"),
                Just("models.secondary-model.timeouts.idle"),
                Just("logs.keep"),
                Just("model.defaults.embedding.timeout")
            ],
            time
        ),
        (
            prop_oneof![
                Just("region"),
                Just("models.primary-model.model"),
                Just("models.0.targets.1.zone"),
                Just("models.secondary-model.params.user")
            ],
            "[a-z#:'\"{ ,]{1,8}[a-z]".prop_map(String::from)
        ),
        (
            prop_oneof![
                Just("model.failover.enabled"),
                Just("logs.content"),
                Just("model.retry.honor_retry_after")
            ],
            any::<bool>().prop_map(|b| b.to_string())
        ),
    ]
}

/// Lines of `before` that are not in `after`, and the other way round.
fn changed(before: &str, after: &str) -> (usize, usize) {
    let diff = similar::TextDiff::from_lines(before, after);
    let count = |tag| {
        diff.iter_all_changes()
            .filter(|change| change.tag() == tag)
            .count()
    };
    (
        count(similar::ChangeTag::Delete),
        count(similar::ChangeTag::Insert),
    )
}

/// Pieces of which small files are made: comments, blank lines, flows, quotes, sections in any order.
fn files() -> impl Strategy<Value = String> {
    let pieces = [
        "# a comment\n",
        "\n",
        "  # an indented one\n",
        "---\n",
        "server: { workers: 1 } # s\n",
        "server:\n  workers: 1 # one\n\n  # more\n  auth: 'keys'\n",
        "region: \"east\"\n",
        "region: >\n  east\n",
        "model:\n    failover: {enabled: true}\n    retry:\n        initial: 5\n",
        "models:\n- {name: a, provider: builtin, model: echo}\n- name: b\n  provider: builtin\n  model: echo\n",
        "models: [{name: a, provider: builtin, model: echo},\n  {name: b, provider: builtin, model: script, params: {text: 'x'}}]\n",
        "logs:\n",
        "logs: {}\n",
        "logs: {\n  level: info, # why\n  keep: 7d }\n",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..7)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_edit_of_any_file_does_what_it_says_or_nothing(
        yaml in files(),
        key in prop::sample::select(vec!["server.workers", "server.limits.connections", "model.failover.max_attempts", "models.a.concurrency", "models.b.params.max_tokens"]),
        value in 1..9u32,
    ) {
        let bench = bench(&yaml);
        let before = load(&bench.home, &bench.overrides).ok().map(|loaded| loaded.get_in_file(key).unwrap_or(None));
        match bench.editor().set(key, &value.to_string()) {
            Ok(()) => {
                prop_assert_eq!(bench.get(key), Some(value.into()));
                for comment in ["# a comment", "# s", "# one", "# more", "# why"] {
                    prop_assert_eq!(yaml.matches(comment).count(), bench.text().matches(comment).count(), "{}", bench.text());
                }
                bench.editor().unset(key).unwrap();
                prop_assert_eq!(bench.get(key), None);
                if before == Some(None) {
                    let (gone, _) = changed(&yaml, &bench.text());
                    prop_assert!(gone <= 1, "{yaml}\n{}", bench.text());
                }
            }
            Err(_) => prop_assert_eq!(bench.text(), yaml),
        }
    }

    #[test]
    fn an_edit_of_a_valid_file_succeeds(yaml in files(), value in 1..9u32) {
        let bench = bench(&yaml);
        prop_assume!(load(&bench.home, &bench.overrides).is_ok());
        for key in ["server.workers", "server.limits.connections", "model.failover.max_attempts", "logs.keep"] {
            let set = bench.editor().set(key, &value.to_string());
            prop_assert!(set.is_ok(), "{key}: {:?}\n{}", set, bench.text());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_other_line_stays(steps in prop::collection::vec((edits(), any::<bool>()), 1..5)) {
        let bench = bench(SAMPLE);
        for ((key, value), unset) in steps {
            let before = bench.text();
            // a text that reads as a list or map is refused, and then nothing may change
            let written = bench.editor().set(key, &value).is_ok();
            let after = bench.text();
            let (gone, new) = changed(&before, &after);
            prop_assert!(gone <= 1 && new <= 3, "{key}={value}\n{after}");
            prop_assert!(written || before == after);
            if unset && written {
                bench.editor().unset(key).unwrap();
                let (gone, new) = changed(&after, &bench.text());
                prop_assert!(gone <= 3 && new <= 1, "{key}\n{}", bench.text());
                prop_assert_eq!(bench.get(key), None);
            }
        }
    }
}

#[test]
fn a_credential_is_written_privately_and_the_rest_of_the_file_stays() {
    let bench = bench("models: [{name: m, endpoint: 'http://h', auth: {type: api_key}}]\n");
    let path = bench.home.auth_file();
    let text = || fs::read_to_string(&path).unwrap();
    let key = |value| [("type", "api_key"), ("key", value)];
    bench.editor().set_credential("m", &key("k1")).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::write(
        &path,
        "{\"z\": {\"key\": \"1\"}, \"m\": {\"key\": \"2\", \"type\": \"api_key\"}, \"a\": {}}",
    )
    .unwrap();
    bench.editor().set_credential("m", &key("k2")).unwrap();
    let entries: Vec<String> = serde_json::from_str::<serde_json::Map<String, Json>>(&text())
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(entries, ["z", "m", "a"]);
    assert!(text().contains("k2"));
    let client = [
        ("type", "oauth"),
        ("client_id", "c"),
        ("client_secret", "s"),
        ("token_url", "http://t"),
    ];
    bench.editor().set_credential("m", &client).unwrap();
    assert!(!text().contains("k2"), "a key is no part of oauth");
    bench.editor().remove_credential("m").unwrap();
    let error = bench.editor().remove_credential("m").unwrap_err();
    assert!(matches!(error, EditError::NotThere(_)), "{error}");
}

#[test]
fn a_credential_that_would_be_invalid_is_not_written() {
    let bench = bench("models: [{name: m, endpoint: 'http://h'}]\n");
    let keys = [("type", "oauth"), ("token_url", "no url")];
    let error = bench.editor().set_credential("m", &keys).unwrap_err();
    assert!(error.to_string().contains("models/auth.json"), "{error}");
    assert!(!bench.home.auth_file().exists());
}
