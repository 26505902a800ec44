//! Small accessors over an object's `Value`, so that rules read like the field paths they are about.
//!
//! A path is dot-separated field names (`spec.nodeName`); keys that themselves hold dots (labels,
//! annotations) have accessors of their own. An absent field and an explicit `null` are the same
//! thing. Nothing here knows a kind.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// How deep a stored object may nest: what bodies may, and the managers' fields that describe it; but less than readers
/// of JSON bear.
pub const MAX_NESTING: usize = 120;

/// Whether objects and lists nest deeper than so many levels.
pub fn nests_deeper(value: &Value, levels: usize) -> bool {
    let inside = |item: &Value| nests_deeper(item, levels - 1);
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(inside),
        Value::Object(fields) => levels == 0 || fields.values().any(inside),
        _ => false,
    }
}

/// The value at `path`, unless it is absent or null.
pub fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut current = value;
    for name in path.split('.') {
        current = current.as_object()?.get(name)?;
    }
    (!current.is_null()).then_some(current)
}

/// The value at `path`, null when absent: for rules about parts that may not be there.
pub fn part<'a>(value: &'a Value, path: &str) -> &'a Value {
    get(value, path).unwrap_or(&Value::Null)
}

/// The string at `path`; empty when absent or of another type, as in Go's zero value.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    get(value, path).and_then(Value::as_str).unwrap_or("")
}

/// The integer at `path`.
pub fn int(value: &Value, path: &str) -> Option<i64> {
    get(value, path).and_then(Value::as_i64)
}

/// The boolean at `path`; false when absent.
pub fn flag(value: &Value, path: &str) -> bool {
    get(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at `path`; empty when absent.
pub fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    get(value, path)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or(&[])
}

/// The items of the list at `path` by their names; of several with one name, the first.
pub fn by_name<'a>(value: &'a Value, path: &str) -> HashMap<&'a str, &'a Value> {
    let items = items(value, path).iter().rev();
    items.map(|item| (text(item, "name"), item)).collect()
}

/// The entries of the map at `path`; none when absent.
pub fn entries<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    get(value, path)
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|map| map.iter().map(|(key, value)| (key.as_str(), value)))
}

/// True when `path` is absent, null, or an empty string, list or map.
pub fn is_empty(value: &Value, path: &str) -> bool {
    match get(value, path) {
        None => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

/// The list at `path` for writing; an empty slice when absent.
pub fn items_mut<'a>(value: &'a mut Value, path: &str) -> &'a mut [Value] {
    get_mut(value, path)
        .and_then(Value::as_array_mut)
        .map(Vec::as_mut_slice)
        .unwrap_or(&mut [])
}

/// The value at `path` for writing, unless it is absent or null.
pub fn get_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut current = value;
    for name in path.split('.') {
        current = current.as_object_mut()?.get_mut(name)?;
    }
    (!current.is_null()).then_some(current)
}

/// Sets `path`, making the maps on the way. A non-map on the way stays as it is and nothing is set:
/// such an object is refused by decoding and validation.
pub fn set(value: &mut Value, path: &str, new: impl Into<Value>) {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut current = value;
    for name in parents.split('.').filter(|name| !name.is_empty()) {
        let Some(map) = current.as_object_mut() else {
            return;
        };
        current = map.entry(name).or_insert(Value::Null);
        if current.is_null() {
            *current = Value::Object(Map::new());
        }
    }
    if let Some(map) = current.as_object_mut() {
        map.insert(last.to_owned(), new.into());
    }
}

/// Sets `path` only when nothing is there yet.
pub fn set_default(value: &mut Value, path: &str, new: impl Into<Value>) {
    if get(value, path).is_none() {
        set(value, path, new);
    }
}

/// Sets one key of the map at `path`: keys of labels, annotations and amounts hold dots themselves.
pub fn set_entry(value: &mut Value, path: &str, key: &str, new: impl Into<Value>) {
    set_default(value, path, Map::new());
    if let Some(map) = get_mut(value, path).and_then(Value::as_object_mut) {
        map.insert(key.to_owned(), new.into());
    }
}

/// One entry of the map at `path`.
pub fn entry<'a>(value: &'a Value, path: &str, key: &str) -> Option<&'a Value> {
    get(value, path)?.as_object()?.get(key)
}

/// Removes `path` and returns what was there. The order of the other fields is kept.
pub fn remove(value: &mut Value, path: &str) -> Option<Value> {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = if parents.is_empty() {
        value
    } else {
        get_mut(value, parents)?
    };
    parent.as_object_mut()?.shift_remove(last)
}

/// `metadata.name`.
pub fn name(value: &Value) -> &str {
    text(value, "metadata.name")
}

/// `metadata.generateName`.
pub fn generate_name(value: &Value) -> &str {
    text(value, "metadata.generateName")
}

/// `metadata.namespace`.
pub fn namespace(value: &Value) -> &str {
    text(value, "metadata.namespace")
}

/// `metadata.uid`.
pub fn uid(value: &Value) -> &str {
    text(value, "metadata.uid")
}

/// `metadata.resourceVersion`.
pub fn resource_version(value: &Value) -> &str {
    text(value, "metadata.resourceVersion")
}

/// `metadata.generation`; 0 when absent.
pub fn generation(value: &Value) -> i64 {
    int(value, "metadata.generation").unwrap_or(0)
}

/// `metadata.creationTimestamp`, RFC 3339.
pub fn creation_timestamp(value: &Value) -> &str {
    text(value, "metadata.creationTimestamp")
}

/// `metadata.deletionTimestamp`, RFC 3339, when the object is being deleted.
pub fn deletion_timestamp(value: &Value) -> Option<&str> {
    get(value, "metadata.deletionTimestamp").and_then(Value::as_str)
}

/// `metadata.labels`.
pub fn labels(value: &Value) -> Option<&Map<String, Value>> {
    get(value, "metadata.labels").and_then(Value::as_object)
}

/// One label.
pub fn label<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    labels(value)?.get(key)?.as_str()
}

/// `metadata.annotations`.
pub fn annotations(value: &Value) -> Option<&Map<String, Value>> {
    get(value, "metadata.annotations").and_then(Value::as_object)
}

/// One annotation.
pub fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    annotations(value)?.get(key)?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(value: &Value) -> impl Iterator<Item = &str> {
    items(value, "metadata.finalizers")
        .iter()
        .filter_map(Value::as_str)
}

/// `metadata.ownerReferences`.
pub fn owner_references(value: &Value) -> &[Value] {
    items(value, "metadata.ownerReferences")
}

/// The owner that has `controller: true`.
pub fn controller_of(value: &Value) -> Option<&Value> {
    owner_references(value)
        .iter()
        .find(|owner| flag(owner, "controller"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_read_and_write() {
        let mut value = json!({"metadata": {"name": "a", "labels": {"x.y/z": "1"}}, "spec": null});
        assert_eq!(name(&value), "a");
        assert_eq!(label(&value, "x.y/z"), Some("1"));
        assert_eq!(get(&value, "spec"), None);
        assert!(part(&value, "spec.template").is_null());
        assert_eq!(text(&value, "metadata.name.deeper"), "");
        set(&mut value, "spec.a.b", 1);
        assert_eq!(int(&value, "spec.a.b"), Some(1));
        set(&mut value, "metadata.name.deeper", 1);
        assert_eq!(name(&value), "a");
        assert_eq!(remove(&mut value, "spec.a"), Some(json!({"b": 1})));
        assert!(is_empty(&value, "spec"));
        set_default(&mut value, "spec.c", 1);
        set_default(&mut value, "spec.c", 2);
        assert_eq!(int(&value, "spec.c"), Some(1));
        set_entry(&mut value, "spec.d", "x.y/z", "1");
        assert_eq!(entry(&value, "spec.d", "x.y/z"), Some(&json!("1")));
        assert_eq!(entry(&value, "spec.d", "x"), None);
    }
}
