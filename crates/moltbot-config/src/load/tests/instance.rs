use super::*;

#[test]
fn an_instance_needs_no_address_and_no_key() {
    let yaml = "models: [{name: m, instance: {command: [serve, --model, '${data}/m.gguf', --port, '{port}']}}]";
    let bench = bench(yaml);
    let model = bench.config().models.remove(0);
    let instance = model.instance.unwrap();
    let data = bench.dir.path().join("data/m.gguf");
    assert_eq!(
        instance.command,
        [
            "serve",
            "--model",
            data.to_str().unwrap(),
            "--port",
            "{port}"
        ]
    );
    assert_eq!(
        (instance.replicas, &*instance.ready.path),
        (1, "/v1/models")
    );
    assert_eq!(instance.ready.within, Duration::from_secs(60));
    assert!(model.targets.is_empty());
    assert!(matches!(model.auth, Auth::None));
}

#[test]
fn an_instance_stands_alone_and_has_a_program() {
    for (model, problem) in [
        (
            "endpoint: 'http://h', instance: {command: [x]}",
            "instance: stands beside `endpoint` or `targets`",
        ),
        (
            "targets: [{url: 'http://h'}], instance: {command: [x]}",
            "instance: stands beside `endpoint` or `targets`",
        ),
        (
            "provider: builtin, model: echo, instance: {command: [x]}",
            "instance: builtin needs no instance",
        ),
        ("instance: {command: []}", "command: must not be empty"),
        (
            "instance: {command: ['']}",
            "command.0: the program is empty",
        ),
        ("instance: {replicas: 2}", "instance: `command` is missing"),
        (
            "instance: {command: [x], replicas: 0}",
            "replicas: must be at least 1",
        ),
        (
            "instance: {command: [x], ready: {path: health}}",
            "ready.path: expected a path such as /v1/models",
        ),
        (
            "instance: {command: [x], ready: {within: 0}}",
            "ready.within: must be at least 1",
        ),
    ] {
        let told = bench(&format!("models: [{{name: m, {model}}}]")).problem();
        assert!(told.contains(problem), "{told}");
    }
}
