//! Two answers as values, and where they differ.

use std::fmt;
use std::net::IpAddr;

use sampan_api::time;
use serde_json::{Map, Value};

/// One difference between two answers.
pub(super) struct Difference {
    /// `body.items[default].spec.finalizers[0]`
    pub(super) path: String,
    golden: Option<Value>,
    ours: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| {
            let text = value
                .as_ref()
                .map_or("nothing".to_owned(), Value::to_string);
            text.chars().take(300).collect::<String>()
        };
        write!(
            out,
            "{}: {} here, {} there",
            self.path,
            shown(&self.ours),
            shown(&self.golden)
        )
    }
}

pub(super) fn differences(golden: &Value, ours: &Value) -> Vec<Difference> {
    let mut all = Vec::new();
    walk("", Some(golden), Some(ours), &mut all);
    all
}

fn walk(path: &str, golden: Option<&Value>, ours: Option<&Value>, all: &mut Vec<Difference>) {
    match (golden, ours) {
        (Some(Value::Object(golden)), Some(Value::Object(ours))) => {
            let names = golden
                .keys()
                .chain(ours.keys().filter(|name| !golden.contains_key(*name)));
            for name in names {
                let dot = if path.is_empty() { "" } else { "." };
                walk(
                    &format!("{path}{dot}{name}"),
                    golden.get(name),
                    ours.get(name),
                    all,
                );
            }
        }
        (Some(Value::Array(golden)), Some(Value::Array(ours))) => lists(path, golden, ours, all),
        (golden, ours) if golden != ours => all.push(Difference {
            path: path.to_owned(),
            golden: golden.cloned(),
            ours: ours.cloned(),
        }),
        _ => {}
    }
}

/// Items that have a name are compared with those of the same name, others by position.
fn lists(path: &str, golden: &[Value], ours: &[Value], all: &mut Vec<Difference>) {
    let mut rest: Vec<&Value> = ours.iter().collect();
    for (at, item) in golden.iter().enumerate() {
        let name = name(item).unwrap_or_else(|| at.to_string());
        let same = match self::name(item) {
            Some(name) => rest
                .iter()
                .position(|other| self::name(other) == Some(name.clone())),
            None => (!rest.is_empty()).then_some(0),
        };
        let same = same.map(|at| rest.remove(at));
        walk(&format!("{path}[{name}]"), Some(item), same, all);
    }
    for (at, item) in rest.into_iter().enumerate() {
        let name = name(item).unwrap_or_else(|| (golden.len() + at).to_string());
        walk(&format!("{path}[{name}]"), None, Some(item), all);
    }
}

fn name(item: &Value) -> Option<String> {
    let metadata = item
        .get("metadata")
        .and_then(|metadata| metadata.get("name"));
    let own = [
        "name",
        "resource",
        "subresource",
        "version",
        "manager",
        "key",
    ]
    .iter();
    let own = own
        .filter_map(|field| item.get(field))
        .find(|name| name.is_string());
    metadata.or(own).and_then(Value::as_str).map(str::to_owned)
}

/// Whether a text fits a pattern, in which `*` stands for anything.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| fits(rest, &text[at..]))
        }),
    }
}

/// The value without what is another one every time: times, uids, versions, addresses, random names.
pub(super) fn normalized(value: Value) -> Value {
    normal("", value)
}

fn normal(name: &str, value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let member = normal(&name, member);
                (name, member)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(|item| normal(name, item)).collect();
            // Sets, whatever their order.
            if matches!(
                name,
                "rules" | "subjects" | "verbs" | "resources" | "apiGroups"
            ) {
                items.sort_by_key(Value::to_string);
            }
            items.into()
        }
        Value::String(text) => text_of(name, &text).into(),
        other => other,
    }
}

fn text_of(name: &str, text: &str) -> String {
    match name {
        "uid" => return "UID".to_owned(),
        "resourceVersion" if !text.is_empty() => return "VERSION".to_owned(),
        "token" | "continue" => return name.to_uppercase(),
        "serverAddress" => return "ADDRESS".to_owned(),
        _ => {}
    }
    if time::parse(text).is_some() {
        return "TIME".to_owned();
    }
    if text.parse::<IpAddr>().is_ok() {
        return "IP".to_owned();
    }
    // The age of a row.
    if text
        .strip_suffix('s')
        .is_some_and(|age| age.parse::<u8>().is_ok())
    {
        return "AGE".to_owned();
    }
    if let Some(random) = text.strip_prefix("kube-api-access-") {
        return format!("kube-api-access-{}", "x".repeat(random.len()));
    }
    without_versions(&without_uids(text))
}

/// Messages name uids.
fn without_uids(text: &str) -> String {
    const LENGTH: usize = 36;
    let is_uid = |part: &str| {
        part.char_indices().all(|(at, char)| match at {
            8 | 13 | 18 | 23 => char == '-',
            _ => char.is_ascii_hexdigit(),
        })
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..LENGTH) {
            Some(part) if is_uid(part) => {
                out.push_str("UID");
                rest = &rest[LENGTH..];
            }
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// Messages name the version the server is at.
fn without_versions(text: &str) -> String {
    match text.split_once("current: ") {
        Some((start, rest)) => {
            let rest = rest.trim_start_matches(|char: char| char.is_ascii_digit());
            format!("{start}current: VERSION{rest}")
        }
        None => text.to_owned(),
    }
}
