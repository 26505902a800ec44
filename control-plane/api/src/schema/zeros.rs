//! What Go writes for fields that are not there, the zeros of its structs, and what it leaves out though it is there.
//!
//! Objects are given them where they are written, so that reading costs nothing. What types have such fields, and how
//! one gets there, is worked out once: a kind without any is not looked through.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{Field, Schemas, Shape, Type, TypeId, schemas};
use crate::resource::Resource;

/// An empty struct.
pub(crate) static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
static NULL: Value = Value::Null;
static FALSE: Value = Value::Bool(false);
static TEXT: Value = Value::String(String::new());
static ZERO: LazyLock<Value> = LazyLock::new(|| Value::from(0));
static NOTHING: LazyLock<Value> = LazyLock::new(|| Value::from("0"));

impl Field {
    /// What Go writes where this field is not there, if anything.
    pub(crate) fn unwritten(&self) -> Option<&'static Value> {
        if !self.always {
            return None;
        }
        Some(match self.shape {
            // Those whose zero counts on the wire are no pointers for that: they have no `omitempty`.
            Shape::Int32 | Shape::Int64 | Shape::IntOrString => &ZERO,
            _ if self.pointer => &NULL,
            Shape::Object(_) => &EMPTY,
            Shape::String => &TEXT,
            Shape::Bool => &FALSE,
            Shape::Quantity => &NOTHING,
            _ => &NULL,
        })
    }

    /// Whether Go leaves the field out when it has that value: an empty list or map, and the zero of what is no pointer.
    pub(crate) fn omits(&self, value: &Value) -> bool {
        match (&self.shape, value) {
            _ if self.required => false,
            (_, Value::Null) => true,
            (Shape::List(_), Value::Array(list)) => list.is_empty(),
            (Shape::Map(_), Value::Object(map)) => map.is_empty(),
            _ if self.pointer => false,
            (Shape::String | Shape::Bytes, Value::String(text)) => text.is_empty(),
            (Shape::Bool, value) => *value == FALSE,
            (Shape::Int32 | Shape::Int64, value) => value.as_i64() == Some(0),
            (Shape::Number, value) => value.as_f64() == Some(0.0),
            _ => false,
        }
    }
}

/// A field that is given a zero, or leads to one.
struct Step {
    name: &'static str,
    zero: Option<&'static Value>,
    below: Option<&'static Shape>,
}

/// The steps from each type, by its id.
type Plans = Vec<Vec<Step>>;

/// Gives an object of a built-in kind the fields that Go always writes.
pub fn fill_zeros(resource: &Resource, value: &mut Value) {
    static PLANS: LazyLock<Plans> = LazyLock::new(|| plans(schemas()));
    if resource.is_custom() {
        return;
    }
    if let Some(id) = schemas().by_name(resource.type_name) {
        fill(&PLANS, id, value);
    }
}

fn fill(plans: &Plans, id: TypeId, value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for step in &plans[usize::from(id.0)] {
        if let Some(zero) = step.zero {
            match fields.get_mut(step.name) {
                None => {
                    fields.insert(step.name.to_owned(), zero.clone());
                }
                // Go's storage does not tell an empty list from none.
                Some(list) if zero.is_null() && is_empty_list(list) => *list = Value::Null,
                Some(_) => {}
            }
        }
        if let Some(below) = step.below
            && let Some(field) = fields.get_mut(step.name)
        {
            through(plans, below, field);
        }
    }
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// Through lists and maps to the structs in them.
fn through(plans: &Plans, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Object(id), value) => fill(plans, *id, value),
        (Shape::List(shape), Value::Array(items)) => {
            items
                .iter_mut()
                .for_each(|item| through(plans, shape, item));
        }
        (Shape::Map(shape), Value::Object(entries)) => {
            entries
                .values_mut()
                .for_each(|entry| through(plans, shape, entry));
        }
        _ => {}
    }
}

fn plans(schemas: &'static Schemas) -> Plans {
    let all = || schemas.types.iter().enumerate();
    let mut leads = vec![false; schemas.types.len()];
    // Types name each other in circles: until nothing more is found.
    loop {
        let more: Vec<usize> = all()
            .filter(|(at, ty)| {
                !leads[*at] && ty.fields.iter().any(|it| step(ty, it, &leads).is_some())
            })
            .map(|(at, _)| at)
            .collect();
        if more.is_empty() {
            break;
        }
        more.into_iter().for_each(|at| leads[at] = true);
    }
    let steps = |ty: &'static Type| ty.fields.iter().filter_map(|it| step(ty, it, &leads));
    schemas.types.iter().map(|ty| steps(ty).collect()).collect()
}

fn step(ty: &Type, field: &'static Field, leads: &[bool]) -> Option<Step> {
    // What metadata holds is checked to be there, and an object of its own always has some.
    let whole = ty.gvk.is_some() && &*field.name == "metadata";
    let inside_metadata = ty.name.ends_with(".meta.v1.ObjectMeta");
    let zero = field.unwritten().filter(|_| !whole && !inside_metadata);
    let leads = target(&field.shape).is_some_and(|id| leads[usize::from(id.0)]);
    let below = Some(&field.shape).filter(|_| leads && !inside_metadata);
    (zero.is_some() || below.is_some()).then_some(Step {
        name: &field.name,
        zero,
        below,
    })
}

/// The type of the structs in a field.
fn target(shape: &Shape) -> Option<TypeId> {
    match shape {
        Shape::Object(id) => Some(*id),
        Shape::List(item) | Shape::Map(item) => target(item),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::find_kind;
    use serde_json::json;

    #[test]
    fn zeros_are_filled_in_where_go_writes_them() {
        let check = |group: &str, kind: &str, mut value: Value, expect: Value| {
            let resource = find_kind(group, "v1", kind).expect("served");
            fill_zeros(resource, &mut value);
            assert_eq!(value, expect, "{kind}");
            fill_zeros(resource, &mut value);
            assert_eq!(value, expect, "{kind}, again");
        };
        check(
            "",
            "Pod",
            json!({"spec": {"containers": [{"name": "a", "resources": {}}]},
                "status": {"containerStatuses": [{"name": "a", "ready": true}]}}),
            json!({"spec": {"containers": [{"name": "a", "resources": {}}]},
                "status": {"containerStatuses": [{"name": "a", "ready": true, "image": "",
                    "imageID": "", "restartCount": 0, "state": {}, "lastState": {}}]}}),
        );
        check(
            "",
            "Event",
            json!({"involvedObject": {}}),
            json!({"involvedObject": {}, "source": {}, "eventTime": null, "firstTimestamp": null,
                "lastTimestamp": null, "reportingComponent": "", "reportingInstance": ""}),
        );
        check(
            "",
            "Node",
            json!({"metadata": {"name": "n"}}),
            json!({"metadata": {"name": "n"}, "spec": {}, "status": {
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
                "nodeInfo": {"architecture": "", "bootID": "", "containerRuntimeVersion": "",
                    "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "",
                    "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": ""}}}),
        );
        check(
            "apps",
            "StatefulSet",
            json!({"spec": null, "status": {"replicas": 2}}),
            json!({"spec": null, "status": {"replicas": 2, "availableReplicas": 0}}),
        );
        // A list that is demanded and empty is none, once it was stored.
        check(
            "",
            "LimitRange",
            json!({"spec": {"limits": []}}),
            json!({"spec": {"limits": null}}),
        );
        // What refers to structs may do without them, and the owner's fields are asked for.
        check(
            "",
            "ConfigMap",
            json!({"metadata": {"ownerReferences": [{}]}}),
            json!({"metadata": {"ownerReferences": [{}]}}),
        );
    }

    #[test]
    fn kinds_without_such_fields_are_not_looked_through() {
        let plans = plans(schemas());
        for name in [
            "core.v1.ConfigMap",
            "core.v1.Secret",
            "core.v1.ServiceAccount",
        ] {
            let id = schemas()
                .by_name(&format!("io.k8s.api.{name}"))
                .expect("a type");
            assert!(plans[usize::from(id.0)].is_empty(), "{name}");
        }
    }
}
