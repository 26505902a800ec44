//! Lists of amounts by resource (`cpu`, `memory`, ...): what limit ranges and quotas reckon with.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::{entries, items, text};
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

fn raise(all: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        match all.get_mut(name) {
            Some(known) if *known >= *amount => {}
            Some(known) => *known = *amount,
            None => {
                all.insert(name.clone(), *amount);
            }
        }
    }
}

/// What a pod requests or is limited to (`kind`): the sum of its containers, or what starting it takes if that is more,
/// and what it says about itself as a whole.
pub fn of_pod(pod: &Value, kind: &str) -> Amounts {
    let path = format!("resources.{kind}");
    let mut all = Amounts::new();
    for container in items(pod, "spec.containers") {
        add(&mut all, &at(container, &path));
    }
    let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
    for container in items(pod, "spec.initContainers") {
        let own = at(container, &path);
        if text(container, "restartPolicy") == "Always" {
            add(&mut all, &own);
            add(&mut sidecars, &own);
            raise(&mut starting, &sidecars);
        } else {
            let mut with = own;
            add(&mut with, &sidecars);
            raise(&mut starting, &with);
        }
    }
    raise(&mut all, &starting);
    for (name, amount) in at(pod, &format!("spec.resources.{kind}")) {
        all.insert(name, amount);
    }
    all
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
