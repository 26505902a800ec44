//! Kubernetes' dialect of JSONPath, as printer columns use it: `.spec.ports[*].name`, `['a.b']`,
//! `[0:2]`, `[?(@.type=="Ready")].status`, `..name`.

mod filter;
mod parse;

use serde_json::Value;

use filter::Filter;

/// Most values one path gives: `..` and filters over long lists end here.
const MAX_RESULTS: usize = 1000;

/// A parsed path.
#[derive(Debug)]
pub(crate) struct JsonPath(Vec<Step>);

/// One step down.
#[derive(Debug)]
enum Step {
    Field(String),
    /// `*`, `[*]`
    Wildcard,
    /// `..`: the value itself and everything below it.
    Recursive,
    /// `[1]`, `[0:4:2]`; a missing bound is the end of the list.
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
        single: bool,
    },
    /// `[0,2]`, `['a','b']`
    Union(Vec<Step>),
    Filter(Box<Filter>),
}

impl JsonPath {
    /// Parses a path as it stands between braces; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<JsonPath> {
        parse::path(text).map(JsonPath)
    }

    /// The first value the path leads to. What is missing on the way is no error.
    pub(crate) fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.all(value).into_iter().next()
    }

    fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![value];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                step.follow(value, &mut next);
            }
            found = next;
        }
        found
    }
}

impl Step {
    fn follow<'v>(&self, value: &'v Value, found: &mut Vec<&'v Value>) {
        if found.len() >= MAX_RESULTS {
            return;
        }
        match self {
            Step::Field(name) => found.extend(value.as_object().and_then(|map| map.get(name))),
            Step::Wildcard => children(value, found),
            Step::Recursive => below(value, found),
            Step::Slice {
                start,
                end,
                step,
                single,
            } => {
                if let Value::Array(list) = value {
                    found.extend(slice(list, (*start, *end, *step), *single));
                }
            }
            Step::Union(steps) => steps.iter().for_each(|step| step.follow(value, found)),
            Step::Filter(filter) => {
                if let Value::Array(list) = value {
                    let matching = list.iter().filter(|item| filter.holds(item));
                    found.extend(matching.take(MAX_RESULTS));
                }
            }
        }
    }
}

fn children<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(list) => found.extend(list.iter().take(MAX_RESULTS)),
        Value::Object(map) => found.extend(map.values().take(MAX_RESULTS)),
        _ => {}
    }
}

fn below<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    if found.len() >= MAX_RESULTS {
        return;
    }
    found.push(value);
    match value {
        Value::Array(list) => list.iter().for_each(|item| below(item, found)),
        Value::Object(map) => map.values().for_each(|item| below(item, found)),
        _ => {}
    }
}

fn slice(
    list: &[Value],
    (start, end, step): (Option<i64>, Option<i64>, i64),
    single: bool,
) -> Vec<&Value> {
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    // Negative numbers count from the end.
    let place = |at: i64| {
        if at < 0 {
            at.saturating_add(length)
        } else {
            at
        }
    };
    let start = place(start.unwrap_or(0));
    let end = match single {
        true => start.saturating_add(1),
        false => end.map_or(length, place).min(length),
    };
    let (Ok(start), Ok(step)) = (usize::try_from(start), usize::try_from(step)) else {
        return Vec::new();
    };
    let end = usize::try_from(end).unwrap_or(0).min(list.len());
    let range = list.get(start..end).unwrap_or_default();
    range
        .iter()
        .step_by(step.max(1))
        .take(MAX_RESULTS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn paths_lead_where_upstreams_lead() {
        let value = json!({
            "metadata": {"name": "a", "labels": {"x.y/z": "l"}},
            "spec": {"list": [10, 20, 30], "ports": [{"n": "http", "p": 80}, {"n": "dns", "p": 53}]},
            "status": {"conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]},
        });
        let check = |path: &str, want: Value| {
            let path = JsonPath::parse(path).unwrap_or_else(|| panic!("{path} parses"));
            let found: Vec<Value> = path.all(&value).into_iter().cloned().collect();
            assert_eq!(Value::Array(found), want, "{path:?}");
        };
        check(".metadata.name", json!(["a"]));
        check("metadata.name", json!(["a"]));
        check("$.metadata.name", json!(["a"]));
        check(r".metadata.labels.x\.y/z", json!(["l"]));
        check(".metadata.labels['x.y/z']", json!(["l"]));
        check(r#".metadata.labels["x.y/z"]"#, json!(["l"]));
        check(".spec.list[0]", json!([10]));
        check(".spec.list[-1]", json!([30]));
        check(".spec.list[0:2]", json!([10, 20]));
        check(".spec.list[::2]", json!([10, 30]));
        check(".spec.list[0,2]", json!([10, 30]));
        check(".spec.list[*]", json!([10, 20, 30]));
        check(".spec.list[7]", json!([]));
        check(".spec.ports[*].n", json!(["http", "dns"]));
        check(".spec.ports[?(@.p==53)].n", json!(["dns"]));
        check(".spec.ports[?(@.p > 60)].n", json!(["http"]));
        check(".spec.ports[?(@.q)].n", json!([]));
        check(
            r#".status.conditions[?(@.type=="Ready")].status"#,
            json!(["True"]),
        );
        check(
            ".status.conditions[?(@.type!='Ready')].status",
            json!(["False"]),
        );
        check("..n", json!(["http", "dns"]));
        check(".nothing.here", json!([]));
        check(".metadata['name','nothing']", json!(["a"]));
        assert_eq!(
            JsonPath::parse(".spec.list[1]").and_then(|path| path.first(&value).cloned()),
            Some(json!(20))
        );
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [".a[", ".a[?(@.b]", ".a['b]", ".a[x]", ".a[?(1)]", ".a[1:x]"] {
            assert!(JsonPath::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[.\[\]?()@*'"=<>!:,a-c0-9\\$ -]{0,30}"#) {
            if let Some(path) = JsonPath::parse(&text) {
                let value = json!({"a": [1, {"b": 2}], "b": {"c": [3]}});
                let _ = path.all(&value);
            }
        }
    }
}
