//! Lists of amounts by resource (`cpu`, `memory`, ...): what limit ranges and quotas reckon with.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde_json::Value;

use crate::object::{entries, items, part, text};
use crate::quantity::Quantity;

/// Amounts by the name of the resource.
pub type Amounts = BTreeMap<String, Quantity>;

/// The amounts at a path. What cannot be read is left out; validation finds it.
pub fn at(value: &Value, path: &str) -> Amounts {
    entries(value, path)
        .filter_map(|(name, amount)| Some((name.to_owned(), Quantity::from_value(amount).ok()?)))
        .collect()
}

/// Adds what `more` has.
pub fn add<Q: Copy + Default + AddAssign>(
    all: &mut BTreeMap<String, Q>,
    more: &BTreeMap<String, Q>,
) {
    for (name, amount) in more {
        *all.entry(name.clone()).or_default() += *amount;
    }
}

/// Takes what `others` has where that is more.
pub fn raise<Q: Copy + Ord>(all: &mut BTreeMap<String, Q>, others: &BTreeMap<String, Q>) {
    for (name, amount) in others {
        match all.get_mut(name) {
            Some(known) => *known = (*known).max(*amount),
            None => {
                all.insert(name.clone(), *amount);
            }
        }
    }
}

/// What a pod takes at the time it takes most, whatever its amounts are counted in and wherever they were read: its
/// `containers` with its sidecars, or more where one of `init` (sidecars are `true`) needs more beside the sidecars before it,
/// for the others run to their end one after the other. What it says of itself as a `whole` stands instead, where a
/// pod can say it; its `overhead` comes on top.
pub fn taken<Q: Copy + Default + Ord + AddAssign>(
    containers: impl IntoIterator<Item = BTreeMap<String, Q>>,
    init: impl IntoIterator<Item = (bool, BTreeMap<String, Q>)>,
    whole: BTreeMap<String, Q>,
    overhead: &BTreeMap<String, Q>,
) -> BTreeMap<String, Q> {
    let mut all = BTreeMap::new();
    for own in containers {
        add(&mut all, &own);
    }
    let (mut sidecars, mut starting) = (BTreeMap::new(), BTreeMap::new());
    for (is_sidecar, mut own) in init {
        if is_sidecar {
            add(&mut sidecars, &own);
            continue;
        }
        // Of what it does not ask for, the sidecars take no more now than all of them in the end.
        for (name, amount) in &mut own {
            *amount += sidecars.get(name).copied().unwrap_or_default();
        }
        raise(&mut starting, &own);
    }
    add(&mut all, &sidecars);
    raise(&mut all, &starting);
    all.extend(whole.into_iter().filter(|(name, _)| is_of_pod(name)));
    add(&mut all, overhead);
    all
}

/// Whether a pod can ask for the resource as a whole.
fn is_of_pod(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

/// What a pod requests or is limited to (`kind`), its overhead apart.
pub fn of_pod(pod: &Value, kind: &str) -> Amounts {
    let whole = at(pod, &format!("spec.resources.{kind}"));
    of_parts(part(pod, "spec"), &format!("resources.{kind}"), whole)
}

/// The same with its overhead, which is no limit where there is none.
pub fn of_pod_in_all(pod: &Value, kind: &str) -> Amounts {
    let mut all = of_pod(pod, kind);
    let mut overhead = at(pod, "spec.overhead");
    if kind == "limits" {
        overhead.retain(|name, _| all.contains_key(name));
    }
    add(&mut all, &overhead);
    all
}

/// What the containers of a pod have at `path` together at the time they have most.
pub(crate) fn of_containers(spec: &Value, path: &str) -> Amounts {
    of_parts(spec, path, Amounts::new())
}

fn of_parts(spec: &Value, path: &str, whole: Amounts) -> Amounts {
    let containers = items(spec, "containers").iter();
    let init = items(spec, "initContainers").iter();
    let is_sidecar = |container: &Value| text(container, "restartPolicy") == "Always";
    taken(
        containers.map(|container| at(container, path)),
        init.map(|container| (is_sidecar(container), at(container, path))),
        whole,
        &Amounts::new(),
    )
}

/// `cpu=1,memory=2Gi`.
pub fn shown(all: &Amounts) -> String {
    let parts: Vec<String> = all
        .iter()
        .map(|(name, amount)| format!("{name}={amount}"))
        .collect();
    parts.join(",")
}

/// As a JSON object.
pub fn to_value(all: &Amounts) -> Value {
    all.iter()
        .map(|(name, amount)| (name.clone(), Value::from(amount.to_string())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn many_sidecars() {
        let sidecar = |at: usize| {
            let requests = json!({ format!("a{at}"): "1", "cpu": "1m" });
            json!({"restartPolicy": "Always", "resources": {"requests": requests}})
        };
        let all: Vec<Value> = (0..20_000).map(sidecar).collect();
        let pod = json!({"spec": {"initContainers": all}});
        let sum = of_pod(&pod, "requests");
        assert_eq!(sum.len(), 20_001);
        assert_eq!(sum["cpu"].to_string(), "20");
    }

    #[test]
    fn pods_are_summed_as_they_run() {
        let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let mut sidecar = container("100m");
        sidecar["restartPolicy"] = json!("Always");
        let pod = json!({"spec": {
            "containers": [container("1"), container("500m")],
            "initContainers": [container("3"), sidecar, container("2")],
        }});
        assert_eq!(shown(&of_pod(&pod, "requests")), "cpu=3");
        let mut whole = pod.clone();
        whole["spec"]["resources"] = json!({"requests": {"cpu": "4", "memory": "1Gi"}});
        assert_eq!(shown(&of_pod(&whole, "requests")), "cpu=4,memory=1Gi");
        assert_eq!(shown(&of_pod(&pod, "limits")), "");
        whole["spec"]["overhead"] = json!({"cpu": "250m"});
        whole["spec"]["resources"]["requests"]["example.com/gpu"] = json!("1");
        assert_eq!(shown(&of_pod(&whole, "requests")), "cpu=4,memory=1Gi");
        let in_all = |kind: &str| shown(&of_pod_in_all(&whole, kind));
        assert_eq!(in_all("requests"), "cpu=4250m,memory=1Gi");
        assert_eq!(in_all("limits"), "");
    }
}
