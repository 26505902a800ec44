//! `metadata.managedFields`: who owns what.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fields_v1;
use super::set::Set;

/// What a manager did to own something.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Operation {
    /// It applied a configuration: what it leaves out next time goes away.
    Apply,
    /// It wrote in any other way.
    Update,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// What one manager owns.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry<'a> {
    /// Its name.
    pub(super) manager: &'a str,
    /// How it came to own the fields.
    pub(super) operation: Operation,
    /// The version in which the fields have their names.
    pub(super) api_version: &'a str,
    /// The subresource it wrote to.
    pub(super) subresource: &'a str,
    /// When that was last of consequence.
    pub(super) time: Option<&'a str>,
    /// The fields.
    pub(super) set: Set<'a>,
}

impl<'a> Entry<'a> {
    /// What tells managers apart.
    pub(super) fn who(&self) -> (&'a str, Operation, &'a str, &'a str) {
        let version = match self.operation {
            Operation::Apply => "",
            Operation::Update => self.api_version,
        };
        (self.manager, self.operation, self.subresource, version)
    }

    /// Whether both are the same manager. One that updates in two versions is two managers.
    pub(super) fn is_same(&self, other: &Entry<'_>) -> bool {
        self.who() == other.who()
    }

    /// The manager as upstream writes it when it sorts managers.
    pub(super) fn identity(&self) -> String {
        let version = match self.operation {
            Operation::Apply => "",
            Operation::Update => self.api_version,
        };
        let parts = [
            ("manager", self.manager),
            ("operation", self.operation.word()),
            ("apiVersion", version),
            ("subresource", self.subresource),
        ];
        let parts = parts.iter().filter(|(_, text)| !text.is_empty());
        let texts: Vec<String> = parts
            .map(|(name, text)| format!("\"{name}\":{}", Value::from(*text)))
            .collect();
        format!("{{{}}}", texts.join(","))
    }
}

/// Reads the entries of an object. No list, and one that does not make sense, are told apart.
pub(super) fn decode(list: Option<&Value>) -> Result<Vec<Entry<'_>>, String> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut places = HashMap::new();
    for (at, item) in list
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let entry = entry(at, item)?;
        // A client may send tens of thousands.
        let place = *places.entry(entry.who()).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(earlier) => *earlier = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

fn entry(at: usize, item: &Value) -> Result<Entry<'_>, String> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or("");
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    if text("apiVersion").is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
        other => {
            return Err(format!(
                "invalid fieldsType {other:?} in managed fields entry {at}"
            ));
        }
    }
    let set = match item.get("fieldsV1") {
        Some(fields) => {
            fields_v1::decode(fields).map_err(|why| format!("error decoding set: {why}"))?
        }
        None => Set::default(),
    };
    Ok(Entry {
        manager: text("manager"),
        operation,
        api_version: text("apiVersion"),
        subresource: text("subresource"),
        time: item.get("time").and_then(Value::as_str),
        set,
    })
}

/// Writes entries in the order clients know; `None` when there are none.
pub(super) fn encode(mut entries: Vec<Entry<'_>>) -> Option<Value> {
    // Times are canonical, so their texts are in their order.
    entries.sort_by(|a, b| {
        let key = |entry: &Entry<'_>| (entry.operation, entry.time.unwrap_or("").to_owned());
        key(a)
            .cmp(&key(b))
            .then_with(|| a.manager.cmp(b.manager))
            .then_with(|| a.api_version.cmp(b.api_version))
            .then_with(|| a.subresource.cmp(b.subresource))
    });
    let list: Vec<Value> = entries.iter().map(item).collect();
    (!list.is_empty()).then_some(Value::Array(list))
}

fn item(entry: &Entry<'_>) -> Value {
    let mut map = Map::with_capacity(7);
    let mut put = |name: &str, text: &str| {
        if !text.is_empty() {
            map.insert(name.to_owned(), text.into());
        }
    };
    put("manager", entry.manager);
    put("operation", entry.operation.word());
    put("apiVersion", entry.api_version);
    put("time", entry.time.unwrap_or(""));
    put("fieldsType", "FieldsV1");
    map.insert("fieldsV1".to_owned(), fields_v1::encode(&entry.set));
    if !entry.subresource.is_empty() {
        map.insert("subresource".to_owned(), entry.subresource.into());
    }
    Value::Object(map)
}

/// Whether the list a client sent asks for all ownership to be forgotten.
pub(super) fn is_reset(list: Option<&Value>) -> bool {
    let said = |value: &Value| !(value.is_null() || value.as_str().is_some_and(str::is_empty));
    match list.and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(entry)]) => !entry.values().any(said),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn valid() -> Value {
        json!([{
            "manager": "m", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:k": {}}}, "subresource": "status",
        }])
    }

    #[test]
    fn entries_survive_a_round_trip_in_order() {
        let entry = |manager: &str, operation: &str, time: &str| {
            json!({
                "manager": manager, "operation": operation, "apiVersion": "v1", "time": time,
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:k": {}}},
            })
        };
        let sorted = json!([
            entry("z", "Apply", "2026-01-01T00:00:00Z"),
            entry("a", "Apply", "2026-01-01T00:00:01Z"),
            entry("b", "Apply", "2026-01-01T00:00:01Z"),
            entry("a", "Update", "2025-01-01T00:00:00Z"),
        ]);
        let mut mixed = sorted.clone();
        mixed.as_array_mut().expect("a list").reverse();
        let entries = decode(Some(&mixed)).expect("entries");
        assert_eq!(encode(entries), Some(sorted));
        let one = valid();
        let text = encode(decode(Some(&one)).expect("an entry"))
            .expect("one")
            .to_string();
        assert_eq!(text, one.to_string(), "and so do the fields of one");
        assert_eq!(encode(decode(None).expect("no entries")), None);
    }

    #[test]
    fn of_two_entries_of_one_manager_the_last_counts() {
        let mut list = valid();
        let mut again = list[0].clone();
        again["fieldsV1"] = json!({"f:data": {"f:x": {}}});
        // An applier is the same in every version.
        again["apiVersion"] = json!("v2");
        list.as_array_mut().expect("a list").push(again.clone());
        let entries = decode(Some(&list)).expect("entries");
        assert_eq!(encode(entries), Some(json!([again])));
    }

    /// Comparing each with each would take a minute here.
    #[test]
    fn many_entries() {
        let one = valid()[0].clone();
        let list: Value = (0..40_000)
            .map(|at| {
                let mut entry = one.clone();
                entry["manager"] = format!("m{at}").into();
                entry
            })
            .collect();
        let start = std::time::Instant::now();
        assert_eq!(decode(Some(&list)).expect("entries").len(), 40_000);
        let took = start.elapsed();
        assert!(took < std::time::Duration::from_secs(10), "{took:?}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |field: &str, value: Value, why: &str| {
            let mut list = valid();
            list[0][field] = value;
            assert_eq!(decode(Some(&list)), Err(why.to_owned()), "{field}");
        };
        check(
            "operation",
            json!("Create"),
            "operation must be `Apply` or `Update`",
        );
        check("apiVersion", json!(""), "apiVersion must not be empty");
        check(
            "fieldsType",
            json!(""),
            "missing fieldsType in managed fields entry 0",
        );
        check(
            "fieldsType",
            json!("FieldsV2"),
            "invalid fieldsType \"FieldsV2\" in managed fields entry 0",
        );
        check(
            "fieldsV1",
            json!({"f": {}}),
            "error decoding set: missing colon: f",
        );
    }

    #[test]
    fn resets() {
        for (list, expected) in [
            (json!([]), true),
            (json!([{}]), true),
            (json!([{"manager": ""}]), true),
            (json!([{}, {}]), false),
            (json!(null), false),
            (valid(), false),
        ] {
            assert_eq!(is_reset(Some(&list)), expected, "{list}");
        }
        assert!(!is_reset(None));
    }
}
