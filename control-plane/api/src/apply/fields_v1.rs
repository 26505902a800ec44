//! Sets as clients see them: `{"f:spec": {"f:replicas": {}}}`.
//!
//! A key is a letter for the kind of step, a colon and the step; `.` stands for the place itself.
//! What is read may come from any client. Its depth and size are those of the body it came in,
//! which are limited; steps of kinds nobody knows are dropped, as a later version may know them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::path::{KeyField, PathElement};
use super::set::{Node, Set};

/// The set a `fieldsV1` holds.
pub(super) fn decode(fields: &Value) -> Result<Set<'_>, String> {
    Ok(node(fields)?.children)
}

/// A place without anything below it is in the set even when it does not say so.
fn node(value: &Value) -> Result<Node<'_>, String> {
    let map = match value {
        Value::Object(map) => map,
        Value::Null => return Ok(Node::leaf()),
        other => return Err(format!("want an object of fields, got {other}")),
    };
    let mut nodes = Vec::with_capacity(map.len());
    for (key, value) in map {
        if key != "."
            && let Some(element) = element(key)?
        {
            nodes.push((element, node(value)?));
        }
    }
    let children = Set::of(nodes);
    Ok(Node {
        member: map.contains_key(".") || children.is_empty(),
        children,
    })
}

/// The step behind a key; `None` for kinds of steps that are not known.
fn element(key: &str) -> Result<Option<PathElement<'_>>, String> {
    let Some((kind, content)) = key.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
        return Err(format!("missing colon: {key}"));
    };
    Ok(Some(match kind {
        "f" => PathElement::Field(content),
        "k" => PathElement::Key(keys(content)?),
        "v" => PathElement::Value(Cow::Owned(json(content)?)),
        "i" => PathElement::Index(
            content
                .parse()
                .map_err(|error| format!("parsing {key}: {error}"))?,
        ),
        _ => return Ok(None),
    }))
}

fn keys(content: &str) -> Result<Box<[KeyField<'static>]>, String> {
    let Value::Object(map) = json(content)? else {
        return Err(format!("want an object of keys, got {content}"));
    };
    let mut keys: Vec<KeyField<'static>> = map
        .into_iter()
        .map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)))
        .collect();
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(keys.into())
}

fn json(content: &str) -> Result<Value, String> {
    serde_json::from_str(content).map_err(|error| format!("parsing {content}: {error}"))
}

/// The `fieldsV1` of a set.
pub(super) fn encode(set: &Set<'_>) -> Value {
    let mut map = Map::with_capacity(set.nodes().len());
    insert(&mut map, set);
    Value::Object(map)
}

fn insert(map: &mut Map<String, Value>, set: &Set<'_>) {
    for (element, node) in set.nodes() {
        let children = node.children.nodes().len();
        let mut below = Map::with_capacity(if children > 0 { children + 1 } else { 0 });
        if node.member && children > 0 {
            below.insert(".".to_owned(), Value::Object(Map::new()));
        }
        insert(&mut below, &node.children);
        map.insert(key(element), Value::Object(below));
    }
}

fn key(element: &PathElement<'_>) -> String {
    match element {
        PathElement::Field(name) => ["f:", name].concat(),
        PathElement::Key(keys) => {
            let mut key = String::from("k:{");
            for (at, (name, value)) in keys.iter().enumerate() {
                if at > 0 {
                    key.push(',');
                }
                key.push_str(&Value::from(name.as_ref()).to_string());
                key.push(':');
                key.push_str(&value.to_string());
            }
            key.push('}');
            key
        }
        PathElement::Value(value) => format!("v:{value}"),
        PathElement::Index(at) => format!("i:{at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn written_as_read() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}},
            "f:spec": {
                "f:containers": {
                    "k:{\"name\":\"c\"}": {
                        ".": {}, "f:image": {},
                        "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:name": {}}},
                    },
                },
                "f:odd": {"v:\"x\\ny\"": {}, "v:1": {}, "i:3": {}},
            },
        });
        let set = decode(&fields).expect("a set");
        assert_eq!(encode(&set).to_string(), {
            // Numbers come before strings.
            let text = fields.to_string();
            text.replace(
                r#""v:\"x\\ny\"":{},"v:1":{},"i:3":{}"#,
                r#""v:1":{},"v:\"x\\ny\"":{},"i:3":{}"#,
            )
        });
    }

    #[test]
    fn what_is_read_may_be_odd() {
        let check = |fields: Value, expected: Value| {
            assert_eq!(encode(&decode(&fields).expect("a set")), expected);
        };
        check(json!({}), json!({}));
        check(json!({".": {}}), json!({}));
        // A later version may know more kinds of steps.
        check(json!({"x:a": {}, "f:a": {}}), json!({"f:a": {}}));
        check(json!({"f:a": {"x:a": {}}}), json!({"f:a": {}}));
        check(json!({"f:a": null}), json!({"f:a": {}}));
        check(json!({"f:a": {".": {"f:ignored": {}}}}), json!({"f:a": {}}));
        // Keys in another order, and one place twice.
        check(
            json!({"k:{\"b\":1,\"a\":2}": {"f:x": {}}, "k:{ \"a\": 2, \"b\": 1 }": {"f:y": {}}}),
            json!({"k:{\"a\":2,\"b\":1}": {"f:x": {}, "f:y": {}}}),
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for fields in [
            json!([]),
            json!("f:a"),
            json!({"f:a": 1}),
            json!({"f": {}}),
            json!({"": {}}),
            json!({"é:a": {}}),
            json!({"i:x": {}}),
            json!({"k:[]": {}}),
            json!({"k:{": {}}),
            json!({"v:": {}}),
            json!({"v:1 2": {}}),
        ] {
            decode(&fields).expect_err(&fields.to_string());
        }
    }

    proptest! {
        #[test]
        fn no_input_panics_and_sets_survive_a_round_trip(text in r#"[fkvi.]:?(\{"a":[0-9]\}|"x"|[a-c0-9]{0,3})"#, other in ".{0,6}") {
            let fields = json!({text: {other: {}}});
            if let Ok(set) = decode(&fields) {
                let written = encode(&set);
                prop_assert_eq!(decode(&written).expect("our own"), set);
            }
        }
    }
}
