//! An applied configuration merged into the live object.
//!
//! Nothing goes in a merge: what the configuration does not mention stays. Lists that merge by
//! item take the configuration's order for what it mentions, and keep what else there is about
//! where it was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::path::PathElement;
use super::place::{Form, List, Merge, MissingKeys, Object, Place};

/// The live object with what the configuration says.
pub(super) fn merge(live: &Value, config: &Value, place: Place<'_>) -> Result<Value, String> {
    both(live, config, place)
}

fn either(
    live: Option<&Value>,
    config: Option<&Value>,
    place: Place<'_>,
) -> Result<Option<Value>, String> {
    match (live, config) {
        (Some(live), Some(config)) => both(live, config, place).map(Some),
        (one, other) => Ok(one.or(other).cloned()),
    }
}

fn both(live: &Value, config: &Value, place: Place<'_>) -> Result<Value, String> {
    match (place.form(Some(live)), place.form(Some(config))) {
        (Form::List(_), Form::List(list)) if !matches!(list.merge, Merge::Atomic) => {
            let [live_items, items] =
                [live, config].map(|side| side.as_array().map_or(&[][..], Vec::as_slice));
            if live_items.is_empty() && items.is_empty() {
                return Ok(config.clone());
            }
            self::items(live_items, items, list).map(Value::Array)
        }
        (Form::Object(_), Form::Object(object)) if !object.atomic => {
            let [live_map, map] = [live, config].map(Value::as_object);
            let empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
            if empty(live_map) && empty(map) {
                return Ok(config.clone());
            }
            entries(live_map, map, object).map(Value::Object)
        }
        _ => Ok(config.clone()),
    }
}

fn entries(
    live: Option<&Map<String, Value>>,
    config: Option<&Map<String, Value>>,
    object: Object<'_>,
) -> Result<Map<String, Value>, String> {
    let mut merged = live.cloned().unwrap_or_default();
    for (name, value) in config.into_iter().flatten() {
        let Some(place) = object.place(name) else {
            continue;
        };
        let value = match merged.get(name) {
            Some(live) => both(live, value, place)?,
            None => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Ok(merged)
}

/// One side of a merge of lists.
struct Side<'a> {
    items: &'a [Value],
    elements: Vec<PathElement<'a>>,
    /// Where each element stands; items with the same keys are as good as none.
    found: BTreeMap<PathElement<'a>, Option<&'a Value>>,
}

impl<'a> Side<'a> {
    fn new(items: &'a [Value], list: List<'a>) -> Result<Side<'a>, String> {
        let mut elements = Vec::with_capacity(items.len());
        let mut found: BTreeMap<_, Option<&'a Value>> = BTreeMap::new();
        for item in items {
            let element = list.element(item, MissingKeys::Zero)?;
            found
                .entry(element.clone())
                .and_modify(|first| *first = None)
                .or_insert(Some(item));
            elements.push(element);
        }
        Ok(Side {
            items,
            elements,
            found,
        })
    }

    fn has(&self, element: &PathElement<'a>) -> bool {
        self.found.contains_key(element)
    }

    fn get(&self, element: &PathElement<'a>) -> Option<&'a Value> {
        self.found.get(element).copied().flatten()
    }
}

fn items<'a>(live: &'a [Value], config: &'a [Value], list: List<'a>) -> Result<Vec<Value>, String> {
    let config = Side::new(config, list)?;
    if let Some(again) = config.elements.iter().find(|one| config.get(one).is_none()) {
        return Err(format!("duplicate entries for key {again}"));
    }
    let live = Side::new(live, list)?;
    // What both have, in the order of the configuration.
    let mut shared = config.elements.iter().filter(|one| live.has(one));
    let mut next_shared = shared.next();
    let mut merged = BTreeSet::new();
    let mut out = Vec::with_capacity(live.items.len().max(config.items.len()));
    let (mut at, mut config_at) = (0, 0);
    while at < live.elements.len() || config_at < config.elements.len() {
        let (ours, theirs) = (live.elements.get(at), config.elements.get(config_at));
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            if ours == theirs {
                out.extend(either(live.get(ours), config.get(ours), list.item)?);
                merged.insert(ours);
                at += 1;
                config_at += 1;
                next_shared = shared.next();
                continue;
            }
            if config.has(ours) && next_shared.is_some_and(|next| next != ours) {
                // Its turn comes later.
                at += 1;
                continue;
            }
        }
        if let Some(ours) = ours {
            if !config.has(ours) {
                out.push(live.items[at].clone());
                at += 1;
                continue;
            }
            if merged.contains(ours) {
                at += 1;
            }
        }
        if let Some(theirs) = theirs {
            out.extend(either(live.get(theirs), config.get(theirs), list.item)?);
            merged.insert(theirs);
            config_at += 1;
            if next_shared.is_some_and(|next| next == theirs) {
                next_shared = shared.next();
            }
        }
    }
    Ok(out)
}
