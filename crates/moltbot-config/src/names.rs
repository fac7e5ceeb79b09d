//! Names of models: each stands once, each that is mentioned exists, and none leads back to itself.

use std::collections::BTreeMap;

use crate::form::ModelForm;
use crate::problem::nearest;
use crate::report::Report;

/// Names travel in headers and labels.
pub(crate) fn sound(path: &[&str], name: &str, report: &mut Report<'_>) {
    if name.trim() != name || name.chars().any(char::is_control) {
        report.say(path, "has blanks at its ends or control characters", "");
    }
}

/// The name that looks most like `name`, else some of those there are.
pub(crate) fn choose(name: &str, known: &[&str], thing: &str) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("the nearest is \"{near}\""),
        None if known.is_empty() => format!("there is no {thing} yet"),
        None => format!("known {thing}s: {}", known[..known.len().min(8)].join(", ")),
    }
}

/// Reports names that stand twice, names of models that are not there, and circles. Models may name those of
/// `shared` too, which name none of these.
pub(crate) fn check(models: &[ModelForm], shared: &[&str], report: &mut Report<'_>) {
    let mut first = BTreeMap::new();
    for (index, model) in models
        .iter()
        .enumerate()
        .filter(|(_, model)| !model.name.is_empty())
    {
        let path = ["models", &index.to_string(), "name"];
        sound(&path, &model.name, report);
        if model.name.starts_with("experiment:") {
            report.say(
                &path,
                "begins with `experiment:`, which names an experiment",
                "",
            );
        }
        if let Some(known) = first.insert(&*model.name, index) {
            let line = report.line(&["models", &known.to_string(), "name"]);
            report.say(
                &path,
                format!("the name stands twice, first in line {line}"),
                "choose another",
            );
        }
    }
    for (index, model) in models.iter().enumerate() {
        references(&index.to_string(), model, models, shared, report);
    }
    circles(models, "fallback", |model| &model.fallback.0, report);
    circles(
        models,
        "switch_to",
        |model| model.switch_to.as_slice(),
        report,
    );
}

/// Reports each circle once, at the model that closes it.
fn circles(
    models: &[ModelForm],
    key: &str,
    next: fn(&ModelForm) -> &[String],
    report: &mut Report<'_>,
) {
    let index_of = |name: &str| models.iter().position(|model| model.name == name);
    let mut done = vec![false; models.len()];
    for start in 0..models.len() {
        // a walk in depth with its own stack: the path, and which successor comes next at each step
        let mut path = vec![(start, 0)];
        while let Some((index, step)) = path.last().copied() {
            let successor = if done[index] {
                None
            } else {
                next(&models[index]).get(step)
            };
            let Some(name) = successor else {
                done[index] = true;
                path.pop();
                continue;
            };
            if let Some(last) = path.last_mut() {
                last.1 += 1;
            }
            let Some(to) = index_of(name) else { continue };
            match path.iter().position(|(on_path, _)| *on_path == to) {
                None => path.push((to, 0)),
                Some(from) => {
                    let mut circle: Vec<_> = path[from..]
                        .iter()
                        .map(|(index, _)| &*models[*index].name)
                        .collect();
                    circle.push(&models[to].name);
                    report.say(
                        &["models", &index.to_string(), key],
                        format!("goes in a circle: {}", circle.join(" -> ")),
                        "a model must not lead back to itself",
                    );
                }
            }
        }
    }
}

/// Models that are named must exist, be others, and be named once.
fn references(
    at: &str,
    model: &ModelForm,
    models: &[ModelForm],
    shared: &[&str],
    report: &mut Report<'_>,
) {
    let own = models.iter().map(|other| &*other.name);
    let known: Vec<_> = own
        .filter(|name| !name.is_empty())
        .chain(shared.iter().copied())
        .collect();
    let lists: [(&[&str], &[String]); 4] = [
        (&["fallback"], &model.fallback.0),
        (
            &["fallback_on", "context_window"],
            &model.fallback_on.context_window,
        ),
        (
            &["fallback_on", "content_policy"],
            &model.fallback_on.content_policy,
        ),
        (&["switch_to"], model.switch_to.as_slice()),
    ];
    for (key, names) in lists {
        for (index, name) in names.iter().enumerate() {
            let path = [&["models", at], key].concat();
            if !known.contains(&&**name) {
                let hint = choose(name, &known, "model");
                report.say(&path, format!("there is no model \"{name}\""), hint);
            } else if names[..index].contains(name) {
                report.say(&path, format!("names \"{name}\" twice"), "");
            } else if *name == model.name && key.len() == 2 {
                report.say(&path, "names the model itself", "");
            }
        }
    }
}
