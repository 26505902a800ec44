//! Sets read beside their type.

use super::path::PathElement;
use super::place::{Form, Merge, Place};
use super::set::{Node, Set};

/// The set with the declared fields above its members. Sets leave them out, because a field that
/// holds an object is there as long as anything in it is.
pub(super) fn with_named<'a>(set: &Set<'a>, place: Option<Place<'_>>) -> Set<'a> {
    let form = place.map(|place| place.form(None));
    let nodes = set.nodes().iter().map(|(element, node)| {
        let (declared, below) = match (element, form) {
            (PathElement::Field(name), Some(Form::Object(object))) => {
                (object.declares(name), object.place(name))
            }
            (PathElement::Key(_), Some(Form::List(list))) => (false, Some(list.item)),
            _ => (false, None),
        };
        let node = Node {
            member: node.member || declared,
            children: with_named(&node.children, below),
        };
        (element.clone(), node)
    });
    Set::of(nodes.collect())
}

/// The set under a type that changed since it was written: of what became atomic, nothing below
/// it can be owned any more.
pub(super) fn reconciled<'a>(set: Set<'a>, place: Place<'_>) -> Set<'a> {
    let nodes = set.into_nodes().into_iter().map(|(element, node)| {
        let below = match (place.form(None), &element) {
            (Form::Object(object), PathElement::Field(name)) => object.place(name),
            (Form::List(list), _) => Some(list.item),
            _ => None,
        };
        let node = match below {
            Some(place) if !node.children.is_empty() => reconciled_node(node, place),
            _ => node,
        };
        (element, node)
    });
    Set::of(nodes.collect())
}

fn reconciled_node<'a>(node: Node<'a>, place: Place<'_>) -> Node<'a> {
    match place.form(None) {
        Form::Scalar(_) => node,
        Form::List(list) if matches!(list.merge, Merge::Atomic) => Node::leaf(),
        Form::Object(object) if object.is_deduced() => node,
        Form::Object(object) if object.atomic => Node::leaf(),
        Form::List(_) | Form::Object(_) => Node {
            member: node.member,
            children: reconciled(node.children, place),
        },
    }
}
