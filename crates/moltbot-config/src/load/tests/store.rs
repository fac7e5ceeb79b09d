use super::*;

#[test]
fn the_store_is_a_file_of_the_home_where_nothing_else_is_said() {
    for (yaml, expected) in [
        ("region: east", "sqlite:HOME/data/moltbot.db"),
        (
            "store: { url: 'sqlite:${data}/a.db' }",
            "sqlite:HOME/data/a.db",
        ),
        (
            "store: { url: 'sqlite:data/a.db' }",
            "sqlite:HOME/data/a.db",
        ),
        ("store: { url: 'sqlite:///var/a.db' }", "sqlite:/var/a.db"),
        ("store: { url: 'memory:' }", "memory:"),
    ] {
        let bench = bench(yaml);
        let home = bench.dir.path().to_str().unwrap();
        let expected = expected.replace("HOME", home);
        assert_eq!(bench.config().store.url, expected, "{yaml}");
    }
}

#[test]
fn an_address_that_names_no_store_is_refused() {
    for url in ["sqlite:", "sqlite://", "mysql://h/db", "moltbot.db", ""] {
        let problem = bench(&format!("store: {{ url: '{url}' }}")).problem();
        assert!(problem.starts_with("config/gateway.yaml:1:"), "{problem}");
        assert!(
            problem.contains("store.url: expected `sqlite:` and a path, or `memory:`"),
            "{problem}"
        );
    }
}
