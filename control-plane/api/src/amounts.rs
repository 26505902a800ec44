//! Lists of amounts by resource (`cpu`, `memory`, ...): what limit ranges and quotas reckon with.

use std::collections::BTreeMap;

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
pub fn add(all: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *all.entry(name.clone()).or_default() += *amount;
    }
}

/// What a pod requests or is limited to (`kind`): what its containers have together, and what it says about itself as a
/// whole.
pub fn of_pod(pod: &Value, kind: &str) -> Amounts {
    let mut all = of_containers(part(pod, "spec"), &format!("resources.{kind}"));
    for (name, amount) in at(pod, &format!("spec.resources.{kind}")) {
        all.insert(name, amount);
    }
    all
}

/// What the containers of a pod have at `path` together at the time they have most: sidecars stay, others run to their
/// end one after the other before the rest starts.
pub(crate) fn of_containers(spec: &Value, path: &str) -> Amounts {
    let mut all = Amounts::new();
    for container in items(spec, "containers") {
        add(&mut all, &at(container, path));
    }
    let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
    for container in items(spec, "initContainers") {
        let own = at(container, path);
        if text(container, "restartPolicy") == "Always" {
            add(&mut all, &own);
            add(&mut sidecars, &own);
            for name in own.keys() {
                raise(&mut starting, name, sidecars[name]);
            }
        } else {
            // What it does not ask for is what the sidecars have, and that has been looked at.
            for (name, mut amount) in own {
                amount += sidecars.get(&name).copied().unwrap_or_default();
                raise(&mut starting, &name, amount);
            }
        }
    }
    for (name, amount) in &starting {
        raise(&mut all, name, *amount);
    }
    all
}

fn raise(all: &mut Amounts, name: &str, amount: Quantity) {
    match all.get_mut(name) {
        Some(known) => *known = amount.max(*known),
        None => {
            all.insert(name.to_owned(), amount);
        }
    }
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
    }
}
