//! Grafana dashboards, each a table of panels: title, unit, and what is asked of Prometheus.

use serde_json::{Value, json};

/// Grafana's grid is 24 columns wide.
const COLUMNS: usize = 24;

/// Name of the file, title, panels.
type Dashboard = (&'static str, &'static str, &'static [Panel]);

struct Panel {
    title: &'static str,
    /// Grafana's name of the unit.
    unit: &'static str,
    form: Form,
    /// Queries, each with the legend of its lines.
    queries: &'static [(&'static str, &'static str)],
}

enum Form {
    /// Lines over time, half as wide as the page.
    Lines,
    /// One number, a sixth of the page; above the bound it is shown as bad, or below it.
    Number(Bound),
}

enum Bound {
    None,
    BadAbove(f64),
    BadBelow(f64),
}

const fn lines(
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel {
        title,
        unit,
        form: Form::Lines,
        queries,
    }
}

const fn number(
    title: &'static str,
    unit: &'static str,
    bound: Bound,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel {
        title,
        unit,
        form: Form::Number(bound),
        queries,
    }
}

const DASHBOARDS: [Dashboard; 6] = [
    ("overview", "MoltBot: overview", &OVERVIEW),
    ("models", "MoltBot: models", &MODELS),
    ("channels", "MoltBot: channels and skills", &CHANNELS),
    ("cost", "MoltBot: tokens and cost", &COST),
    ("experiments", "MoltBot: comparisons", &EXPERIMENTS),
    ("node", "MoltBot: machine", &NODE),
];

const OVERVIEW: [Panel; 12] = [
    number(
        "Calls that succeed",
        "percentunit",
        Bound::BadBelow(0.9995),
        &[(
            "1 - sum(rate(moltbot_requests_total{status=~\"5..\"}[5m])) / sum(rate(moltbot_requests_total[5m]))",
            "",
        )],
    ),
    number(
        "P99",
        "s",
        Bound::BadAbove(0.5),
        &[(
            "histogram_quantile(0.99, sum by (le) (rate(moltbot_request_duration_seconds_bucket[5m])))",
            "",
        )],
    ),
    number(
        "Moves that led to an answer",
        "percentunit",
        Bound::BadBelow(0.999),
        &[(
            "sum(moltbot_failovers_total{outcome=\"ok\"}) / sum(moltbot_failovers_total)",
            "",
        )],
    ),
    number(
        "Cache hits",
        "percentunit",
        Bound::BadBelow(0.8),
        &[(
            "sum(rate(moltbot_cache_requests_total{result=~\"hit|semantic\"}[5m])) / sum(rate(moltbot_cache_requests_total{result!=\"bypass\"}[5m]))",
            "",
        )],
    ),
    number(
        "Targets that rest",
        "short",
        Bound::BadAbove(0.5),
        &[("count(moltbot_target_up) - sum(moltbot_target_up)", "")],
    ),
    number(
        "Under way",
        "short",
        Bound::None,
        &[("moltbot_inflight_requests", "")],
    ),
    lines(
        "Calls by status",
        "reqps",
        &[(
            "sum by (status) (rate(moltbot_requests_total[1m]))",
            "{{status}}",
        )],
    ),
    lines(
        "How long callers wait",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(moltbot_request_duration_seconds_bucket[1m])))",
                "P50",
            ),
            (
                "histogram_quantile(0.95, sum by (le) (rate(moltbot_request_duration_seconds_bucket[1m])))",
                "P95",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(moltbot_request_duration_seconds_bucket[1m])))",
                "P99",
            ),
        ],
    ),
    lines(
        "The gateway's own part",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(moltbot_overhead_seconds_bucket[1m])))",
                "P50",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(moltbot_overhead_seconds_bucket[1m])))",
                "P99",
            ),
        ],
    ),
    lines(
        "Moves to another target or model",
        "ops",
        &[(
            "sum by (level, outcome) (rate(moltbot_failovers_total[1m]))",
            "{{level}} {{outcome}}",
        )],
    ),
    lines(
        "Reloads of the configuration",
        "short",
        &[("moltbot_config_reload_total", "{{result}}")],
    ),
    lines(
        "Lost log lines, panics, archive failures",
        "short",
        &[
            ("moltbot_log_lines_dropped_total", "log lines lost"),
            ("moltbot_panics_total", "panics"),
            ("moltbot_archive_failures_total", "archive failures"),
        ],
    ),
];

const MODELS: [Panel; 6] = [
    lines(
        "Calls by model",
        "reqps",
        &[(
            "sum by (workspace, model) (rate(moltbot_requests_total[1m]))",
            "{{workspace}} {{model}}",
        )],
    ),
    lines(
        "P99 by model",
        "s",
        &[(
            "histogram_quantile(0.99, sum by (le, model) (rate(moltbot_request_duration_seconds_bucket[1m])))",
            "{{model}}",
        )],
    ),
    lines(
        "First token, P95",
        "s",
        &[(
            "histogram_quantile(0.95, sum by (le, model) (rate(moltbot_first_token_seconds_bucket[1m])))",
            "{{model}}",
        )],
    ),
    lines(
        "Attempts by outcome",
        "ops",
        &[(
            "sum by (model, target, outcome) (rate(moltbot_model_calls_total[1m]))",
            "{{model}} {{target}} {{outcome}}",
        )],
    ),
    lines(
        "Targets that take calls",
        "short",
        &[("moltbot_target_up", "{{model}} {{target}}")],
    ),
    lines(
        "Credentials that work",
        "short",
        &[("moltbot_credential_up", "{{model}}")],
    ),
];

const CHANNELS: [Panel; 4] = [
    lines(
        "Messages",
        "ops",
        &[(
            "sum by (channel, direction) (rate(moltbot_channel_messages_total[1m]))",
            "{{channel}} {{direction}}",
        )],
    ),
    lines(
        "Messages by outcome",
        "ops",
        &[(
            "sum by (channel, outcome) (rate(moltbot_channel_messages_total[1m]))",
            "{{channel}} {{outcome}}",
        )],
    ),
    lines(
        "Skills",
        "ops",
        &[(
            "sum by (skill, outcome) (rate(moltbot_skill_runs_total[1m]))",
            "{{skill}} {{outcome}}",
        )],
    ),
    lines(
        "Cache",
        "reqps",
        &[(
            "sum by (result) (rate(moltbot_cache_requests_total[1m]))",
            "{{result}}",
        )],
    ),
];

const COST: [Panel; 5] = [
    number(
        "USD in the last day",
        "currencyUSD",
        Bound::None,
        &[("sum(increase(moltbot_cost_usd_total[1d]))", "")],
    ),
    number(
        "Tokens in the last day",
        "short",
        Bound::None,
        &[("sum(increase(moltbot_tokens_total[1d]))", "")],
    ),
    lines(
        "USD an hour",
        "currencyUSD",
        &[(
            "sum by (workspace, model) (rate(moltbot_cost_usd_total[5m])) * 3600",
            "{{workspace}} {{model}}",
        )],
    ),
    lines(
        "Tokens a second",
        "short",
        &[(
            "sum by (model, direction) (rate(moltbot_tokens_total[1m]))",
            "{{model}} {{direction}}",
        )],
    ),
    lines(
        "Tokens by workspace",
        "short",
        &[(
            "sum by (workspace) (rate(moltbot_tokens_total[1m]))",
            "{{workspace}}",
        )],
    ),
];

/// `moltctl test report` alone may call a winner; these lines show how the arms run.
const EXPERIMENTS: [Panel; 4] = [
    lines(
        "Calls of each model",
        "reqps",
        &[(
            "sum by (model) (rate(moltbot_model_calls_total[5m]))",
            "{{model}}",
        )],
    ),
    lines(
        "Attempts that succeed",
        "percentunit",
        &[(
            "sum by (model) (rate(moltbot_model_calls_total{outcome=\"ok\"}[5m])) / (sum by (model) (rate(moltbot_model_calls_total[5m])) > 0)",
            "{{model}}",
        )],
    ),
    lines(
        "Latency, mean",
        "s",
        &[(
            "sum by (model) (rate(moltbot_request_duration_seconds_sum[5m])) / (sum by (model) (rate(moltbot_request_duration_seconds_count[5m])) > 0)",
            "{{model}}",
        )],
    ),
    lines(
        "USD of each model",
        "currencyUSD",
        &[(
            "sum by (model) (increase(moltbot_cost_usd_total[5m]))",
            "{{model}}",
        )],
    ),
];

const NODE: [Panel; 7] = [
    lines(
        "Processor",
        "percentunit",
        &[
            (
                "1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[1m]))",
                "machine",
            ),
            (
                "rate(process_cpu_seconds_total{job=\"moltbot\"}[1m])",
                "moltbotd",
            ),
        ],
    ),
    lines(
        "Memory",
        "bytes",
        &[
            ("node_memory_MemAvailable_bytes", "available"),
            ("process_resident_memory_bytes{job=\"moltbot\"}", "moltbotd"),
        ],
    ),
    lines(
        "Free disk",
        "bytes",
        &[(
            "node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs\"}",
            "{{mountpoint}}",
        )],
    ),
    lines(
        "Network",
        "Bps",
        &[
            (
                "sum(rate(node_network_receive_bytes_total{device!=\"lo\"}[1m]))",
                "in",
            ),
            (
                "sum(rate(node_network_transmit_bytes_total{device!=\"lo\"}[1m]))",
                "out",
            ),
        ],
    ),
    lines(
        "Open files of moltbotd",
        "short",
        &[
            ("process_open_fds{job=\"moltbot\"}", "open"),
            ("process_max_fds{job=\"moltbot\"}", "most"),
        ],
    ),
    lines(
        "Load",
        "short",
        &[("node_load1", "1 min"), ("node_load15", "15 min")],
    ),
    lines(
        "Disk",
        "Bps",
        &[
            ("sum(rate(node_disk_read_bytes_total[1m]))", "read"),
            ("sum(rate(node_disk_written_bytes_total[1m]))", "written"),
        ],
    ),
];

/// Each dashboard's file name and content.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Value)> {
    DASHBOARDS
        .iter()
        .map(|(name, title, panels)| (*name, dashboard(name, title, panels)))
}

fn dashboard(name: &str, title: &str, panels: &[Panel]) -> Value {
    let mut place = Place::default();
    let panels: Vec<Value> = panels
        .iter()
        .enumerate()
        .map(|(index, panel)| draw(index + 1, panel, &mut place))
        .collect();
    json!({
        "uid": format!("moltbot-{name}"),
        "title": title,
        "tags": ["moltbot"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "15s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus" }
        ] },
        "panels": panels,
    })
}

/// Where the next panel stands: from left to right, then below.
#[derive(Default)]
struct Place {
    x: usize,
    y: usize,
    row: usize,
}

impl Place {
    fn take(&mut self, width: usize, height: usize) -> Value {
        if self.x + width > COLUMNS || (self.x > 0 && height != self.row) {
            self.x = 0;
            self.y += self.row;
        }
        let place = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        self.x += width;
        self.row = height;
        place
    }
}

fn draw(id: usize, panel: &Panel, place: &mut Place) -> Value {
    let (kind, width, height) = match panel.form {
        Form::Lines => ("timeseries", 12, 8),
        Form::Number(_) => ("stat", 4, 4),
    };
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let targets: Vec<Value> = ('A'..)
        .zip(panel.queries)
        .map(|(letter, (expr, legend))| {
            json!({ "refId": letter.to_string(), "datasource": source, "expr": expr, "legendFormat": legend })
        })
        .collect();
    json!({
        "id": id,
        "type": kind,
        "title": panel.title,
        "datasource": source,
        "gridPos": place.take(width, height),
        "targets": targets,
        "fieldConfig": {
            "defaults": { "unit": panel.unit, "thresholds": { "mode": "absolute", "steps": steps(&panel.form) } },
            "overrides": [],
        },
        "options": {},
    })
}

fn steps(form: &Form) -> Value {
    let step = |color, value: Option<f64>| json!({ "color": color, "value": value });
    match form {
        Form::Lines | Form::Number(Bound::None) => json!([step("green", None)]),
        Form::Number(Bound::BadAbove(bound)) => {
            json!([step("green", None), step("red", Some(*bound))])
        }
        Form::Number(Bound::BadBelow(bound)) => {
            json!([step("red", None), step("green", Some(*bound))])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn panels_have_a_place_of_their_own() {
        for (name, dashboard) in all() {
            let mut taken = HashSet::new();
            for panel in dashboard["panels"].as_array().unwrap() {
                let at = |key| panel["gridPos"][key].as_u64().unwrap();
                for x in at("x")..at("x") + at("w") {
                    assert!(x < COLUMNS as u64, "{name}: {panel}");
                    for y in at("y")..at("y") + at("h") {
                        assert!(taken.insert((x, y)), "{name}: {panel}");
                    }
                }
            }
        }
    }
}
