//! Columns are compared with those a kube-apiserver showed; cells with what its printers do.

mod core;
mod groups;
mod workloads;

use serde_json::{Value, json};

use super::*;
use crate::object::set;
use crate::resource::resources;

const NOW: &str = "2026-11-23T01:30:00Z";

/// The cells of an object that is five minutes old.
fn row(group: &str, kind: &str, mut value: Value) -> Value {
    let printer = printer(group, kind);
    set(
        &mut value,
        "metadata.creationTimestamp",
        "2026-11-23T01:24:57Z",
    );
    let cells = printer.cells(&value, time::parse(NOW).expect("a time"));
    // Upstream shows the age of addresses without a column for it.
    let without_column = usize::from(kind == "IPAddress");
    assert_eq!(
        printer
            .columns()
            .as_array()
            .map(|all| all.len() + without_column),
        Some(cells.len()),
        "{kind}"
    );
    cells.into()
}

/// Columns in the words of `columns.txt`.
fn shown(printer: &Printer) -> String {
    let each = printer.columns.iter().map(|column| {
        let name = if column.format == "name" { "*" } else { "" };
        let wide = if column.priority == 1 { "+" } else { "" };
        let kind = match column.kind {
            "integer" => "#",
            "boolean" => "?",
            "date" => "@",
            _ => "",
        };
        format!("{name}{wide}{kind}{}", column.name)
    });
    each.collect::<Vec<_>>().join(", ")
}

#[test]
fn columns_are_upstreams() {
    let observed: Vec<(&str, &str)> = include_str!("tests/columns.txt")
        .lines()
        .filter_map(|line| line.split_once(" | "))
        .collect();
    let mut compared = 0;
    for row in resources() {
        if !row.verbs.contains(&"list") {
            continue;
        }
        let path = format!("{}/{}", row.api_version(), row.plural);
        let (_, columns) = observed
            .iter()
            .find(|(observed, _)| *observed == path)
            .unwrap_or_else(|| panic!("{path} was not observed"));
        assert_eq!(shown(printer(row.group, row.kind)), **columns, "{path}");
        compared += 1;
    }
    assert!(compared > 50, "only {compared} kinds");
    // Kinds without a row of their own.
    let others = [
        ("", "ComponentStatus", "v1/componentstatuses"),
        (
            "apiregistration.k8s.io",
            "APIService",
            "apiregistration.k8s.io/v1/apiservices",
        ),
    ];
    for (group, kind, path) in others {
        let expect = observed.iter().find(|(observed, _)| *observed == path);
        assert_eq!(
            Some(shown(printer(group, kind)).as_str()),
            expect.map(|(_, columns)| *columns)
        );
    }
}

#[test]
fn definitions_are_whole() {
    let definitions = printer("batch", "CronJob").columns();
    let suspend = &definitions[3];
    let expect = json!({"name": "Suspend", "type": "boolean", "format": "",
        "description": suspend["description"], "priority": 0});
    assert_eq!(*suspend, expect);
    for row in resources() {
        let columns = printer(row.group, row.kind).columns;
        assert!(!columns.is_empty() && columns.iter().all(|one| !one.description.is_empty()));
    }
}

/// No printer may fail on an object that holds nothing of what it shows.
#[test]
fn empty_objects_have_rows() {
    for one in resources() {
        row(one.group, one.kind, json!({"metadata": {"name": "x"}}));
    }
}
