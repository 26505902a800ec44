//! Updates through a subresource that is neither the object itself nor its status: all but the part it owns stays.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::object::{self, get, is_empty, items, items_mut, remove, set, text};
use crate::resource::Resource;
use crate::time;

/// Makes `new` what it is in `old`, but for what `part` may change.
pub fn prepare_part(resource: &Resource, part: &str, new: &mut Value, old: &Value, now: Timestamp) {
    match (resource.bucket, part) {
        ("pods", "ephemeralcontainers") => {
            let containers = remove(new, "spec.ephemeralContainers");
            keep_all(new, old);
            put(new, "spec.ephemeralContainers", containers);
        }
        ("pods", "resize") => resize(new, old),
        ("certificatesigningrequests", "approval") => {
            stamp_conditions(new, old, now);
            let conditions = remove(new, "status.conditions");
            for path in ["spec", "status"] {
                put(new, path, get(old, path).cloned());
            }
            put(new, "status.conditions", conditions);
        }
        _ => {}
    }
}

/// Everything as it was; which version and which object the client meant is still to be checked.
fn keep_all(new: &mut Value, old: &Value) {
    let kept = [
        "metadata.uid",
        "metadata.resourceVersion",
        "metadata.managedFields",
    ]
    .map(|path| (path, remove(new, path)));
    new.clone_from(old);
    for (path, value) in kept {
        if value.is_some() {
            put(new, path, value);
        }
    }
}

fn put(value: &mut Value, path: &str, new: Option<Value>) {
    match new {
        Some(new) => set(value, path, new),
        None => {
            remove(value, path);
        }
    }
}

/// Takes over resources and resize policies. Containers that came, went or moved are left for validation to find.
fn resize(new: &mut Value, old: &Value) {
    const LISTS: [&str; 2] = ["spec.containers", "spec.initContainers"];
    let names = |value: &Value, list: &str| -> Vec<String> {
        let name = |container: &Value| text(container, "name").to_owned();
        items(value, list).iter().map(name).collect()
    };
    if LISTS
        .iter()
        .any(|list| names(new, list) != names(old, list))
    {
        return;
    }
    let asked = new.clone();
    keep_all(new, old);
    put(
        new,
        "spec.resources",
        get(&asked, "spec.resources").cloned(),
    );
    for list in LISTS {
        for (container, asked) in items_mut(new, list).iter_mut().zip(items(&asked, list)) {
            for field in ["resources", "resizePolicy"] {
                put(container, field, get(asked, field).cloned());
            }
        }
    }
}

/// Gives conditions the times they lack. A condition that was there with this status keeps when it came about.
pub fn stamp_conditions(new: &mut Value, old: &Value, now: Timestamp) {
    let now = time::seconds(now);
    let identity =
        |condition: &Value| ["type", "status"].map(|field| text(condition, field).to_owned());
    // Of several of one type and status the first counts.
    let before: HashMap<[String; 2], &str> = items(old, "status.conditions")
        .iter()
        .rev()
        .map(|before| (identity(before), text(before, "lastTransitionTime")))
        .collect();
    for condition in items_mut(new, "status.conditions") {
        object::set_default(condition, "lastUpdateTime", now.as_str());
        if !is_empty(condition, "lastTransitionTime") {
            continue;
        }
        let since = before.get(&identity(condition)).copied();
        let since = since.filter(|since| !since.is_empty()).unwrap_or(&now);
        set(condition, "lastTransitionTime", since.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::find;
    use serde_json::json;

    #[test]
    fn ephemeral_containers_and_nothing_else() {
        let pods = find("", "v1", "pods").expect("pods");
        let old = json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}});
        let mut new = json!({"metadata": {"name": "p", "resourceVersion": "3"}, "spec": {
            "containers": [], "nodeName": "n", "ephemeralContainers": [{"name": "e"}]}});
        prepare_part(
            pods,
            "ephemeralcontainers",
            &mut new,
            &old,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(
            new,
            json!({"metadata": {"name": "p", "labels": {"a": "b"}, "resourceVersion": "3"}, "spec": {
                "containers": [{"name": "c"}], "ephemeralContainers": [{"name": "e"}]}})
        );
    }

    #[test]
    fn resizes_take_resources() {
        let pods = find("", "v1", "pods").expect("pods");
        let old = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n",
            "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}]}});
        let mut new = json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "c", "image": "other", "resources": {"limits": {"cpu": "2"}}}]}});
        prepare_part(pods, "resize", &mut new, &old, Timestamp::UNIX_EPOCH);
        assert_eq!(
            new["spec"],
            json!({"nodeName": "n", "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "2"}}}]})
        );
    }

    #[test]
    fn many_conditions() {
        let kinds = |status: &str| -> Vec<Value> {
            (0..25_000)
                .map(|at| json!({"type": format!("a{at}"), "status": status, "lastTransitionTime": "t"}))
                .collect()
        };
        let old = json!({"status": {"conditions": kinds("True")}});
        let mut new = json!({"status": {"conditions": kinds("False")}});
        for condition in items_mut(&mut new, "status.conditions") {
            remove(condition, "lastTransitionTime");
        }
        stamp_conditions(&mut new, &old, Timestamp::UNIX_EPOCH);
        let first = &items(&new, "status.conditions")[0];
        assert_eq!(text(first, "lastTransitionTime"), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn approvals_take_conditions() {
        let requests =
            find("certificates.k8s.io", "v1", "certificatesigningrequests").expect("served");
        let old = json!({"spec": {"signerName": "s"}, "status": {"certificate": "YQ==", "conditions": [
            {"type": "Failed", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}});
        let mut new = json!({"spec": {"signerName": "t"}, "status": {"certificate": "Yg==", "conditions": [
            {"type": "Approved", "status": "True"}, {"type": "Failed", "status": "True"}]}});
        prepare_part(requests, "approval", &mut new, &old, Timestamp::UNIX_EPOCH);
        let now = "1970-01-01T00:00:00Z";
        assert_eq!(
            new,
            json!({"spec": {"signerName": "s"}, "status": {"certificate": "YQ==", "conditions": [
                {"type": "Approved", "status": "True", "lastUpdateTime": now, "lastTransitionTime": now},
                {"type": "Failed", "status": "True", "lastUpdateTime": now, "lastTransitionTime": "2020-01-01T00:00:00Z"},
            ]}})
        );
    }
}
