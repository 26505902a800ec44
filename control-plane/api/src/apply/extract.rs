//! The set of fields an object mentions.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::PathElement;
use super::place::{Form, List, Merge, MissingKeys, Object, Place};
use super::set::{Node, Set};

/// Every leaf, every item of a list that merges by item, and every entry of a map.
pub(super) fn fields<'a>(value: &'a Value, place: Place<'a>) -> Result<Set<'a>, String> {
    Ok(node(value, place)?.children)
}

fn node<'a>(value: &'a Value, place: Place<'a>) -> Result<Node<'a>, String> {
    match (place.form(Some(value)), value) {
        (Form::Scalar(_), _) => Ok(Node::leaf()),
        (Form::List(list), _) if matches!(list.merge, Merge::Atomic) => Ok(Node::leaf()),
        (Form::Object(object), _) if object.atomic => Ok(Node::leaf()),
        (Form::List(list), Value::Array(items)) => children(self::items(items, list)?),
        (Form::Object(object), Value::Object(map)) => children(entries(map, object)?),
        _ => Ok(Node::default()),
    }
}

fn children<'a>(nodes: Vec<(PathElement<'a>, Node<'a>)>) -> Result<Node<'a>, String> {
    Ok(Node {
        member: false,
        children: Set::of(nodes),
    })
}

fn entries<'a>(
    map: &'a Map<String, Value>,
    object: Object<'a>,
) -> Result<Vec<(PathElement<'a>, Node<'a>)>, String> {
    let mut nodes = Vec::with_capacity(map.len());
    for (name, value) in map {
        // A field nobody declares is refused where it comes in.
        let Some(place) = object.place(name) else {
            continue;
        };
        let mut node = node(value, place)?;
        let empty = match value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        node.member |= empty || !object.declares(name);
        nodes.push((PathElement::Field(name), node));
    }
    Ok(nodes)
}

/// Items that are there more than once are in the set, but nothing below them is.
fn items<'a>(
    items: &'a [Value],
    list: List<'a>,
) -> Result<Vec<(PathElement<'a>, Node<'a>)>, String> {
    let mut found: BTreeMap<PathElement<'a>, Option<&'a Value>> = BTreeMap::new();
    for item in items {
        found
            .entry(list.element(item, MissingKeys::Zero)?)
            .and_modify(|first| *first = None)
            .or_insert(Some(item));
    }
    found
        .into_iter()
        .map(|(element, item)| {
            let mut node = match item {
                Some(item) => node(item, list.item)?,
                None => Node::default(),
            };
            node.member = true;
            Ok((element, node))
        })
        .collect()
}
