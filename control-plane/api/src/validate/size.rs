//! How much of an object there may be to fill in.
//!
//! An item of a list may be two bytes of a body, and two kilobytes once defaulting and admission have given it its fields. So
//! this is asked before they do, and one error is the whole answer.

use serde_json::Value;

use crate::object::items;
use crate::resource::Resource;
use crate::status::FieldError;

/// Most containers of one sort in a pod: more than fit into what is stored of an object.
const MAX_CONTAINERS: usize = 10_000;
/// Most objects in all lists of an object together.
const MAX_ITEMS: usize = 100_000;
/// Where specs of pods are, in pods and in what makes them.
const PODS: [&str; 4] = [
    "spec",
    "template.spec",
    "spec.template.spec",
    "spec.jobTemplate.spec.template.spec",
];
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Why defaults are not filled in. To be asked of whatever a client sent, before [`crate::defaults::apply`].
pub fn too_many_items(resource: &Resource, value: &Value) -> Option<FieldError> {
    // Their schemas say what is filled in, and that has a bound of its own.
    if resource.is_custom() {
        return None;
    }
    let count = listed(value);
    if count <= MAX_CONTAINERS {
        // Nor are there more in any list, which nearly every write ends with.
        return None;
    }
    for list in PODS
        .iter()
        .flat_map(|pod| CONTAINERS.map(|list| format!("{pod}.{list}")))
    {
        let containers = items(value, &list).len();
        if containers > MAX_CONTAINERS {
            return Some(FieldError::too_many(list, containers, MAX_CONTAINERS));
        }
    }
    (count > MAX_ITEMS).then(|| {
        let why = format!("all lists of an object together must have at most {MAX_ITEMS} items");
        FieldError::too_many("<nil>", count, MAX_ITEMS).because(why)
    })
}

/// How many objects are in lists.
fn listed(value: &Value) -> usize {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| usize::from(item.is_object()) + listed(item))
            .sum(),
        Value::Object(fields) => fields.values().map(listed).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::find_kind;
    use serde_json::json;

    #[test]
    fn containers_and_other_items() {
        let check = |group: &str, kind: &str, value: Value, expect: Option<&str>| {
            let resource = find_kind(group, "v1", kind).expect("served");
            let found = too_many_items(resource, &value).map(|error| error.to_string());
            assert_eq!(found.as_deref(), expect, "{kind}");
        };
        let empty = |count: usize| vec![json!({}); count];
        let pod = |count: usize| json!({"spec": {"containers": empty(count)}});
        check("", "Pod", pod(10_000), None);
        check(
            "",
            "Pod",
            pod(10_001),
            Some("spec.containers: Too many: 10001: must have at most 10000 items"),
        );
        check(
            "batch",
            "CronJob",
            json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"initContainers": empty(20_000)}}}}}}),
            Some(
                "spec.jobTemplate.spec.template.spec.initContainers: Too many: 20000: must have at most 10000 items",
            ),
        );
        let ports = |count: usize| json!({"spec": {"containers": [{"ports": empty(count)}]}});
        check("", "Pod", ports(99_999), None);
        check(
            "",
            "Pod",
            ports(100_000),
            Some(
                "<nil>: Too many: 100001: all lists of an object together must have at most 100000 items",
            ),
        );
        // Texts are given nothing.
        let role = json!({"rules": [{"resourceNames": vec!["a"; 200_000]}]});
        check("rbac.authorization.k8s.io", "Role", role, None);
    }
}
