//! `conformance.tsv`: feature, name of a test, and why it cannot pass, if it cannot.

use std::ops::RangeInclusive;

const LIST: &str = include_str!("../conformance.tsv");

/// What each number stands for.
pub(crate) const FEATURES: [&str; 25] = [
    "discovery and version",
    "watch",
    "chunked lists",
    "Table negotiation",
    "core/v1",
    "other groups",
    "storage",
    "dynamic resources",
    "pod defaulting and validation",
    "namespaces",
    "CustomResourceDefinitions",
    "their OpenAPI",
    "field validation",
    "CEL admission policies",
    "ResourceQuota",
    "LimitRange",
    "RuntimeClass",
    "garbage collector",
    "authorization and tokens",
    "the kubernetes Service",
    "endpoints controllers",
    "ReplicationController",
    "CronJob",
    "nodes and taints",
    "kubectl",
];

/// One of upstream's tests.
#[derive(Debug)]
pub(crate) struct Test {
    /// Place in [`FEATURES`], from 1.
    pub(crate) feature: usize,
    pub(crate) name: &'static str,
    /// Empty for a test that has to pass.
    pub(crate) excuse: &'static str,
}

/// A choice of features.
pub(crate) struct Features(Vec<RangeInclusive<usize>>);

impl Features {
    /// `all`, or numbers and ranges: `1-3,7`.
    pub(crate) fn parse(text: &str) -> Self {
        if text == "all" {
            return Self(vec![1..=FEATURES.len()]);
        }
        let number = |text: &str| {
            text.trim()
                .parse::<usize>()
                .expect("the number of a feature")
        };
        let range = |part: &str| match part.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(part)..=number(part),
        };
        Self(text.split(',').map(range).collect())
    }

    fn has(&self, feature: usize) -> bool {
        self.0.iter().any(|range| range.contains(&feature))
    }
}

/// The tests of these features.
pub(crate) fn read(features: &Features) -> Vec<Test> {
    let test = |line: &'static str| {
        let mut columns = line.split('\t');
        let feature = columns
            .next()
            .expect("a feature")
            .parse()
            .expect("a number");
        Test {
            feature,
            name: columns.next().expect("a name"),
            excuse: columns.next().unwrap_or_default(),
        }
    };
    LIST.lines()
        .map(test)
        .filter(|test| features.has(test.feature))
        .collect()
}

/// A regular expression that matches exactly these.
pub(crate) fn focus(tests: &[Test]) -> String {
    let escaped = |test: &Test| {
        let mut out = String::new();
        for character in test.name.chars() {
            if r"\.+*?()|[]{}^$".contains(character) {
                out.push('\\');
            }
            out.push(character);
        }
        out
    };
    let names: Vec<String> = tests.iter().map(escaped).collect();
    format!("^.*({})$", names.join("|"))
}

#[test]
fn the_list_is_of_known_features() {
    let all = read(&Features::parse("all"));
    assert_eq!(all.len(), LIST.lines().count());
    assert!(
        read(&Features::parse("1-2,4"))
            .iter()
            .all(|test| [1, 2, 4].contains(&test.feature))
    );
    assert_eq!(
        focus(&read(&Features::parse("4")))
            .matches(r"\[Conformance\]")
            .count(),
        1
    );
}
