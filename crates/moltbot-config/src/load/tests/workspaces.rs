use super::*;

const SHARED: &str = "models: [{name: shared, provider: builtin, model: echo}, {name: other, provider: builtin, model: echo}]\n";

/// A home with the workspace `team`.
fn team(file: &str, text: &str) -> Bench {
    bench(SHARED).file(&format!("workspaces/team/{file}"), text)
}

#[test]
fn the_default_workspace_is_always_there_and_allows_everything() {
    let config = bench(SHARED).config();
    assert_eq!(config.workspaces.len(), 1);
    let default = config.workspace("default").unwrap();
    let rules = default.rules.as_ref().unwrap();
    assert!(rules.policy.allows_model("shared") && rules.models.is_empty());
    assert!(default.channels.as_ref().unwrap().is_empty());
}

#[test]
fn a_workspace_has_models_of_its_own_with_default_params_and_fallbacks_to_shared_ones() {
    let models = "models: [{name: own, endpoint: 'http://h/v1', fallback: [mine, shared]}, {name: mine, provider: builtin, model: echo}]";
    let defaults = format!("{SHARED}model: {{defaults: {{chat: {{max_tokens: 7}}}}}}\n");
    let config = bench(&defaults)
        .file("workspaces/team/models.yaml", models)
        .config();
    assert!(config.model("own").is_none());
    let rules = config.workspace("team").unwrap().rules.as_ref().unwrap();
    assert_eq!(rules.models[0].fallback, ["mine", "shared"]);
    assert_eq!(rules.models[0].params.fields["max_tokens"], 7);
}

#[test]
fn all_problems_of_all_workspaces_are_told_at_once_and_the_rest_stands() {
    let bench = bench(SHARED)
        .file("workspaces/a/models.yaml", "models:\n  - name: shared\n    endpoint: http://h/v1\n  - name: x\n    endpoint: http://h/v1\n    fallbak: y\n")
        .file("workspaces/a/policy.yaml", "# x\nmodels: [shared, \"loc*\", sharde]\n")
        .file("workspaces/b/policy.yaml", "members:\n  - { key: ops, role: boss }\n  - { key: ops }\n  - { rolle: admin }\n")
        .file("workspaces/c/policy.yaml", "models: []\n");
    let starts = [
        "workspaces/a/models.yaml:2:5: models.0.name: a shared model has that name",
        "workspaces/a/models.yaml:6:5: models.1.fallbak: unknown key; the nearest is \"fallback\"",
        "workspaces/a/policy.yaml:2:26: models.2: there is no model \"sharde\"; the nearest is \"shared\"",
        "workspaces/b/policy.yaml:2:17: members.0.role: expected one of viewer, user, operator, admin",
        "workspaces/b/policy.yaml:3:7: members.1.key: the key stands twice, first in line 2",
        "workspaces/b/policy.yaml:4:5: members.2: `key` is missing",
        "workspaces/b/policy.yaml:4:7: members.2.rolle: unknown key; the nearest is \"role\"",
    ];
    let parts = bench.parts();
    assert_eq!(parts.len(), starts.len(), "{parts:#?}");
    for (part, start) in parts.iter().zip(starts) {
        assert!(part.starts_with(start), "{part}\n{start}");
    }
    let config = bench.config();
    let rules = |name| config.workspace(name).unwrap().rules.as_ref();
    assert!(rules("a").is_none() && rules("b").is_none());
    assert!(!rules("c").unwrap().policy.allows_model("shared"));
}

#[test]
fn problems_of_workspaces_are_told_beside_those_of_the_gateway() {
    let problems = bench("region: 1\n")
        .file("workspaces/team/policy.yaml", "modles: []\n")
        .problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
}

#[test]
fn a_policy_names_skills_that_are_there() {
    let policy = team("policy.yaml", "skills: [order-status, own, nix]\n")
        .file("skills/order-status/skill.yaml", "# x\n")
        .file("workspaces/team/skills/own/skill.yaml", "# x\n");
    let part = policy.part();
    assert!(
        part.contains("skills.2: there is no skill \"nix\""),
        "{part}"
    );
}

#[test]
fn a_workspace_starts_no_servers_unless_it_is_the_default_one() {
    let models = "models: [{name: own, instance: {command: [x]}}]\n";
    let part = team("models.yaml", models).part();
    assert!(
        part.starts_with(
            "workspaces/team/models.yaml:1:22: models.0.instance: only config/gateway.yaml may"
        ),
        "{part}"
    );
    let default = bench(SHARED).file("workspaces/default/models.yaml", models);
    let config = default.config();
    let rules = config.workspace("default").unwrap().rules.as_ref().unwrap();
    assert!(rules.models[0].instance.is_some());
}

#[test]
fn references_lead_to_variables_and_files_of_the_workspace_alone() {
    let model = |auth: &str| {
        format!(
            "models: [{{name: own, endpoint: 'http://h/v1', auth: {{type: api_key, key: '{auth}'}}}}]\n"
        )
    };
    let team = |auth: &str| team("models.yaml", &model(auth)).env("HOME_KEY", "k");
    let own = team("${env:MOLTBOT_TEAM_KEY}").env("MOLTBOT_TEAM_KEY", "k");
    let config = own.config();
    let rules = config.workspace("team").unwrap().rules.as_ref().unwrap();
    assert_eq!(rules.models[0].auth.id(), Some("model/team/own"));
    assert!(matches!(rules.models[0].auth, Auth::ApiKey { .. }));
    let part = team("${env:HOME_KEY}").part();
    assert!(part.contains("HOME_KEY is not this workspace's"), "{part}");
    let part = team("${file:config/gateway.yaml}").config();
    // relative to its own folder, where there is no such file
    let rules = part.workspace("team").unwrap().rules.as_ref().unwrap();
    assert!(matches!(rules.models[0].auth, Auth::Missing { .. }));
    let part = team("${file:../../config/gateway.yaml}").part();
    assert!(part.contains("is not this workspace's"), "{part}");
}

#[test]
fn entries_of_auth_json_begin_with_the_workspace_and_a_profile_finds_only_those() {
    let models = "models: [{name: own, endpoint: 'http://h/v1'}, {name: two, endpoint: 'http://h/v1', auth: {profile: vendor}}]\n";
    let auth = r#"{"team/own": {"type": "api_key", "key": "k1"}, "own": {"type": "api_key", "key": "k2"}, "vendor": {"type": "api_key", "key": "k3"}}"#;
    let config = team("models.yaml", models)
        .file("models/auth.json", auth)
        .config();
    let rules = config.workspace("team").unwrap().rules.as_ref().unwrap();
    match &rules.models[0].auth {
        Auth::ApiKey { key, .. } => assert_eq!(key.expose_secret(), "k1"),
        other => panic!("{other:?}"),
    }
    match &rules.models[1].auth {
        Auth::Missing { what, .. } => assert!(what.contains("\"team/vendor\""), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_whose_entry_would_be_a_shared_models_is_refused() {
    let shared = "models: [{name: team/own, endpoint: 'http://h/v1'}]\n";
    let part = bench(shared)
        .file(
            "workspaces/team/models.yaml",
            "models: [{name: own, endpoint: 'http://h/v1'}]\n",
        )
        .part();
    assert!(part.contains("that of the shared model team/own"), "{part}");
}

#[test]
fn a_folder_with_a_name_that_no_workspace_can_have_is_told() {
    let bench = bench(SHARED).file("workspaces/Team A/policy.yaml", "# x\n");
    assert!(
        bench
            .part()
            .starts_with("workspaces/Team A: is no name of a workspace")
    );
    assert_eq!(bench.config().workspaces.len(), 1);
}

#[test]
fn a_byte_order_mark_and_crlf_are_accepted_and_an_empty_file_is_not() {
    let good = team("policy.yaml", "\u{feff}models: [shared]\r\n").config();
    let rules = good.workspace("team").unwrap().rules.as_ref().unwrap();
    assert!(!rules.policy.allows_model("other"));
    assert!(
        team("policy.yaml", "")
            .part()
            .starts_with("workspaces/team/policy.yaml: is empty")
    );
    assert!(team("policy.yaml", "# nothing\n").parts().is_empty());
    assert!(
        team("models.yaml", "")
            .part()
            .starts_with("workspaces/team/models.yaml: is empty")
    );
    assert!(
        team("channels.toml", "")
            .part()
            .starts_with("workspaces/team/channels.toml: is empty")
    );
    assert!(
        team("channels.toml", "\u{feff}# nothing\r\n")
            .parts()
            .is_empty()
    );
}

#[test]
fn secrets_of_skills_stand_under_their_names() {
    let auth = r#"{"skill.order": {"TOKEN": "${env:T}", "NONE": "${env:NONE}"}, "team/skill.order": {"TOKEN": "own"}}"#;
    let config = team("policy.yaml", "# x\n")
        .file("models/auth.json", auth)
        .env("T", "shared")
        .config();
    let secret = |entry: &str, key: &str| {
        config.skill_secrets[entry]
            .get(key)
            .map(|secret| secret.expose_secret().to_owned())
    };
    assert_eq!(secret("skill.order", "TOKEN").as_deref(), Some("shared"));
    assert_eq!(secret("skill.order", "NONE"), None);
    assert_eq!(secret("team/skill.order", "TOKEN").as_deref(), Some("own"));
}

#[test]
fn the_fingerprint_of_a_workspace_changes_with_its_files_and_secrets_alone() {
    let models = "models: [{name: own, endpoint: 'http://h/v1'}]\n";
    let of = |key: &str, other: &str| {
        let auth = format!(r#"{{"team/own": {{"type": "api_key", "key": "{key}"}}}}"#);
        // each home is another folder, and so another place of the store
        let config = team("models.yaml", models)
            .file("workspaces/other/policy.yaml", other)
            .file("models/auth.json", &auth)
            .flag("store.url", "memory:")
            .config();
        let workspace = |name| config.workspace(name).unwrap().fingerprint();
        (
            workspace("team"),
            workspace("other"),
            config.shared_fingerprint(),
        )
    };
    let (team, other, shared) = of("a", "# x\n");
    assert_eq!(
        of("a", "# x\n"),
        (team.clone(), other.clone(), shared.clone())
    );
    let rotated = of("b", "# x\n");
    assert!(rotated.0 != team && rotated.1 == other && rotated.2 == shared);
    let narrowed = of("a", "models: []\n");
    assert!(narrowed.0 == team && narrowed.1 != other && narrowed.2 == shared);
}
