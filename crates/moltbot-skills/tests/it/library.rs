//! Folders that change, approval, and what each workspace sees.

use moltbot_skills::{Approve, OwnSkills, SkillState};
use moltbot_types::Workspace;

use crate::support::{Home, write};

fn state(home: &Home, workspace: &Workspace) -> SkillState {
    home.library.find(workspace, "a").unwrap().state
}

#[tokio::test]
async fn a_skill_that_asks_for_nothing_runs_at_once_and_one_that_asks_waits() {
    let (home, workspace) = (Home::new(), Workspace::default());
    home.write("a/index.js", "module.exports = () => '1'");
    assert!(home.library.look(&[]).await[0].contains("skill.yaml: is missing"));
    home.write("a/skill.yaml", "name: a");
    home.library.look(&[]).await;
    assert_eq!(state(&home, &workspace), SkillState::Enabled);
    home.write("a/skill.yaml", "name: a\npermissions: { kv: true }");
    home.library.look(&[]).await;
    assert_eq!(state(&home, &workspace), SkillState::Waiting);
    assert!(home.library.ready(&workspace).is_empty());
    let reason = home.library.find(&workspace, "a").unwrap().reason.unwrap();
    assert!(
        reason.contains("kv") && reason.contains("moltctl skill enable a"),
        "{reason}"
    );
    let granted = home.library.enable(&workspace, "a").unwrap();
    assert_eq!(granted.permissions.to_string(), "kv");
    assert_eq!(state(&home, &workspace), SkillState::Enabled);
}

#[tokio::test]
async fn fine_print_8_after_a_change_nothing_runs_until_it_is_approved() {
    let home = Home::skill("permissions: { kv: true }", "module.exports = () => '1'").await;
    let workspace = Workspace::default();
    home.write("a/index.js", "module.exports = () => '2'");
    home.library.look(&[]).await;
    assert_eq!(state(&home, &workspace), SkillState::Waiting);
    assert!(home.library.ready(&workspace).is_empty());
    home.library.configure(Approve::Permissions);
    assert_eq!(state(&home, &workspace), SkillState::Enabled);
    home.write(
        "a/skill.yaml",
        "name: a\npermissions: { kv: true, secrets: [X] }",
    );
    home.library.look(&[]).await;
    assert_eq!(state(&home, &workspace), SkillState::Waiting);
}

#[tokio::test]
async fn a_broken_change_leaves_the_last_good_version_running_and_is_named() {
    let home = Home::skill("permissions: { kv: true }", "module.exports = () => 'good'").await;
    let workspace = Workspace::default();
    home.write("a/index.js", "module.exports = () => {");
    let wrong = home.library.look(&[]).await;
    assert!(wrong[0].starts_with("skills/a/index.js:1:"), "{wrong:?}");
    assert!(home.library.look(&[]).await.is_empty(), "told twice");
    let listed = home.library.find(&workspace, "a").unwrap();
    assert_eq!(listed.state, SkillState::Broken);
    assert!(listed.reason.unwrap().contains("index.js:1"));
    assert_eq!(home.library.ready(&workspace).len(), 1);
    assert_eq!(home.answer("x").await, "good");
    assert!(home.library.enable(&workspace, "a").is_err());
    std::fs::remove_dir_all(home.dir.path().join("skills/a")).unwrap();
    home.library.look(&[]).await;
    assert!(home.library.find(&workspace, "a").is_none());
}

#[tokio::test]
async fn fine_print_8_approval_and_disabling_of_a_shared_skill_are_per_workspace() {
    let home = Home::skill("permissions: { kv: true }", "module.exports = () => '1'").await;
    let (default, team) = (Workspace::default(), Workspace::from("team"));
    assert_eq!(state(&home, &default), SkillState::Enabled);
    assert_eq!(state(&home, &team), SkillState::Waiting);
    home.library.enable(&team, "a").unwrap();
    home.library.disable(&default, "a").unwrap();
    assert_eq!(state(&home, &default), SkillState::Disabled);
    assert_eq!(state(&home, &team), SkillState::Enabled);
    let kept = std::fs::read_to_string(home.dir.path().join("data/skills.json")).unwrap();
    assert!(kept.contains("shared/a"));
}

#[tokio::test]
async fn a_workspaces_own_skill_hides_the_shared_one_and_nobody_else_sees_it() {
    let home = Home::skill("", "module.exports = () => 'shared'").await;
    let team = Workspace::from("team");
    let folder = home.dir.path().join("workspaces/team/skills");
    write(&folder.join("a/skill.yaml"), "name: a\nversion: 2.0.0");
    write(&folder.join("a/index.js"), "module.exports = () => 'own'");
    write(&folder.join("b/skill.yaml"), "name: b");
    write(&folder.join("b/index.js"), "module.exports = () => 'own'");
    let own = OwnSkills {
        workspace: team.clone(),
        folder,
        label: "workspaces/team/skills".into(),
    };
    home.library.look(std::slice::from_ref(&own)).await;
    assert_eq!(home.library.find(&team, "a").unwrap().version, "2.0.0");
    assert_eq!(home.library.list(&team).len(), 2);
    assert!(home.library.find(&Workspace::default(), "b").is_none());
    assert!(
        home.library
            .find(&Workspace::default(), "a")
            .unwrap()
            .shared
    );
    home.library.look(&[]).await;
    assert!(home.library.find(&team, "b").is_none());
}

#[tokio::test]
async fn fine_print_8_a_waiting_skill_runs_without_what_was_not_granted() {
    let home = Home::new();
    home.write(
        "a/skill.yaml",
        "name: a\npermissions: { kv: true, secrets: [ORDER_TOKEN], model: [m], net: [x.org] }",
    );
    home.write("a/index.js", "module.exports = async (ctx) => { const tries = [() => ctx.kv.get('k'), () => ctx.secret('ORDER_TOKEN'), () => ctx.model.chat('x'), () => ctx.fetch('https://x.org')]; const out = []; for (const t of tries) { try { await t(); out.push('ok') } catch (e) { out.push(e.name) } } return out.join() }");
    home.library.look(&[]).await;
    let expected = ["PermissionError"; 4].join(",");
    assert_eq!(home.answer("x").await, expected);
    home.library.enable(&Workspace::default(), "a").unwrap();
    assert_eq!(home.answer("x").await, "ok,ok,ok,ok");
}
