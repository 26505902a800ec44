//! Objects at random, shaped by the schema registry, and damaged ones.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use sampan_api::resource::Resource;
use sampan_api::schema::{Field, Shape, TypeId, schemas};
use serde_json::{Map, Value, json};

/// Values that are at home nowhere or at an edge.
const STRINGS: [&str; 24] = [
    "",
    "a",
    "web",
    "x-y.z",
    "UPPER",
    "-",
    "..",
    "a/b",
    "TCP",
    "UDP",
    "Always",
    "Never",
    "ClusterIP",
    "v1",
    "apps/v1",
    "10.96.0.77",
    "::1",
    "*/5 * * * *",
    "50%",
    "1Gi",
    "\u{1f980}",
    "a\0b",
    "true",
    "18446744073709551616",
];
const NUMBERS: [i64; 12] = [
    0,
    1,
    -1,
    2,
    80,
    255,
    65_535,
    65_536,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];
/// Deeper, types that hold themselves end.
const DEPTH: usize = 6;

/// An object of the kind: right in its types, at random in everything else.
pub(super) fn object(dice: &mut StdRng, row: &Resource) -> Value {
    let id = schemas().by_name(row.type_name).expect("registered");
    let mut value = whole(dice, id, 0);
    let top = value.as_object_mut().expect("an object");
    top.insert("apiVersion".into(), row.api_version().into());
    top.insert("kind".into(), row.kind.into());
    let mut metadata = Map::new();
    metadata.insert(
        "name".into(),
        format!("f{}", dice.random_range(0..1_000_000)).into(),
    );
    if dice.random_bool(0.3) {
        metadata.insert("labels".into(), json!({"app": "a"}));
    }
    if dice.random_bool(0.1) {
        metadata.insert("finalizers".into(), json!([]));
    }
    if dice.random_bool(0.1) {
        let id = schemas()
            .by_name("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
            .expect("registered");
        if let Value::Object(more) = whole(dice, id, 0) {
            for (key, value) in more {
                metadata.entry(key).or_insert(value);
            }
        }
    }
    top.insert("metadata".into(), metadata.into());
    value
}

fn whole(dice: &mut StdRng, id: TypeId, depth: usize) -> Value {
    let mut map = Map::new();
    let ty = schemas().get(id);
    for field in ty.fields() {
        // The deeper, the sparser: or objects would grow without end.
        let chance = match (field.required, depth) {
            (true, _) => 0.95,
            (false, 0..=1) => 0.5,
            (false, 2..=3) => 0.2,
            _ => 0.08,
        };
        if depth < DEPTH && dice.random_bool(chance) {
            map.insert(field.name.to_string(), filled(dice, field, depth));
        }
    }
    Value::Object(map)
}

fn filled(dice: &mut StdRng, field: &Field, depth: usize) -> Value {
    shaped(dice, &field.shape, depth)
}

fn shaped(dice: &mut StdRng, shape: &Shape, depth: usize) -> Value {
    match shape {
        Shape::String => text(dice).into(),
        Shape::Bool => dice.random_bool(0.5).into(),
        Shape::Int32 => {
            (i64::from(dice.random_range(-1..5)) * i64::from(dice.random_range(0..40_000))).into()
        }
        Shape::Int64 => integer(dice).into(),
        Shape::Number => json!(dice.random_range(-10.0..10.0)),
        Shape::Bytes => ["", "YQ==", "AAECAw=="].choose(dice).copied().into(),
        Shape::Time => "2026-01-02T03:04:05Z".into(),
        Shape::MicroTime => "2026-01-02T03:04:05.000006Z".into(),
        Shape::Quantity => ["0", "1", "500m", "1Gi", "1e3", "-1"]
            .choose(dice)
            .copied()
            .into(),
        Shape::IntOrString => match dice.random_bool(0.5) {
            true => integer(dice).into(),
            false => text(dice).into(),
        },
        Shape::Any => json!({"any": [text(dice), integer(dice)]}),
        Shape::Object(id) => whole(dice, *id, depth + 1),
        Shape::List(inner) => (0..dice.random_range(0..3))
            .map(|_| shaped(dice, inner, depth + 1))
            .collect(),
        Shape::Map(inner) => {
            let count = dice.random_range(0..3);
            let entries = (0..count).map(|_| (text(dice), shaped(dice, inner, depth + 1)));
            Value::Object(entries.collect())
        }
    }
}

fn text(dice: &mut StdRng) -> String {
    STRINGS.choose(dice).copied().unwrap_or("").to_owned()
}

fn integer(dice: &mut StdRng) -> i64 {
    NUMBERS.choose(dice).copied().unwrap_or(0)
}

/// A value of any type.
pub(super) fn anything(dice: &mut StdRng) -> Value {
    match dice.random_range(0..8) {
        0 => Value::Null,
        1 => true.into(),
        2 => integer(dice).into(),
        3 => json!(1.5e300),
        4 => text(dice).into(),
        5 => json!([]),
        6 => json!({}),
        _ => json!([{"name": text(dice)}, {"name": text(dice)}]),
    }
}

/// Changes a few places of a value into something else.
pub(super) fn damage(dice: &mut StdRng, value: &mut Value) {
    for _ in 0..dice.random_range(1..4) {
        let depth = dice.random_range(1..7);
        let other = anything(dice);
        replace(dice, value, depth, other);
    }
}

/// Puts `other` in some place at most `depth` steps down.
fn replace(dice: &mut StdRng, value: &mut Value, depth: usize, other: Value) {
    match value {
        Value::Object(map) if depth > 0 && !map.is_empty() => {
            let at = dice.random_range(0..map.len());
            if let Some(inner) = map.values_mut().nth(at) {
                replace(dice, inner, depth - 1, other);
            }
        }
        Value::Array(list) if depth > 0 && !list.is_empty() => {
            let at = dice.random_range(0..list.len());
            replace(dice, &mut list[at], depth - 1, other);
        }
        leaf => *leaf = other,
    }
}

/// The bytes in one of the three encodings, sometimes with a few of them changed.
pub(super) fn encode(dice: &mut StdRng, value: &Value) -> (&'static str, Vec<u8>) {
    let (media, mut bytes) = match dice.random_range(0..3) {
        0 => ("application/json", value.to_string().into_bytes()),
        // JSON is YAML; what is not is what damage makes of it.
        1 => ("application/yaml", value.to_string().into_bytes()),
        _ => ("application/vnd.kubernetes.protobuf", protobuf(dice, value)),
    };
    if dice.random_bool(0.25) {
        for _ in 0..dice.random_range(1..5) {
            if bytes.is_empty() {
                break;
            }
            let at = dice.random_range(0..bytes.len());
            match dice.random_range(0..3) {
                0 => bytes[at] = dice.random(),
                1 => bytes.truncate(at),
                _ => bytes.insert(at, dice.random()),
            }
        }
    }
    (media, bytes)
}

/// The envelope around an arbitrary message: tags and lengths that half make sense.
fn protobuf(dice: &mut StdRng, value: &Value) -> Vec<u8> {
    let text = |field: &str| value[field].as_str().unwrap_or("").as_bytes().to_vec();
    let delimited = |tag: u8, bytes: &[u8]| {
        let mut out = vec![tag << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
        out
    };
    let mut meta = delimited(1, &text("apiVersion"));
    meta.extend(delimited(2, &text("kind")));
    let message = message(dice, &delimited, 0);
    let mut bytes = b"k8s\0".to_vec();
    bytes.extend(delimited(1, &meta));
    bytes.extend(delimited(2, &message));
    bytes
}

fn message(dice: &mut StdRng, delimited: &impl Fn(u8, &[u8]) -> Vec<u8>, depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..dice.random_range(0..6) {
        let tag = dice.random_range(1..16);
        match dice.random_range(0..4) {
            0 => bytes.extend([tag << 3, dice.random_range(0..0x80)]),
            1 => bytes.extend(delimited(tag, text(dice).as_bytes())),
            2 if depth < 5 => bytes.extend(delimited(tag, &message(dice, delimited, depth + 1))),
            _ => bytes.extend([tag << 3 | dice.random_range(0..8), dice.random()]),
        }
    }
    bytes
}
