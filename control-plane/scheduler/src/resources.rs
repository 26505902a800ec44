//! Amounts of resources, as integers: millicores, bytes, pods, and whatever else a node offers by name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

pub(crate) const CPU: &str = "cpu";
pub(crate) const MEMORY: &str = "memory";
pub(crate) const PODS: &str = "pods";

/// Amounts by resource name. CPU is in millicores, everything else in its own unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Amounts(BTreeMap<String, i128>);

impl Amounts {
    pub(crate) fn from_quantities(quantities: Option<&BTreeMap<String, Quantity>>) -> Self {
        let amounts = quantities.into_iter().flatten();
        Self(
            amounts
                .map(|(name, quantity)| (name.clone(), amount(name, quantity)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> i128 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i128)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() += amount;
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() -= amount;
        }
        self.0.retain(|_, amount| *amount != 0);
    }

    fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let mine = self.0.entry(name.clone()).or_default();
            *mine = (*mine).max(*amount);
        }
    }
}

/// A quantity that does not parse counts as nothing: the server refuses such objects, so it is never seen in practice.
fn amount(name: &str, quantity: &Quantity) -> i128 {
    let Ok(parsed) = sampan_api::quantity::Quantity::parse(&quantity.0) else {
        return 0;
    };
    if name == CPU {
        parsed.milli()
    } else {
        parsed.units()
    }
}

/// What a pod asks for: its containers together with its sidecars, or its largest init container with the sidecars started
/// before it, whichever is more, plus its overhead.
pub(crate) fn requests(spec: &PodSpec) -> Amounts {
    let mut running = Amounts::default();
    for container in &spec.containers {
        running.add(&container_requests(container));
    }
    let mut sidecars = Amounts::default();
    let mut starting = Amounts::default();
    for container in spec.init_containers.iter().flatten() {
        let mut own = container_requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&own);
            own = Amounts::default();
        }
        own.add(&sidecars);
        starting.raise_to(&own);
    }
    running.add(&sidecars);
    running.raise_to(&starting);
    running.add(&Amounts::from_quantities(spec.overhead.as_ref()));
    running
}

fn container_requests(container: &Container) -> Amounts {
    let requests = container
        .resources
        .as_ref()
        .and_then(|resources| resources.requests.as_ref());
    Amounts::from_quantities(requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(spec: serde_json::Value, cpu: i128, memory: i128) {
        let spec: PodSpec = serde_json::from_value(spec).expect("spec");
        let requests = requests(&spec);
        assert_eq!(
            (requests.get(CPU), requests.get(MEMORY)),
            (cpu, memory),
            "{spec:?}"
        );
    }

    fn container(cpu: &str, memory: &str) -> serde_json::Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    #[test]
    fn containers_add_up_and_init_containers_take_turns() {
        check(
            json!({"containers": [container("1", "1Ki"), container("500m", "1Ki")]}),
            1500,
            2048,
        );
        check(
            json!({"containers": [container("1", "1Ki")],
                   "initContainers": [container("3", "10"), container("2", "4Ki")]}),
            3000,
            4096,
        );
        let mut sidecar = container("1", "0");
        sidecar["restartPolicy"] = json!("Always");
        check(
            json!({"containers": [container("1", "0")], "initContainers": [sidecar, container("4", "0")]}),
            5000,
            0,
        );
        check(
            json!({"containers": [{"name": "c"}], "overhead": {"cpu": "250m"}}),
            250,
            0,
        );
    }
}
