//! Amounts of a node's resources, by name: CPU in thousandths, everything else in its own unit.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sampan_api::amounts;

use crate::plan::{init_containers, is_sidecar, main_containers};
use crate::quantity;

pub(super) const CPU: &str = "cpu";
pub(super) const MEMORY: &str = "memory";

/// What a pod asks for, what several do together, or what a node has. Each amount of a pod fits into 64 bits, so that sums
/// are exact whatever pods say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests(BTreeMap<String, i128>);

impl Requests {
    /// What a pod asks for as upstream counts it.
    pub(crate) fn of(pod: &Pod) -> Requests {
        let of_container = |container: &Container| {
            let own = container.resources.as_ref();
            Requests::read(own.and_then(|own| own.requests.as_ref()))
        };
        let init = init_containers(pod)
            .iter()
            .map(|one| (is_sidecar(one), of_container(one).0));
        let spec = pod.spec.as_ref();
        let whole = spec.and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
        let overhead = spec.and_then(|spec| spec.overhead.as_ref());
        Requests(amounts::taken(
            main_containers(pod).iter().map(|one| of_container(one).0),
            init,
            Requests::read(whole).0,
            &Requests::read(overhead).0,
        ))
    }

    pub(super) fn read(list: Option<&BTreeMap<String, Quantity>>) -> Requests {
        let amount = |name: &str, quantity: &Quantity| match name {
            CPU => quantity::milli(quantity),
            _ => quantity::whole(quantity),
        };
        let list = list.into_iter().flatten();
        let amounts = list.filter_map(|(name, quantity)| {
            Some((name.clone(), i128::from(amount(name, quantity)?)))
        });
        Requests(amounts.collect())
    }

    pub(super) fn get(&self, name: &str) -> i128 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names, those that every node has first, as upstream looks at them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let first = [CPU, MEMORY, "ephemeral-storage"];
        let others = self.0.keys().map(String::as_str);
        let others = others.filter(move |name| !first.contains(name));
        first.into_iter().chain(others)
    }

    pub(super) fn add(&mut self, other: &Requests) {
        amounts::add(&mut self.0, &other.0);
    }

    pub(super) fn subtract(&mut self, other: &Requests) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() -= amount;
        }
        self.0.retain(|_, amount| *amount != 0);
    }

    pub(super) fn raise_to(&mut self, other: &Requests) {
        amounts::raise(&mut self.0, &other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(spec: Value, cpu: i128, memory: i128) {
        let pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
        let requests = Requests::of(&pod);
        assert_eq!(
            (requests.get(CPU), requests.get(MEMORY)),
            (cpu, memory),
            "{spec}"
        );
    }

    #[test]
    fn pods_ask_for_what_they_need_at_once() {
        let one = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu, "memory": "1"}}});
        let mut sidecar = one("s", "1");
        sidecar["restartPolicy"] = json!("Always");
        check(
            json!({"containers": [one("a", "1"), one("b", "500m")]}),
            1_500,
            2,
        );
        let init = [sidecar, one("i", "2")];
        check(
            json!({"containers": [one("a", "1")], "initContainers": init, "overhead": {"cpu": "100m"}}),
            3_100,
            2,
        );
        check(
            json!({"containers": [one("a", "1")], "resources": {"requests": {"cpu": "4"}}}),
            4_000,
            1,
        );
    }

    #[test]
    fn sums_are_exact_however_large_the_amounts() {
        let most = Requests::of(
            &serde_json::from_value(json!({"spec": {"containers": [
                {"name": "a", "resources": {"requests": {"cpu": "9E", "memory": "9E"}}}]}}))
            .unwrap(),
        );
        let mut sum = most.clone();
        for _ in 0..3 {
            sum.add(&most);
        }
        for _ in 0..4 {
            sum.subtract(&most);
        }
        assert_eq!(sum, Requests::default());
    }

    #[test]
    fn many_init_containers_that_ask_for_different_things() {
        let init: Vec<Value> = (0..20_000)
            .map(|at| {
                let policy = (at % 2 == 0).then_some("Always");
                json!({"name": "c", "restartPolicy": policy,
                    "resources": {"requests": {format!("example.com/r{at}"): "1"}}})
            })
            .collect();
        check(json!({"containers": [], "initContainers": init}), 0, 0);
    }
}
