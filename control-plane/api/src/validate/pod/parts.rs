//! What may change through a pod's own subresources: ephemeral containers are only added, resources only resized.

use std::collections::HashMap;

use serde_json::Value;

use crate::defaults::qos_class;
use crate::object::{self, entries, get, items, part, remove, text};
use crate::status::{Errors, FieldError};

use super::super::path::Path;
use super::super::semantic::normal;
use super::{diff, whole};

const MIRROR: &str = "kubernetes.io/config.mirror";
const CONTAINER: &str = "io.k8s.api.core.v1.Container";
const EPHEMERAL: &str = "io.k8s.api.core.v1.EphemeralContainer";
const SPEC: &str = "io.k8s.api.core.v1.PodSpec";
const RESOURCES: &str = "io.k8s.api.core.v1.ResourceRequirements";
const KINDS: [&str; 2] = ["requests", "limits"];
const ONLY: &str = "only cpu and memory resources are mutable";

/// Ephemeral containers come and stay as they are.
pub(in super::super) fn ephemeral(new: &Value, old: &Value, out: &mut Errors) {
    whole(new, out);
    if object::annotation(old, MIRROR).is_some() {
        let why = "static pods do not support ephemeral containers";
        *out = Errors::of(FieldError::forbidden("", why));
        return;
    }
    let path = Path::new("spec").child("ephemeralContainers");
    // Of several containers of one name, which is wrong anyway, the first counts.
    let containers: HashMap<&str, &Value> = items(new, "spec.ephemeralContainers")
        .iter()
        .rev()
        .map(|now| (text(now, "name"), now))
        .collect();
    for before in items(old, "spec.ephemeralContainers") {
        if out.is_full() {
            return;
        }
        let name = text(before, "name");
        match containers.get(name) {
            None => {
                let why = format!("existing ephemeral containers {name:?} may not be removed\n");
                out.push(|| FieldError::forbidden(&path, why));
            }
            Some(now) => {
                let (before, now) = (normal(before, EPHEMERAL), normal(now, EPHEMERAL));
                if before != now {
                    let why = format!(
                        "existing ephemeral containers {name:?} may not be changed\n{}",
                        diff::unified(&before, &now)
                    );
                    out.push(|| FieldError::forbidden(&path, why));
                }
            }
        }
    }
}

/// CPU and memory of running containers and of the pod as a whole change; nothing else does.
pub(in super::super) fn resize(new: &Value, old: &Value, out: &mut Errors) {
    whole(new, out);
    if object::annotation(old, MIRROR).is_some() {
        *out = Errors::of(FieldError::forbidden("", "static pods cannot be resized"));
        return;
    }
    if text(old, "spec.os.name") == "windows" {
        *out = Errors::of(FieldError::forbidden("", "windows pods cannot be resized"));
        return;
    }
    let path = Path::new("spec");
    if qos_class(new) != qos_class(old) {
        let why = "Pod QOS Class may not change as a result of resizing";
        out.push(|| FieldError::invalid(&path, text(new, "status.qosClass"), why));
    }
    if !node_can_resize(old) {
        let why = "Pod running on node without support for resize";
        out.push(|| FieldError::forbidden(&path, why));
    }
    of_whole(part(new, "spec"), part(old, "spec"), &path, out);
    if moved(new, old, &path, out) {
        return;
    }
    for list in ["initContainers", "containers"] {
        let pairs = items(new, &format!("spec.{list}"))
            .iter()
            .zip(items(old, &format!("spec.{list}")));
        for (at, (now, before)) in pairs.enumerate() {
            container(now, before, list, &path.child(list).index(at), out);
        }
    }
    if out.found() == 0 {
        let rest = |pod: &Value| {
            let mut spec = get(pod, "spec").cloned().unwrap_or_default();
            for list in ["containers", "initContainers", "resources"] {
                remove(&mut spec, list);
            }
            normal(&spec, SPEC)
        };
        if rest(new) != rest(old) {
            out.push(|| FieldError::forbidden(&path, ONLY));
        }
    }
}

/// A node that can resize says what its running containers have.
fn node_can_resize(pod: &Value) -> bool {
    items(pod, "status.containerStatuses")
        .iter()
        .find(|status| get(status, "state.running").is_some())
        .is_none_or(|status| get(status, "resources").is_some())
}

/// What the pod as a whole has. What it asks of the node is admission's.
fn of_whole(now: &Value, before: &Value, path: &Path, out: &mut Errors) {
    let is_set = |spec: &Value| {
        let all = KINDS.map(|kind| format!("resources.{kind}"));
        all.iter().any(|kind| !object::is_empty(spec, kind))
    };
    if !is_set(now) && !is_set(before) {
        return;
    }
    let here = path.child("resources");
    if get(before, "resources").is_some() && get(now, "resources").is_none() {
        let why = "pod-level resources cannot be removed";
        out.push(|| FieldError::forbidden(here, why));
        return;
    }
    for kind in KINDS {
        if is_removed(now, before, kind) {
            let why = format!("pod-level resource {kind} cannot be removed");
            out.push(|| FieldError::forbidden(here.child(kind), why));
        }
    }
    let fixed = |spec: &Value| {
        let resources = get(spec, "resources").cloned().unwrap_or_default();
        let mut all = serde_json::json!({"resources": resources});
        remove_cpu_and_memory(&mut all);
        normal(part(&all, "resources"), RESOURCES)
    };
    if fixed(now) != fixed(before) {
        let why = "only cpu and memory resources are mutable at pod-level";
        out.push(|| FieldError::forbidden(path, why));
    }
}

/// Whether an amount that was there is gone, of a container or of a pod as a whole.
fn is_removed(now: &Value, before: &Value, kind: &str) -> bool {
    let field = format!("resources.{kind}");
    entries(before, &field).any(|(name, _)| part(now, &field).get(name).is_none())
}

fn moved(new: &Value, old: &Value, path: &Path, out: &mut Errors) -> bool {
    let found = out.found();
    for list in ["containers", "initContainers"] {
        let here = path.child(list);
        let (now, before) = (
            items(new, &format!("spec.{list}")),
            items(old, &format!("spec.{list}")),
        );
        if now.len() != before.len() {
            let why = format!("{list} may not be added or removed on resize");
            out.push(|| FieldError::forbidden(here, why));
            continue;
        }
        for (at, (now, before)) in now.iter().zip(before).enumerate() {
            if text(now, "name") != text(before, "name") {
                let why = format!("{list} may not be renamed or reordered on resize");
                out.push(|| FieldError::forbidden(here.index(at).child("name"), why));
            }
        }
    }
    out.found() > found
}

fn container(now: &Value, before: &Value, list: &str, path: &Path, out: &mut Errors) {
    let init = list == "initContainers";
    let sidecar = init && text(now, "restartPolicy") == "Always";
    let (unchanged, spec) = (
        normal(now, CONTAINER) == normal(before, CONTAINER),
        Path::new("spec"),
    );
    if init && !sidecar {
        if !unchanged {
            let why = "resources for non-sidecar init containers are immutable";
            out.push(|| FieldError::forbidden(&spec, why));
        }
        return;
    }
    for kind in KINDS {
        if is_removed(now, before, kind) {
            let why = format!("resource {kind} cannot be removed");
            out.push(|| FieldError::forbidden(path.child("resources").child(kind), why));
        }
    }
    if fixed(now) != fixed(before) {
        out.push(|| {
            if init {
                let why =
                    "only cpu and memory resources for init or sidecar containers are mutable";
                FieldError::forbidden(path, why)
            } else {
                FieldError::forbidden(&spec, ONLY)
            }
        });
    }
}

/// A container without what a resize may change.
fn fixed(container: &Value) -> Value {
    let mut container = container.clone();
    remove_cpu_and_memory(&mut container);
    normal(&container, CONTAINER)
}

fn remove_cpu_and_memory(value: &mut Value) {
    for kind in KINDS {
        for resource in ["cpu", "memory"] {
            remove(value, &format!("resources.{kind}.{resource}"));
        }
        if object::is_empty(value, &format!("resources.{kind}")) {
            remove(value, &format!("resources.{kind}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(containers: Value, ephemeral: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": containers, "ephemeralContainers": ephemeral}});
        crate::defaults::apply(
            crate::resource::find("", "v1", "pods").expect("pods"),
            &mut pod,
        );
        pod
    }

    fn said(check: fn(&Value, &Value, &mut Errors), new: &Value, old: &Value) -> Vec<String> {
        let mut out = Errors::new();
        check(new, old, &mut out);
        let first = |error: &FieldError| error.to_string().lines().next().unwrap_or("").to_owned();
        out.into_list().iter().map(first).collect()
    }

    #[test]
    fn ephemeral_containers_are_added_only() {
        let main = json!([{"name": "c", "image": "i"}]);
        let debug = json!({"name": "d", "image": "i", "targetContainerName": "c"});
        let old = pod(main.clone(), json!([]));
        let with = pod(main.clone(), json!([debug]));
        assert!(said(ephemeral, &with, &old).is_empty());
        assert!(said(ephemeral, &with, &with).is_empty());
        assert_eq!(
            said(ephemeral, &old, &with),
            [
                "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"d\" may not be removed"
            ]
        );
        let other = pod(
            main.clone(),
            json!([{"name": "d", "image": "j", "targetContainerName": "c"}]),
        );
        assert_eq!(
            said(ephemeral, &other, &with),
            [
                "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"d\" may not be changed"
            ]
        );
        let wrong = pod(
            main,
            json!([{"name": "c", "image": "i", "targetContainerName": "x", "ports": [{"containerPort": 1}]}]),
        );
        assert_eq!(
            said(ephemeral, &wrong, &old),
            [
                "spec.ephemeralContainers[0].name: Duplicate value: \"c\"",
                "spec.ephemeralContainers[0].targetContainerName: Not found: \"x\"",
                "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
            ]
        );
    }

    #[test]
    fn resizes_keep_what_they_do_not_name() {
        let with = |resources: Value| {
            pod(
                json!([{"name": "c", "image": "i", "resources": resources}]),
                json!([]),
            )
        };
        let old = with(json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let wider = with(json!({"requests": {"cpu": "2", "memory": "1Gi"}}));
        assert!(said(resize, &wider, &old).is_empty());
        assert_eq!(
            said(resize, &with(json!({"requests": {"cpu": "2"}})), &old),
            [
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"
            ]
        );
        assert_eq!(
            said(
                resize,
                &with(json!({"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1"}})),
                &old
            ),
            ["spec: Forbidden: only cpu and memory resources are mutable"]
        );
        let guaranteed = json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
        assert_eq!(
            said(resize, &with(guaranteed), &old),
            ["spec: Invalid value: \"\": Pod QOS Class may not change as a result of resizing"]
        );
        let mut on_node = old.clone();
        on_node["status"] = json!({"containerStatuses": [{"name": "c", "state": {"running": {}}}]});
        assert_eq!(
            said(resize, &wider, &on_node),
            ["spec: Forbidden: Pod running on node without support for resize"]
        );
        let more = pod(
            json!([{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]),
            json!([]),
        );
        let why = "spec.containers: Forbidden: containers may not be added or removed on resize";
        assert!(said(resize, &more, &old).contains(&why.to_owned()));
    }

    #[test]
    fn resizes_of_the_whole_are_of_cpu_and_memory() {
        let with = |resources: Value| {
            let mut pod = pod(json!([{"name": "c", "image": "i"}]), json!([]));
            pod["spec"]["resources"] = resources;
            pod
        };
        let old = with(json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let wider = json!({"requests": {"cpu": "2", "memory": "1Gi"}});
        assert!(said(resize, &with(wider), &old).is_empty());
        let less = with(json!({"requests": {"cpu": "1"}}));
        assert_eq!(
            said(resize, &less, &old),
            ["spec.resources.requests: Forbidden: pod-level resource requests cannot be removed"]
        );
        let mut none = old.clone();
        remove(&mut none, "spec.resources");
        none["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
        assert_eq!(
            said(resize, &none, &old),
            ["spec.resources: Forbidden: pod-level resources cannot be removed"]
        );
        let pages = with(
            json!({"requests": {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "2Mi"},
            "limits": {"hugepages-2Mi": "2Mi"}}),
        );
        assert_eq!(
            said(resize, &pages, &old),
            ["spec: Forbidden: only cpu and memory resources are mutable at pod-level"]
        );
    }
}
