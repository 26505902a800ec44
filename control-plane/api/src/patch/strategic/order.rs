//! The order of merged lists: what the patch names comes in the patch's order (or in that of
//! `$setElementOrder`), what only the server knows keeps its place relative to that.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::lookup::Lookup;
use super::{
    ORDER_PREFIX, Object, PATCH, PatchError, as_new, lists, merge_list_field, no_merge_key,
    strip_prefix,
};

/// Carries out every `$setElementOrder/field` together with the list it orders. Both leave `patch`.
pub(super) fn apply_element_orders(
    original: &mut Object,
    patch: &mut Object,
    lookup: &Lookup,
) -> Result<(), PatchError> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(ORDER_PREFIX))
        .cloned()
        .collect();
    if directives.is_empty() {
        return Ok(());
    }
    // They and their lists leave together at the end, since each alone would push all behind it along.
    let mut done = HashSet::new();
    for directive in directives {
        let order = patch.get_mut(&directive).map(Value::take);
        let order = order.unwrap_or_default();
        done.insert(directive.clone());
        let Some(field) = strip_prefix(&directive, ORDER_PREFIX) else {
            continue;
        };
        let field = field?;
        let order = into_list(order)?;
        let old = original.get(field).filter(|old| !old.is_null()).cloned();
        let old = old.map(into_list).transpose()?;
        let new = patch.get_mut(field).map(Value::take);
        let new = new.filter(|new| !new.is_null());
        done.insert(field.to_owned());
        let new = new.map(into_list).transpose()?;
        let rules = lookup.list(field);
        let key = rules.key.as_deref();
        check_against_order(new.as_deref().unwrap_or(&[]), &order, key)?;
        let server = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new.into_iter().filter_map(as_new).collect(),
            (Some(old), Some(new)) => merge_list_field(old, new, &rules)?,
        };
        let key = match lists::kind(&merged, &[])? {
            lists::Kind::Objects => key,
            lists::Kind::Scalars => None,
        };
        let ordered = arrange(merged, &order, &order, &server, key)?;
        original.insert(field.to_owned(), Value::Array(ordered));
    }
    patch.retain(|key, _| !done.contains(key));
    Ok(())
}

/// Puts a merged list in order. `named` are the items the patch speaks of, `order` is theirs,
/// `server` is the order of the rest.
pub(super) fn arrange(
    merged: Vec<Value>,
    named: &[Value],
    order: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    if let Some(key) = key {
        let all = merged.iter().chain(named);
        if let Some(item) = all.into_iter().find(|item| item.get(key).is_none()) {
            return Err(no_merge_key(item, key));
        }
    }
    let (named, order) = (Places::of(named, key), Places::of(order, key));
    let server = Places::of(server, key);
    let (mut from_patch, mut from_server): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| named.find(item).is_some());
    from_patch.sort_by_cached_key(|item| order.find(item));
    from_server.sort_by_cached_key(|item| server.find(item).unwrap_or(usize::MAX));
    Ok(interleave(from_server, from_patch, &server))
}

/// Where the items of a list are, by what tells them apart. Lists come from outside and may be
/// long, so nothing here compares each item with each other.
pub(super) struct Places<'a> {
    key: Option<&'a str>,
    first: HashMap<String, usize>,
}

impl<'a> Places<'a> {
    pub(super) fn of(items: &[Value], key: Option<&'a str>) -> Places<'a> {
        let first = HashMap::with_capacity(items.len());
        let mut places = Places { key, first };
        for (at, item) in items.iter().enumerate() {
            places.add(item, at);
        }
        places
    }

    pub(super) fn add(&mut self, item: &Value, at: usize) {
        if let Some(identity) = self.identity(item) {
            self.first.entry(identity).or_insert(at);
        }
    }

    pub(super) fn find(&self, item: &Value) -> Option<usize> {
        self.first.get(&self.identity(item)?).copied()
    }

    fn identity(&self, item: &Value) -> Option<String> {
        match self.key {
            Some(key) => item.get(key).map(Value::to_string),
            None => Some(item.to_string()),
        }
    }
}

/// Merges two ordered lists so that an item of the server's comes first only where the server's
/// old list had it first.
fn interleave(left: Vec<Value>, right: Vec<Value>, server: &Places<'_>) -> Vec<Value> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(ours), Some(theirs)) = (left.peek(), right.peek()) {
        let before = match (server.find(ours), server.find(theirs)) {
            (Some(ours), Some(theirs)) => ours < theirs,
            _ => false,
        };
        merged.extend(if before { left.next() } else { right.next() });
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

/// The items of the patch must all be in the order list, in the same relative order.
fn check_against_order(
    patch: &[Value],
    order: &[Value],
    key: Option<&str>,
) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut places = order.iter();
    let directive = |item: &&Value| item.get(PATCH).is_some();
    for item in patch
        .iter()
        .filter(|item| key.is_none() || !directive(item))
    {
        if let Some(key) = key
            && item.get(key).is_none()
        {
            return Err(no_merge_key(item, key));
        }
        let same = |place: &Value| match key {
            Some(key) => place.get(key) == item.get(key),
            None => place == item,
        };
        if !places.any(same) {
            let (patch, order) = (Value::from(patch), Value::from(order));
            return Err(PatchError::Malformed(format!(
                "The order in patch list:\n{patch}\n doesn't match {ORDER_PREFIX} list:\n{order}\n"
            )));
        }
    }
    Ok(())
}

fn into_list(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => {
            let why = format!("expected a list, but received: {other}");
            Err(PatchError::Malformed(why))
        }
    }
}
