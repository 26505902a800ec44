//! Patches, queries and request lines at random.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use sampan_api::resource::Resource;
use serde_json::{Value, json};

use super::objects;

fn one<'a>(dice: &mut StdRng, of: &[&'a str]) -> &'a str {
    of.choose(dice).copied().unwrap_or("")
}

/// A patch of one of the four types, for an object of the kind.
pub(super) fn patch(dice: &mut StdRng, row: &Resource, object: &Value) -> (&'static str, String) {
    let mut other = objects::object(dice, row);
    other["metadata"]["name"] = object["metadata"]["name"].clone();
    if dice.random_bool(0.5) {
        objects::damage(dice, &mut other);
    }
    match dice.random_range(0..4) {
        0 => (
            "application/json-patch+json",
            operations(dice, object).to_string(),
        ),
        1 => ("application/merge-patch+json", other.to_string()),
        2 => {
            directives(dice, &mut other);
            ("application/strategic-merge-patch+json", other.to_string())
        }
        _ => ("application/apply-patch+yaml", other.to_string()),
    }
}

fn operations(dice: &mut StdRng, object: &Value) -> Value {
    let mut operations = Vec::new();
    for _ in 0..dice.random_range(0..4) {
        let (path, from) = (pointer(dice, object), pointer(dice, object));
        let op = one(
            dice,
            &["add", "remove", "replace", "move", "copy", "test", "frob"],
        );
        operations
            .push(json!({"op": op, "path": path, "from": from, "value": objects::anything(dice)}));
    }
    operations.into()
}

/// The way to some place of a value, or past it.
fn pointer(dice: &mut StdRng, object: &Value) -> String {
    let (mut place, mut pointer) = (object, String::new());
    for _ in 0..dice.random_range(0..5) {
        match place {
            Value::Object(map) if !map.is_empty() => {
                let at = dice.random_range(0..map.len());
                let (key, inner) = map.iter().nth(at).expect("is there");
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
                place = inner;
            }
            Value::Array(list) if !list.is_empty() => {
                let at = dice.random_range(0..list.len());
                pointer.push_str(&format!("/{at}"));
                place = &list[at];
            }
            _ => pointer.push_str(one(dice, &["/-", "/x", "/0", "/~2", "//"])),
        }
    }
    pointer
}

/// Sprinkles the directives of strategic merge patches over a value.
fn directives(dice: &mut StdRng, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|inner| directives(dice, inner));
            if dice.random_bool(0.1) {
                let key = one(
                    dice,
                    &[
                        "$patch",
                        "$retainKeys",
                        "$deleteFromPrimitiveList/finalizers",
                        "$setElementOrder/containers",
                    ],
                );
                let value = match dice.random_bool(0.5) {
                    true => one(dice, &["delete", "replace", "merge", "frob"]).into(),
                    false => objects::anything(dice),
                };
                map.insert(key.to_owned(), value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| directives(dice, inner)),
        _ => {}
    }
}

fn query(dice: &mut StdRng, parameters: &[(&str, &[&str])], chance: f64) -> String {
    let mut pairs = Vec::new();
    for (name, values) in parameters {
        if dice.random_bool(chance) {
            pairs.push(format!("{name}={}", one(dice, values)));
        }
    }
    pairs.join("&")
}

pub(super) fn write_query(dice: &mut StdRng) -> String {
    let manager = if dice.random_bool(0.8) {
        "fieldManager=fuzz&"
    } else {
        ""
    };
    let rest = query(
        dice,
        &[
            ("dryRun", &["All", "Some", ""]),
            ("fieldValidation", &["Strict", "Warn", "Ignore", "x"]),
            ("force", &["true", "false", "7"]),
            ("fieldManager", &["", "a%00b", "x%20y"]),
        ],
        0.2,
    );
    format!("{manager}{rest}")
}

const SELECTORS: &[&str] = &[
    "a=b",
    "a",
    "!a",
    "a+in+(b,c)",
    "a+notin+()",
    "a==b,c!=d",
    "a=",
    "=b",
    "a+in+(b",
    ")",
    "a%00",
    "app=web,,",
    "a%3Db%2C",
    "metadata.name=a",
    "spec.nodeName=",
    "status.phase!=Running",
    "bogus=1",
    "%ff%fe",
    "a\\\\=b",
];
const REVISIONS: &[&str] = &[
    "",
    "0",
    "1",
    "7",
    "99999999999999999999",
    "-1",
    "x",
    "18446744073709551615",
    "1000000",
];

pub(super) fn read_query(dice: &mut StdRng, token: &str) -> String {
    let mut token: Vec<u8> = token.as_bytes().to_vec();
    if dice.random_bool(0.7) {
        let at = dice.random_range(0..token.len());
        token[at] = one(dice, &["A", "_", "%", "z"]).as_bytes()[0];
    }
    let token = String::from_utf8_lossy(&token).into_owned();
    query(
        dice,
        &[
            ("labelSelector", SELECTORS),
            ("fieldSelector", SELECTORS),
            ("resourceVersion", REVISIONS),
            ("resourceVersionMatch", &["", "Exact", "NotOlderThan", "x"]),
            (
                "limit",
                &["0", "1", "-1", "500", "x", "9223372036854775808"],
            ),
            ("continue", &[&token, "", "e30", "bnVsbA", "%00"]),
            ("timeoutSeconds", &["1", "-1", "x"]),
            ("pretty", &["true", "x"]),
            ("includeObject", &["None", "Object", "x"]),
            ("sendInitialEvents", &["true", "false", "x"]),
        ],
        0.25,
    )
}

pub(super) fn watch_query(dice: &mut StdRng) -> String {
    let rest = query(
        dice,
        &[
            ("labelSelector", SELECTORS),
            ("fieldSelector", SELECTORS),
            ("resourceVersion", REVISIONS),
            ("resourceVersionMatch", &["", "Exact", "NotOlderThan", "x"]),
            ("allowWatchBookmarks", &["true", "false", "x"]),
            ("sendInitialEvents", &["true", "false", "x"]),
            (
                "timeoutSeconds",
                &["1", "0", "-1", "x", "9223372036854775807"],
            ),
            ("limit", &["1", "x"]),
            ("continue", &["", "e30"]),
        ],
        0.3,
    );
    format!("watch={}&{rest}", one(dice, &["true", "1"]))
}

pub(super) fn accept(dice: &mut StdRng) -> &'static str {
    [
        "application/json",
        "*/*",
        "application/yaml",
        "application/vnd.kubernetes.protobuf,application/json",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=;v=;g=",
        ";;;,,,q=x",
    ]
    .choose(dice)
    .copied()
    .unwrap_or("*/*")
}

/// A method and a path, some of which exist. Watches and logs have no end and are left out.
pub(super) fn line(dice: &mut StdRng) -> (&'static str, String) {
    let method = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW",
    ]
    .choose(dice)
    .copied()
    .unwrap_or("GET");
    let mut path = String::new();
    for _ in 0..dice.random_range(1..8) {
        path.push('/');
        path.push_str(one(
            dice,
            &[
                "api",
                "apis",
                "v1",
                "apps",
                "namespaces",
                "default",
                "pods",
                "configmaps",
                "deployments",
                "nodes",
                "status",
                "scale",
                "log",
                "exec",
                "binding",
                "",
                "%2f",
                "%00",
                "..",
                "%zz",
                "openapi",
                "v3",
                "v2",
                "version",
                "healthz",
                "a",
                "kube-system",
            ],
        ));
    }
    (method, path)
}
