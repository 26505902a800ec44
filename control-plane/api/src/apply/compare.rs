//! What became of an object's fields: which came, which changed and which went.
//!
//! Both objects are read as Go would write them: a struct that is not there reads as an empty one
//! (see [`Object::unwritten`]). Without that, ownership would differ from upstream's by the parents
//! of nearly every field.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::{PathElement, equal, identical};
use super::place::{Form, List, Merge, MissingKeys, Object, Place};
use super::set::{Node, Set};
use crate::schema::EMPTY;

/// The difference between two objects. A field is in one of the sets at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Comparison<'a> {
    /// In the old object only.
    pub(super) removed: Set<'a>,
    /// In both, with different values.
    pub(super) modified: Set<'a>,
    /// In the new object only.
    pub(super) added: Set<'a>,
}

impl<'a> Comparison<'a> {
    /// What is in the new object and was not like that in the old one.
    pub(super) fn written(&self) -> Cow<'_, Set<'a>> {
        match (self.modified.is_empty(), self.added.is_empty()) {
            (true, _) => Cow::Borrowed(&self.added),
            (_, true) => Cow::Borrowed(&self.modified),
            _ => Cow::Owned(self.modified.union(&self.added)),
        }
    }

    /// The same, of what is not needed any more.
    pub(super) fn into_written(self) -> Set<'a> {
        match (self.modified.is_empty(), self.added.is_empty()) {
            (true, _) => self.added,
            (_, true) => self.modified,
            _ => self.modified.union(&self.added),
        }
    }

    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// Each set as `change` leaves it.
    pub(super) fn map(self, change: impl Fn(Set<'a>) -> Set<'a>) -> Comparison<'a> {
        Comparison {
            removed: change(self.removed),
            modified: change(self.modified),
            added: change(self.added),
        }
    }
}

/// Compares two objects of a type. `None` is no object, all of whose fields are missing.
pub(super) fn compare<'a>(
    old: Option<&'a Value>,
    new: &'a Value,
    place: Place<'a>,
) -> Result<Comparison<'a>, String> {
    let old = old.unwrap_or(&EMPTY);
    let delta = delta(Some(old), Some(new), place)?;
    Ok(Comparison {
        removed: delta.removed.children,
        modified: delta.modified.children,
        added: delta.added.children,
    })
}

/// What changed at one place and below it.
#[derive(Default)]
struct Delta<'a> {
    removed: Node<'a>,
    modified: Node<'a>,
    added: Node<'a>,
}

/// What changed at the steps below a place.
#[derive(Default)]
struct Below<'a> {
    removed: Vec<(PathElement<'a>, Node<'a>)>,
    modified: Vec<(PathElement<'a>, Node<'a>)>,
    added: Vec<(PathElement<'a>, Node<'a>)>,
}

impl<'a> Below<'a> {
    fn push(&mut self, element: PathElement<'a>, delta: Delta<'a>) {
        let sets = [
            (&mut self.removed, delta.removed),
            (&mut self.modified, delta.modified),
            (&mut self.added, delta.added),
        ];
        for (nodes, node) in sets {
            if !node.is_empty() {
                nodes.push((element.clone(), node));
            }
        }
    }

    fn into_delta(self) -> Delta<'a> {
        let node = |nodes| Node {
            member: false,
            children: Set::of(nodes),
        };
        Delta {
            removed: node(self.removed),
            modified: node(self.modified),
            added: node(self.added),
        }
    }
}

fn delta<'a>(
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    place: Place<'a>,
) -> Result<Delta<'a>, String> {
    if let (Some(old), Some(new)) = (old, new)
        && identical(old, new)
    {
        return Ok(Delta::default());
    }
    match (place.form(old), place.form(new)) {
        (form, _) if new.is_none() => formed(old, new, form),
        (_, form) if old.is_none() => formed(old, new, form),
        (Form::Object(_), form @ Form::Object(_))
        | (Form::List(_), form @ Form::List(_))
        | (Form::Scalar(_), form @ Form::Scalar(_)) => formed(old, new, form),
        // A free-form value became one of another form: all it was went, and another came.
        (before, after) => {
            let mut delta = formed(old, None, before)?;
            delta.removed.member = false;
            delta.added = formed(None, new, after)?.added;
            delta.added.member = false;
            delta.modified.member = true;
            Ok(delta)
        }
    }
}

fn formed<'a>(
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    form: Form<'a>,
) -> Result<Delta<'a>, String> {
    let below = match form {
        Form::List(list) if !matches!(list.merge, Merge::Atomic) => {
            let [before, after] = [old, new].map(|side| side.and_then(Value::as_array));
            let empty = |items: Option<&Vec<Value>>| items.is_none_or(Vec::is_empty);
            if empty(before) && empty(after) {
                None
            } else {
                Some(items(slice(before), slice(after), list)?)
            }
        }
        Form::Object(object) if !object.atomic => {
            let [before, after] = [old, new].map(|side| side.and_then(Value::as_object));
            entries(before, after, object)?
        }
        _ => None,
    };
    let Some(below) = below else {
        return Ok(leaf(old, new));
    };
    let mut delta = below.into_delta();
    delta.added.member = old.is_none();
    delta.removed.member = new.is_none();
    Ok(delta)
}

fn slice(items: Option<&Vec<Value>>) -> &[Value] {
    items.map_or(&[], Vec::as_slice)
}

fn leaf<'a>(old: Option<&Value>, new: Option<&Value>) -> Delta<'a> {
    let mut delta = Delta::default();
    match (old, new) {
        (None, _) => delta.added.member = true,
        (_, None) => delta.removed.member = true,
        (Some(old), Some(new)) => delta.modified.member = !equal(old, new),
    }
    delta
}

/// `None` when there is nothing on either side, which makes the whole a leaf.
fn entries<'a>(
    old: Option<&'a Map<String, Value>>,
    new: Option<&'a Map<String, Value>>,
    object: Object<'a>,
) -> Result<Option<Below<'a>>, String> {
    let empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
    // Where one side has no struct at all, the other one's empty structs are a difference.
    let one_sided = old.is_none() != new.is_none();
    let mut unwritten = object.always().filter(|_| one_sided).peekable();
    if empty(old) && empty(new) && unwritten.peek().is_none() {
        return Ok(None);
    }
    let mut below = Below::default();
    let mut visit = |name: &'a str, before, after| -> Result<(), String> {
        if let Some(place) = object.place(name) {
            below.push(PathElement::Field(name), delta(before, after, place)?);
        }
        Ok(())
    };
    let unsaid =
        |side: Option<&Map<String, Value>>, name: &str| side.and_then(|_| object.unwritten(name));
    for (name, after) in new.into_iter().flatten() {
        let before = old.and_then(|old| old.get(name));
        visit(name, before.or_else(|| unsaid(old, name)), Some(after))?;
    }
    for (name, before) in old.into_iter().flatten() {
        if !new.is_some_and(|new| new.contains_key(name)) {
            visit(name, Some(before), unsaid(new, name))?;
        }
    }
    for (name, value) in unwritten {
        let said = |map: Option<&Map<String, Value>>| map.is_some_and(|map| map.contains_key(name));
        if !said(old) && !said(new) {
            let [before, after] = [old, new].map(|side| side.map(|_| value));
            visit(name, before, after)?;
        }
    }
    Ok(Some(below))
}

fn items<'a>(old: &'a [Value], new: &'a [Value], list: List<'a>) -> Result<Below<'a>, String> {
    let mut below = Below::default();
    let mut found: BTreeMap<PathElement<'a>, [Vec<&'a Value>; 2]> = BTreeMap::new();
    for (side, items) in [old, new].into_iter().enumerate() {
        for item in items {
            let element = list.element(item, MissingKeys::Zero)?;
            found.entry(element).or_default()[side].push(item);
        }
    }
    for (element, [before, after]) in found {
        let delta = match (before.as_slice(), after.as_slice()) {
            ([] | [_], [] | [_]) => {
                delta(before.first().copied(), after.first().copied(), list.item)?
            }
            // Items with the same keys are one thing, which changes as a whole.
            ([_, _, ..], [_, _, ..]) => {
                let same = before.len() == after.len()
                    && before.iter().zip(&after).all(|(a, b)| equal(a, b));
                let mut delta = Delta::default();
                delta.modified.member = !same;
                delta
            }
            ([_, _, ..], after) => {
                let mut delta = match after.first() {
                    Some(item) => delta(None, Some(item), list.item)?,
                    None => Delta::default(),
                };
                delta.removed.member = true;
                delta
            }
            (before, _) => {
                let mut delta = match before.first() {
                    Some(item) => delta(Some(item), None, list.item)?,
                    None => Delta::default(),
                };
                delta.added.member = true;
                delta
            }
        };
        below.push(element, delta);
    }
    Ok(below)
}
