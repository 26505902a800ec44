//! The downward API: fields of the pod and amounts of its containers, as text.

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use super::NodeFacts;
use crate::plan::all_containers;
use crate::quantity;

/// The value of a `fieldRef`; an error names what is wrong with the path.
pub(crate) fn field(
    pod: &Pod,
    ips: &[String],
    node: &NodeFacts,
    path: &str,
) -> Result<String, String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    if let Some((map, key)) = keyed(path) {
        let values = match map {
            "metadata.labels" => &metadata.labels,
            "metadata.annotations" => &metadata.annotations,
            _ => {
                return Err(format!(
                    "invalid fieldPath: {path} does not support subscript"
                ));
            }
        };
        return Ok(values
            .as_ref()
            .and_then(|v| v.get(key))
            .cloned()
            .unwrap_or_default());
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(match path {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        "metadata.labels" => quoted(metadata.labels.iter().flatten()),
        "metadata.annotations" => quoted(metadata.annotations.iter().flatten()),
        "spec.nodeName" => spec.map(|s| text(&s.node_name)).unwrap_or_default(),
        "spec.serviceAccountName" => spec
            .map(|s| text(&s.service_account_name))
            .unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => node.host_ip.clone(),
        "status.podIP" => ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => ips.join(","),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// `metadata.labels['key']` -> (`metadata.labels`, `key`).
fn keyed(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// Maps in a downward volume: one `key="value"` a line.
fn quoted<'a>(entries: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let lines: Vec<String> = entries
        .map(|(key, value)| format!("{key}={}", serde_json::Value::from(value.as_str())))
        .collect();
    lines.join("\n")
}

/// The value of a `resourceFieldRef`.
pub(crate) fn resource(
    pod: &Pod,
    container: Option<&Container>,
    node: &NodeFacts,
    selector: &ResourceFieldSelector,
) -> Result<String, String> {
    let container = match selector
        .container_name
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        Some(name) => all_containers(pod)
            .map(|(container, _)| container)
            .find(|container| container.name == name)
            .ok_or_else(|| format!("container {name} not found"))?,
        None => container.ok_or("containerName is required")?,
    };
    let (list, name) = selector
        .resource
        .split_once('.')
        .ok_or_else(|| format!("unsupported container resource : {}", selector.resource))?;
    let resources = container.resources.as_ref();
    let amounts = match list {
        "limits" => resources.and_then(|r| r.limits.as_ref()),
        "requests" => resources.and_then(|r| r.requests.as_ref()),
        _ => {
            return Err(format!(
                "unsupported container resource : {}",
                selector.resource
            ));
        }
    };
    let given = amounts.and_then(|amounts| amounts.get(name));
    let (amount, unit) = if name == "cpu" {
        let none = match list {
            "limits" => node.allocatable(name),
            _ => 0,
        };
        (given.and_then(quantity::milli).unwrap_or(none), 1000)
    } else {
        let none = match (list, name) {
            ("limits", "memory" | "ephemeral-storage") => node.allocatable(name),
            _ => 0,
        };
        (given.and_then(quantity::whole).unwrap_or(none), 1)
    };
    let divisor = match selector.divisor.as_ref() {
        Some(divisor) if unit == 1000 => quantity::milli(divisor),
        Some(divisor) => quantity::whole(divisor),
        None => None,
    };
    // An absent or zero divisor is one.
    let divisor = divisor.filter(|divisor| *divisor > 0).unwrap_or(unit);
    Ok((amount / divisor + i64::from(amount % divisor != 0)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u",
                "labels": {"a/b": "1"}, "annotations": {"k": "say \"x\""}},
            "spec": {"nodeName": "node", "serviceAccountName": "default", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"},
                    "requests": {"cpu": "250m"}}},
                {"name": "d"}]}
        }))
        .unwrap()
    }

    fn node() -> NodeFacts {
        NodeFacts {
            name: "node".into(),
            host_ip: "10.0.0.1".into(),
            room: Arc::new(Room::new(&amounts("8Gi"))),
        }
    }

    fn amounts(memory: &str) -> BTreeMap<String, Quantity> {
        let amounts = [("cpu", "4"), ("memory", memory)];
        let amounts = amounts.map(|(name, amount)| (name.into(), Quantity(amount.into())));
        amounts.into()
    }

    #[test]
    fn fields_of_the_pod() {
        let check = |path: &str, expect: Result<&str, &str>| {
            let got = field(&pod(), &["1.2.3.4".into(), "fd::1".into()], &node(), path);
            assert_eq!(got.as_deref().map_err(String::as_str), expect, "{path}");
        };
        check("metadata.name", Ok("p"));
        check("metadata.labels['a/b']", Ok("1"));
        check("metadata.labels['none']", Ok(""));
        check("metadata.annotations", Ok("k=\"say \\\"x\\\"\""));
        check("spec.nodeName", Ok("node"));
        check("status.hostIP", Ok("10.0.0.1"));
        check("status.podIP", Ok("1.2.3.4"));
        check("status.podIPs", Ok("1.2.3.4,fd::1"));
        check(
            "spec.containers",
            Err("unsupported fieldPath: spec.containers"),
        );
    }

    #[test]
    fn amounts_of_containers() {
        let node = node();
        let check = |container: &str, resource_name: &str, divisor: Option<&str>, expect: &str| {
            let selector: ResourceFieldSelector = serde_json::from_value(json!({
                "containerName": container, "resource": resource_name, "divisor": divisor
            }))
            .unwrap();
            assert_eq!(resource(&pod(), None, &node, &selector).unwrap(), expect);
        };
        check("c", "limits.cpu", None, "2");
        check("c", "limits.cpu", Some("1m"), "1500");
        check("c", "limits.cpu", Some("0"), "2");
        check("c", "requests.cpu", Some("1m"), "250");
        check("c", "limits.memory", None, "67108864");
        check("c", "limits.memory", Some("1Mi"), "64");
        check("d", "limits.cpu", Some("1m"), "4000");
        check("d", "limits.memory", Some("1Gi"), "8");
        check("d", "requests.memory", None, "0");
        // The machine got more.
        node.room.set_whole(&amounts("16Gi"));
        check("d", "limits.memory", Some("1Gi"), "16");
    }
}
