//! From the form of the file to the checked configuration, and values that exclude each other.

use std::time::Duration;

use crate::config::{
    Auth, AuthMode, Config, Instance, Model, ModelSettings, Params, Provider, Server, Store, Target,
};
use crate::form::{Defaults, Form, ModelForm, ParamsForm};
use crate::home::Home;
use crate::names;
use crate::preset::{self, Preset};
use crate::problem::Problems;
use crate::report::Report;
use crate::schema;
use crate::tree::Node;
use crate::unit::time_of;

/// Names that `builtin` has for its models.
const BUILTIN: [&str; 2] = ["echo", "script"];

/// Fills in what follows from other values, so that `config show` tells it too.
pub(crate) fn complete(models: &mut [ModelForm]) {
    for model in models {
        model.model.get_or_insert_with(|| model.name.clone());
        if model.targets.is_empty() && model.endpoint.is_none() && model.instance.is_none() {
            model.endpoint = preset::find(&model.provider)
                .map(|preset| preset.endpoint.to_owned())
                .filter(|endpoint| !endpoint.is_empty());
        }
    }
}

/// The store's address with an absolute path: a file of the home where none is given.
pub(crate) fn store_url(url: Option<String>, home: &Home) -> String {
    let Some(url) = url else {
        return format!("sqlite:{}", home.data_dir().join("moltbot.db").display());
    };
    match url.strip_prefix("sqlite:") {
        // `sqlite:///var/a.db` and `sqlite:/var/a.db` are the same
        Some(path) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            format!("sqlite:{}", home.root().join(path).display())
        }
        None => url,
    }
}

/// The checked configuration; `auth` has an entry for each model. Mistakes go to `problems`.
pub(crate) fn build(form: Form, auth: Vec<Auth>, tree: &Node, problems: &mut Problems) -> Config {
    let mut report = Report::new(tree, problems);
    server(&form.server, &mut report);
    settings(&form, &mut report);
    let models = models(&form.models, auth, &[], &form.model.defaults, &mut report);
    let defaults = form.model.defaults.by_kind();
    Config {
        model: ModelSettings {
            defaults: defaults
                .into_iter()
                .map(|(kind, params)| (kind, params.clone().into()))
                .collect(),
            failover: form.model.failover,
            retry: form.model.retry,
            breaker: form.model.breaker,
            routing: form.model.routing.into(),
        },
        server: form.server,
        models,
        region: form.region,
        logs: form.logs,
        skills: form.skills,
        store: Store {
            url: form.store.url.unwrap_or_default(),
        },
        filters: form.filters,
        cache: form.cache,
        ..Config::default()
    }
}

/// The checked models; `auth` has an entry for each. They may name those of `shared` too.
pub(crate) fn models(
    forms: &[ModelForm],
    auth: Vec<Auth>,
    shared: &[&str],
    defaults: &Defaults,
    report: &mut Report<'_>,
) -> Vec<Model> {
    names::check(forms, shared, report);
    let models = forms.iter().zip(auth).enumerate();
    models
        .map(|(index, (model, auth))| build_model(index, model, auth, defaults, report))
        .collect()
}

impl From<ParamsForm> for Params {
    fn from(form: ParamsForm) -> Self {
        Self {
            fields: form.fields,
            timeout: form.timeout,
        }
    }
}

fn server(server: &Server, report: &mut Report<'_>) {
    if server.listen == server.admin && !server.listen.ends_with(":0") {
        report.say(
            &["server", "admin"],
            "is the same address as server.listen",
            "give it a port of its own",
        );
    }
    let host = server.listen.rsplit_once(':').map_or("", |(host, _)| host);
    if server.auth == AuthMode::None && !is_loopback(host) {
        report.say(
            &["server", "auth"],
            format!(
                "`none` is possible only on loopback, but server.listen is {}",
                server.listen
            ),
            "use `keys`, or listen on 127.0.0.1",
        );
    }
}

fn is_loopback(host: &str) -> bool {
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => name == "localhost",
        Ok(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Err(_) => false,
    }
}

fn settings(form: &Form, report: &mut Report<'_>) {
    let settings = &form.model;
    if settings.retry.max < settings.retry.initial {
        report.say(
            &["model", "retry", "max"],
            "is below model.retry.initial",
            "",
        );
    }
    if settings.breaker.max_rest < settings.failover.retry_interval {
        report.say(
            &["model", "breaker", "max_rest"],
            "is below model.failover.retry_interval, the first rest",
            "",
        );
    }
}

fn build_model(
    index: usize,
    model: &ModelForm,
    auth: Auth,
    defaults: &Defaults,
    report: &mut Report<'_>,
) -> Model {
    let at = index.to_string();
    let preset = preset::find(&model.provider);
    let provider = preset.map(|preset| preset.provider).unwrap_or_default();
    let upstream = model.model.clone().unwrap_or_else(|| model.name.clone());
    if provider == Provider::Builtin && !BUILTIN.contains(&&*upstream) {
        report.say(
            &["models", &at, "model"],
            "builtin has no such model",
            "write `model: echo` or `model: script`",
        );
    }
    if provider == Provider::Builtin {
        script(&at, model, report);
    }
    let params = params(&model.params, defaults.of(model.kind), preset, model);
    let mut timeouts = model.timeouts.clone();
    if let Some(answer) = answer_timeout(
        model,
        &params,
        report.is_set(&["models", &at, "timeouts", "answer"]),
    ) {
        timeouts.answer = answer;
    }
    Model {
        name: model.name.clone(),
        kind: model.kind,
        provider,
        model: upstream,
        targets: targets(&at, model, provider, report),
        instance: instance(&at, model, provider, report),
        params,
        timeouts,
        concurrency: model.concurrency,
        auth,
        price: model.price.unwrap_or_default(),
        fallback: model.fallback.0.clone(),
        fallback_on: model.fallback_on.clone(),
        switch_to: model.switch_to.clone(),
    }
}

/// Times of a script must be times.
fn script(at: &str, model: &ModelForm, report: &mut Report<'_>) {
    for key in ["delay", "pace"] {
        let value = model.params.fields.get(key);
        if value.is_some_and(|value| time_of(value).is_none()) {
            let expected = schema::format_words("time").unwrap_or_default();
            report.say(
                &["models", at, "params", key],
                format!("expected {expected}"),
                "",
            );
        }
    }
}

/// The kind's params under the names that the model takes, and its own over them.
fn params(
    own: &ParamsForm,
    of_kind: &ParamsForm,
    preset: Option<&Preset>,
    model: &ModelForm,
) -> Params {
    // another server behind the same dialect knows the common names
    let public = preset.filter(|preset| {
        model.targets.is_empty()
            && model.instance.is_none()
            && model
                .endpoint
                .as_deref()
                .is_none_or(|endpoint| endpoint == preset.endpoint)
    });
    let rename = |name: &String| {
        let renames = public.map_or(&[][..], |preset| preset.renames);
        let new = renames.iter().find(|(old, _)| old == name);
        new.map_or_else(|| name.clone(), |(_, new)| (*new).to_owned())
    };
    let inherited = of_kind
        .fields
        .iter()
        .filter(|_| model.provider != "builtin")
        .filter(|(name, _)| !own.fields.keys().any(|own| preset::same_param(own, name)));
    Params {
        fields: inherited
            .chain(&own.fields)
            .map(|(name, value)| (rename(name), value.clone()))
            .collect(),
        timeout: own.timeout.or(of_kind.timeout),
    }
}

/// What sets `answer`: the model's own `params.timeout`, its own `timeouts.answer`, then its kind's timeout.
fn answer_timeout(model: &ModelForm, params: &Params, own: bool) -> Option<Duration> {
    model.params.timeout.or(params.timeout.filter(|_| !own))
}

fn targets(
    at: &str,
    model: &ModelForm,
    provider: Provider,
    report: &mut Report<'_>,
) -> Vec<Target> {
    if provider == Provider::Builtin && model.endpoint.is_some() {
        report.say(
            &["models", at, "endpoint"],
            "builtin needs no endpoint",
            "remove it",
        );
    } else if model.endpoint.is_some() && !model.targets.is_empty() {
        report.say(
            &["models", at, "endpoint"],
            "stands beside `targets`",
            "endpoint is the short form of one target: keep one of the two",
        );
    }
    if model.targets.is_empty() {
        return model.endpoint.iter().map(|url| target(url)).collect();
    }
    let mut targets: Vec<Target> = Vec::new();
    for (index, form) in model.targets.iter().enumerate() {
        let path = ["models", at, "targets", &index.to_string()];
        let url = match (&form.url, provider) {
            (Some(url), _) => url.clone(),
            (None, Provider::Builtin) => "builtin:".to_owned(),
            (None, Provider::OpenAi) => {
                report.say(&path, "`url` is missing", "");
                continue;
            }
        };
        if let Some(name) = &form.name {
            let path = [&path[..], &["name"]].concat();
            names::sound(&path, name, report);
            if targets.iter().any(|other| other.name == form.name) {
                report.say(
                    &path,
                    "another target of this model has that name",
                    "choose another",
                );
            }
        }
        targets.push(Target {
            name: form.name.clone(),
            region: form.region.clone(),
            zone: form.zone.clone(),
            role: form.role,
            weight: form.weight,
            ..target(&url)
        });
    }
    targets
}

/// Beside an instance nothing else may say where the model is answered.
fn instance(
    at: &str,
    model: &ModelForm,
    provider: Provider,
    report: &mut Report<'_>,
) -> Option<Instance> {
    let instance = model.instance.as_ref()?;
    let path = ["models", at, "instance"];
    if provider == Provider::Builtin {
        report.say(&path, "builtin needs no instance", "remove it");
    }
    if model.endpoint.is_some() || !model.targets.is_empty() {
        report.say(
            &path,
            "stands beside `endpoint` or `targets`",
            "the daemon knows where its own servers listen: keep one of the two",
        );
    }
    if instance.command.first().is_some_and(String::is_empty) {
        let path = [&path[..], &["command", "0"]].concat();
        report.say(&path, "the program is empty", "write its name or its path");
    }
    Some(instance.clone())
}

fn target(url: &str) -> Target {
    Target {
        name: None,
        url: url.to_owned(),
        region: None,
        zone: None,
        role: crate::config::Role::default(),
        weight: 1,
    }
}
