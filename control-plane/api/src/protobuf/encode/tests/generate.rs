//! Random objects of a type, in the form the decoder gives: no nulls, no empty lists or maps, canonical scalars, and no
//! zero where a zero means that nothing is there.

use serde_json::{Map, Value, json};

use crate::protobuf::schema_props::Choice;
use crate::schema::{Field, Shape, Type, schemas};

/// Objects below this depth are empty, if they may be.
const DEPTH: usize = 7;

pub(super) struct Generator {
    state: u64,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Generator {
        Generator { state: seed | 1 }
    }

    /// A number below `bound` (xorshift).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % bound
    }

    pub(super) fn object(&mut self, type_name: &str) -> Value {
        let id = schemas().by_name(type_name).expect("is registered");
        self.fields(schemas().get(id), 0)
    }

    fn fields(&mut self, ty: &Type, depth: usize) -> Value {
        let mut object = Map::new();
        // Deeper objects have fewer fields, or large types would explode.
        let share = 2 + depth;
        for field in ty.fields().iter().filter(|field| field.tag.is_some()) {
            if depth < DEPTH && self.below(share) == 0 {
                object.insert(field.name.to_string(), self.field(ty, field, depth));
            }
        }
        Value::Object(object)
    }

    fn field(&mut self, ty: &Type, field: &Field, depth: usize) -> Value {
        let zero = field.pointer || field.required;
        match (&field.shape, Choice::of(ty, field)) {
            (Shape::Map(_), Some(choice)) => json!({"a": self.choice(choice, depth), "b": {}}),
            (_, Some(choice)) => self.choice(choice, depth),
            (Shape::List(item), None) => self.list(item, depth),
            (Shape::Map(value), None) => {
                let value = self.value(value, true, depth);
                json!({"k/1": value, "": value, "é\"\n": value})
            }
            (shape, None) => self.value(shape, zero, depth),
        }
    }

    fn list(&mut self, item: &Shape, depth: usize) -> Value {
        (0..=self.below(2))
            .map(|_| self.value(item, true, depth))
            .collect()
    }

    fn value(&mut self, shape: &Shape, zero: bool, depth: usize) -> Value {
        let pick = if zero {
            self.below(4)
        } else {
            1 + self.below(3)
        };
        match shape {
            Shape::String => [
                json!(""),
                json!("x"),
                json!("ü \"q\" \\ \n"),
                json!("y".repeat(200)),
            ][pick]
                .clone(),
            Shape::Bool => json!(pick != 0),
            Shape::Int32 => json!([0, 1, -1, i32::MIN][pick]),
            Shape::Int64 => json!([0, 300, -5, i64::MAX][pick]),
            Shape::Number => json!([0.0, 1.5, -2e9, 3e-7][pick]),
            Shape::Bytes => json!(["", "AA==", "/wA=", "aGVsbG8gd29ybGQ="][pick]),
            Shape::Time => json!(
                [
                    "1970-01-01T00:00:00Z",
                    "2026-11-23T01:29:07Z",
                    "1969-12-31T23:59:59Z",
                    "9999-12-30T00:00:00Z"
                ][pick]
            ),
            Shape::MicroTime => json!(
                [
                    "1970-01-01T00:00:00.000000Z",
                    "2026-11-23T01:29:07.123456Z",
                    "2026-11-23T01:29:07.000001Z",
                    "2026-11-23T01:29:07.999999Z"
                ][pick]
            ),
            Shape::Quantity => json!(["0", "1500m", "2Gi", "-3"][pick]),
            Shape::IntOrString => [json!(0), json!(8080), json!(""), json!("25%")][pick].clone(),
            Shape::Any => [
                json!({}),
                json!([1, {"a": null}, "]"]),
                json!({"f:metadata": {"f:labels": {".": {}}}}),
                json!("text"),
            ][pick]
                .clone(),
            Shape::Object(id) => self.fields(schemas().get(*id), depth + 1),
            Shape::List(item) if pick == 0 => self.list(item, depth),
            Shape::List(_) => json!([]),
            Shape::Map(_) => panic!("no type has maps of maps"),
        }
    }

    fn choice(&mut self, choice: Choice, depth: usize) -> Value {
        let props = |this: &mut Generator| {
            let id = schemas().by_name(crate::protobuf::schema_props::PROPS);
            this.fields(schemas().get(id.expect("is registered")), depth + 1)
        };
        match (choice, self.below(2)) {
            (Choice::BoolOrSchema, 0) => json!(self.below(2) == 0),
            (Choice::SchemaOrNames, 0) => json!(["a", ""]),
            (Choice::SchemaOrList, 0) => json!([props(self), {}]),
            _ => props(self),
        }
    }
}
