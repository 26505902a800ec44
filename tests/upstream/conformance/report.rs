//! What ginkgo reports, as a table by feature.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::list::{FEATURES, Test};

/// How one test went.
pub(crate) struct Outcome {
    passed: bool,
    seconds: u64,
    /// State and the first lines of the message, with the place in upstream's source.
    why: String,
}

/// Outcomes by name. What concerns all tests, such as a failed start, is told at once.
pub(crate) fn read(path: &Path) -> HashMap<String, Outcome> {
    let text = std::fs::read_to_string(path).expect("ginkgo's report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let suites = report.as_array().expect("suites").iter();
    let specs = suites.flat_map(|suite| suite["SpecReports"].as_array().into_iter().flatten());
    let mut outcomes = HashMap::new();
    for spec in specs {
        let state = spec["State"].as_str().unwrap_or_default();
        let outcome = Outcome {
            passed: state == "passed",
            seconds: spec["RunTime"].as_u64().unwrap_or_default() / 1_000_000_000,
            why: format!("{state}: {}", failure(&spec["Failure"])),
        };
        if spec["LeafNodeType"] == "It" {
            outcomes.insert(name(spec), outcome);
        } else if !outcome.passed && state != "skipped" {
            println!("{}: {}", spec["LeafNodeType"], outcome.why);
        }
    }
    outcomes
}

/// The name as the suite's list of conformance tests spells it.
fn name(spec: &Value) -> String {
    let containers = spec["ContainerHierarchyTexts"].as_array();
    let containers = containers.into_iter().flatten().filter_map(Value::as_str);
    let leaf = spec["LeafNodeText"].as_str();
    containers.chain(leaf).collect::<Vec<_>>().join(" ")
}

fn failure(failure: &Value) -> String {
    let message = failure["Message"].as_str().unwrap_or_default();
    let lines: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let lines = lines[..lines.len().min(4)].join(" / ");
    let place = &failure["Location"];
    let file = place["FileName"].as_str().unwrap_or_default();
    let file = file.rsplit('/').next().unwrap_or_default();
    format!("{lines} ({file}:{})", place["LineNumber"])
}

/// Passed and run by feature, then every test that did not pass.
pub(crate) fn table(tests: &[Test], outcomes: &HashMap<String, Outcome>) -> String {
    let mut out = format!("{:>2} {:<30} {:>6} {:>5}\n", "#", "feature", "passed", "of");
    let passed = |test: &&Test| {
        outcomes
            .get(test.name)
            .is_some_and(|outcome| outcome.passed)
    };
    let mut row = |number: String, title: &str, tests: Vec<&Test>| {
        let good = tests.iter().filter(|test| passed(test)).count();
        let _ = writeln!(out, "{number:>2} {title:<30} {good:>6} {:>5}", tests.len());
    };
    for (index, title) in FEATURES.iter().enumerate() {
        let own: Vec<&Test> = tests
            .iter()
            .filter(|test| test.feature == index + 1)
            .collect();
        if !own.is_empty() {
            row((index + 1).to_string(), title, own);
        }
    }
    row(String::new(), "all", tests.iter().collect());
    let mut slow: Vec<(u64, &str)> = tests
        .iter()
        .filter_map(|test| Some((outcomes.get(test.name)?.seconds, test.name)))
        .collect();
    slow.sort_unstable_by(|a, b| b.cmp(a));
    for (seconds, name) in slow.iter().take(5) {
        let _ = writeln!(out, "{seconds:>5} s  {name}");
    }
    for test in tests.iter().filter(|test| !passed(test)) {
        let _ = writeln!(out, "{}", line(test, outcomes));
    }
    out
}

/// The tests that had to pass and did not.
pub(crate) fn failures(tests: &[Test], outcomes: &HashMap<String, Outcome>) -> Vec<String> {
    let failed = |test: &&Test| {
        !outcomes
            .get(test.name)
            .is_some_and(|outcome| outcome.passed)
    };
    tests
        .iter()
        .filter(|test| test.excuse.is_empty())
        .filter(failed)
        .map(|test| line(test, outcomes))
        .collect()
}

fn line(test: &Test, outcomes: &HashMap<String, Outcome>) -> String {
    let why = outcomes
        .get(test.name)
        .map_or("not run", |outcome| &outcome.why);
    let excuse = if test.excuse.is_empty() {
        ""
    } else {
        " expected: "
    };
    format!(
        "{:>2} {}\n      {why}{excuse}{}",
        test.feature, test.name, test.excuse
    )
}
