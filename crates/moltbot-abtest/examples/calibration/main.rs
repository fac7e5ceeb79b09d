//! How often the statistics err, how often their intervals hold the truth, and how soon they find a difference.
//!
//! `cargo run --release -p moltbot-abtest --example calibration [RUNS]`; prints Markdown.

mod simulate;

use simulate::{Method, World, campaign, false_alarms, wrong_counts};

const THREADS: u64 = 2;

fn main() {
    let runs = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let runs: u64 = runs.unwrap_or(10_000);
    println!("{runs} runs a row, a look after every pair of units.\n");
    println!("### No difference: share of tests that found one (5 % is allowed)\n");
    println!("| world | units an arm | report | mixture | asymptotic | exact | z at every look |");
    println!("|---|---|---|---|---|---|---|");
    for (name, world, units) in [
        ("rate 0.10", World::Rates([0.10; 2]), 10_000),
        ("rate 0.50", World::Rates([0.50; 2]), 10_000),
        ("rate 0.95", World::Rates([0.95; 2]), 10_000),
        ("rate 0.002", World::Rates([0.002; 2]), 20_000),
        ("users, rate 0.9", World::Users(0.9), 5_000),
        ("latency, sigma 0.5", World::Latency(0.5), 5_000),
        ("latency, sigma 1.0", World::Latency(1.0), 5_000),
        ("latency, sigma 1.5", World::Latency(1.5), 5_000),
    ] {
        let share = |method| percent(campaign(world, method, units, runs, THREADS).share());
        let of_rates = |method| match world {
            World::Rates(_) => share(method),
            _ => "-".to_owned(),
        };
        println!(
            "| {name} | {units} | {} | {} | {} | {} | {} |",
            share(Method::Report),
            of_rates(Method::Mixture),
            share(Method::Asymptotic),
            // the exact test costs the most: a tenth of the runs tells enough
            match world {
                World::Rates(_) =>
                    percent(campaign(world, Method::Exact, units, runs / 10, THREADS).share()),
                _ => "-".to_owned(),
            },
            share(Method::Peeking),
        );
    }
    println!(
        "\n### A difference: units an arm at the median stop, power within 20,000, and coverage at all looks\n"
    );
    println!("| rates | report | power | coverage | mixture | asymptotic | exact |");
    println!("|---|---|---|---|---|---|---|");
    for rates in [[0.10, 0.13], [0.95, 0.97], [0.10, 0.12]] {
        let run = |method, runs| campaign(World::Rates(rates), method, 20_000, runs, THREADS);
        let report = run(Method::Report, runs);
        println!(
            "| {} vs {} | {:.0} | {} | {} | {:.0} | {:.0} | {:.0} |",
            rates[0],
            rates[1],
            report.median,
            percent(report.share()),
            percent(report.coverage()),
            run(Method::Mixture, runs).median,
            run(Method::Asymptotic, runs).median,
            run(Method::Exact, runs / 10).median,
        );
    }
    println!("\n### Counts\n");
    println!("| what | figure |\n|---|---|");
    for (name, rates) in [
        ("exactly as much worse as it bears", [0.95, 0.90]),
        ("ten points worse", [0.95, 0.85]),
    ] {
        let tally = campaign(World::Rates(rates), Method::Guard, 5000, runs, THREADS);
        println!(
            "| tests of an arm {name} that a guard stopped, at the median after units an arm | {}, {:.0} |",
            percent(tally.share()),
            tally.median
        );
    }
    println!(
        "| false sample-ratio alarms in {runs} fair splits of 5000 units | {} |",
        false_alarms(5000, runs)
    );
    println!(
        "| wrong counts in 100 tests of 2000 units, calls told twice, late and out of order | {} |",
        wrong_counts(2000, 100)
    );
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}
