//! Random objects of a type, with few different values so that they meet each other.

use serde_json::{Map, Value, json};

use crate::schema::{Field, ListType, Schemas, Shape, TypeId, schemas};

/// Numbers that follow from a seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll()).unwrap_or(0) % end.max(1)
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// Fields that are the server's, or that say which object it is.
const FIXED: [&str; 16] = [
    "apiVersion",
    "kind",
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "generateName",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
    "ownerReferences",
    "fieldsV1",
    "rollbackTo",
];

/// How much of an object to make.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Chance of an optional field, in percent.
    pub(super) fields: usize,
    /// Whether fields that the API demands may be missing.
    pub(super) partial: bool,
    /// Whether lists may hold items with the same keys.
    pub(super) duplicates: bool,
}

/// An object of a type.
pub(super) fn object(dice: &mut Dice, ty: TypeId, size: Size) -> Value {
    let mut fields = Map::new();
    for field in schemas().get(ty).fields() {
        if matches!(&*field.name, "apiVersion" | "kind") {
            continue;
        }
        if dice.chance(80)
            && let Some(value) = value(dice, &field.shape, Some(field), size, 0)
        {
            fields.insert(field.name.to_string(), value);
        }
    }
    Value::Object(fields)
}

fn value(
    dice: &mut Dice,
    shape: &Shape,
    field: Option<&Field>,
    size: Size,
    depth: usize,
) -> Option<Value> {
    Some(match shape {
        Shape::String => dice.pick(&["a", "b", "c"]).into(),
        Shape::Bytes => dice.pick(&["YQ==", "Yg=="]).into(),
        Shape::Bool => true.into(),
        Shape::Int32 | Shape::Int64 => (dice.below(3) + 1).into(),
        Shape::Number => 1.5.into(),
        Shape::Time => "2026-01-01T00:00:00Z".into(),
        Shape::MicroTime => "2026-01-01T00:00:00.000001Z".into(),
        Shape::Quantity => dice.pick(&["1", "2"]).into(),
        Shape::IntOrString => dice.pick(&[json!(1), json!("a")]),
        Shape::Any => return None,
        Shape::Object(id) => Value::Object(fields(dice, schemas(), *id, size, depth + 1)),
        Shape::Map(item) => {
            let mut map = Map::new();
            for _ in 0..=dice.below(3) {
                let key = dice.pick(&["a", "b", "c"]);
                map.insert(key.to_owned(), value(dice, item, None, size, depth + 1)?);
            }
            Value::Object(map)
        }
        Shape::List(item) => list(dice, item, field, size, depth)?,
    })
}

fn fields(
    dice: &mut Dice,
    schemas: &Schemas,
    id: TypeId,
    size: Size,
    depth: usize,
) -> Map<String, Value> {
    let mut fields = Map::new();
    for field in schemas.get(id).fields() {
        if FIXED.contains(&&*field.name) && depth <= 3 && (!field.required || size.partial) {
            continue;
        }
        let needed = field.required && !size.partial;
        let percent = size.fields / depth.min(4);
        if (needed || dice.chance(percent) && depth < 9)
            && let Some(value) = value(dice, &field.shape, Some(field), size, depth)
        {
            fields.insert(field.name.to_string(), value);
        }
    }
    fields
}

fn list(
    dice: &mut Dice,
    item: &Shape,
    field: Option<&Field>,
    size: Size,
    depth: usize,
) -> Option<Value> {
    let mut items: Vec<Value> = Vec::new();
    let mut identities: Vec<Value> = Vec::new();
    for _ in 0..=dice.below(4) {
        let mut one = value(dice, item, None, size, depth + 1)?;
        let identity = match field.map(|field| (field.list_type, field)) {
            Some((ListType::Map, field)) => keyed(dice, item, field, &mut one),
            Some((ListType::Set, _)) => one.clone(),
            _ => Value::Null,
        };
        let again = !identity.is_null() && identities.contains(&identity);
        if !again || size.duplicates && dice.chance(30) {
            identities.push(identity);
            items.push(one);
        }
    }
    Some(items.into())
}

/// Gives an item its keys, sometimes without those that have a default.
fn keyed(dice: &mut Dice, item: &Shape, field: &Field, one: &mut Value) -> Value {
    let Shape::Object(id) = item else {
        return Value::Null;
    };
    let mut identity = Vec::new();
    for key in &field.map_keys {
        let key_field = schemas().get(*id).field(key).expect("a key is a field");
        let default = key_field
            .default
            .as_deref()
            .filter(|value| !value.is_null());
        let value = match default {
            Some(default) if dice.chance(50) => {
                one.as_object_mut().expect("an object").remove(&**key);
                identity.push(default.clone());
                continue;
            }
            // What is left out has no default, and is another item's key.
            _ if !key_field.required && default.is_none() && one.get(&**key).is_none() => {
                identity.push(Value::Null);
                continue;
            }
            _ => match key_field.shape {
                Shape::Int32 | Shape::Int64 => Value::from(dice.below(3) + 1),
                _ => dice.pick(&["a", "b", "c", "d"]).into(),
            },
        };
        one[&**key] = value.clone();
        identity.push(value);
    }
    identity.into()
}

/// Another version of an object: some fields of another one, some gone.
pub(super) fn mutated(dice: &mut Dice, old: &Value, other: &Value) -> Value {
    let (Value::Object(old), Value::Object(other)) = (old, other) else {
        return if dice.chance(50) { old } else { other }.clone();
    };
    let mut new = Map::new();
    for (name, value) in old {
        let value = match other.get(name) {
            Some(other) if dice.chance(40) => mutated(dice, value, other),
            None if dice.chance(15) => continue,
            _ => value.clone(),
        };
        new.insert(name.clone(), value);
    }
    for (name, value) in other {
        if !new.contains_key(name) && dice.chance(30) {
            new.insert(name.clone(), value.clone());
        }
    }
    Value::Object(new)
}

/// Adds what the API demands where it is missing: everywhere, or in the items of lists only.
pub(super) fn complete(dice: &mut Dice, value: &mut Value, shape: &Shape, everywhere: bool) {
    match (shape, value) {
        (Shape::Object(id), Value::Object(map)) => {
            for field in schemas().get(*id).fields() {
                let size = Size {
                    fields: 0,
                    partial: false,
                    duplicates: false,
                };
                if let Some(value) = map.get_mut(&*field.name) {
                    complete(dice, value, &field.shape, everywhere);
                } else if everywhere
                    && field.required
                    && let Some(value) = self::value(dice, &field.shape, Some(field), size, 5)
                {
                    map.insert(field.name.to_string(), value);
                }
            }
        }
        (Shape::List(item), Value::Array(items)) => {
            for value in items {
                complete(dice, value, item, true);
            }
        }
        (Shape::Map(item), Value::Object(map)) => {
            for value in map.values_mut() {
                complete(dice, value, item, true);
            }
        }
        _ => {}
    }
}
