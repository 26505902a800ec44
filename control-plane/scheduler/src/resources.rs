//! Amounts of resources, as integers: millicores, bytes, pods, and whatever else a node offers by name.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Pod, PodSpec, PodStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sampan_api::amounts;

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
        amounts::add(&mut self.0, &other.0);
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() -= amount;
        }
        self.0.retain(|_, amount| *amount != 0);
    }

    fn raise_to(&mut self, other: &Self) {
        amounts::raise(&mut self.0, &other.0);
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

/// CPU and memory as scores count them: what containers do not ask for, they are presumed to use a little of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Presumed {
    pub(crate) cpu: i128,
    pub(crate) memory: i128,
}

impl Presumed {
    /// Upstream's numbers: a tenth of a CPU and 200 MiB.
    const EACH: [(&str, i128); 2] = [(CPU, 100), (MEMORY, 200 << 20)];

    pub(crate) fn of(pod: &Pod) -> Self {
        let all = taken(pod, |mut asked| {
            for (name, amount) in Self::EACH {
                asked.0.entry(name.to_string()).or_insert(amount);
            }
            asked
        });
        Self {
            cpu: all.get(CPU),
            memory: all.get(MEMORY),
        }
    }
}

impl std::ops::Add for Presumed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            memory: self.memory + other.memory,
        }
    }
}

impl std::ops::Sub for Presumed {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu: self.cpu - other.cpu,
            memory: self.memory - other.memory,
        }
    }
}

/// What a pod takes of its node.
///
/// A container that runs takes the most of what it asks for, was promised and has, so that a resize that is not done yet
/// gives nothing away; what the node can never give it does not take.
pub(crate) fn requests(pod: &Pod) -> Amounts {
    taken(pod, |asked| asked)
}

/// What a pod takes if each container takes what `each` makes of what it asks for.
fn taken(pod: &Pod, each: impl Fn(Amounts) -> Amounts) -> Amounts {
    let Some(spec) = &pod.spec else {
        return Amounts::default();
    };
    let resize = Resize::of(pod);
    let init = spec.init_containers.iter().flatten();
    Amounts(amounts::taken(
        spec.containers
            .iter()
            .map(|one| each(resize.container(one)).0),
        init.map(|one| match one.restart_policy.as_deref() {
            Some("Always") => (true, each(resize.container(one)).0),
            _ => (false, each(Amounts::from_quantities(asked(one))).0),
        }),
        resize.whole(spec).0,
        &Amounts::from_quantities(spec.overhead.as_ref()).0,
    ))
}

type Quantities = BTreeMap<String, Quantity>;

fn asked(container: &Container) -> Option<&Quantities> {
    let resources = container.resources.as_ref();
    resources.and_then(|resources| resources.requests.as_ref())
}

/// How far the pod's containers are from what its spec says by now.
struct Resize<'a> {
    /// The node will never have so much.
    infeasible: bool,
    status: Option<&'a PodStatus>,
    containers: HashMap<&'a str, &'a ContainerStatus>,
}

impl<'a> Resize<'a> {
    fn of(pod: &'a Pod) -> Self {
        let status = pod.status.as_ref();
        let mut conditions = status.iter().flat_map(|s| s.conditions.iter().flatten());
        let pending = conditions.find(|condition| condition.type_ == "PodResizePending");
        let containers = status.iter().flat_map(|status| {
            let init = status.init_container_statuses.iter();
            init.chain(&status.container_statuses).flatten()
        });
        Self {
            infeasible: pending.is_some_and(|c| c.reason.as_deref() == Some("Infeasible")),
            status,
            containers: containers.map(|one| (one.name.as_str(), one)).collect(),
        }
    }

    fn container(&self, container: &Container) -> Amounts {
        let status = self.containers.get(container.name.as_str());
        self.most(
            asked(container),
            status.and_then(|status| status.resources.as_ref()),
            status.and_then(|status| status.allocated_resources.as_ref()),
        )
    }

    fn whole(&self, spec: &PodSpec) -> Amounts {
        let resources = spec.resources.as_ref();
        let asked = resources.and_then(|resources| resources.requests.as_ref());
        if asked.is_none() {
            return Amounts::default();
        }
        self.most(
            asked,
            self.status.and_then(|status| status.resources.as_ref()),
            self.status
                .and_then(|status| status.allocated_resources.as_ref()),
        )
    }

    fn most(
        &self,
        asked: Option<&Quantities>,
        actual: Option<&ResourceRequirements>,
        allocated: Option<&Quantities>,
    ) -> Amounts {
        let asked = Amounts::from_quantities(asked);
        let Some(actual) = actual else {
            return asked;
        };
        let mut most = Amounts::from_quantities(actual.requests.as_ref());
        most.raise_to(&Amounts::from_quantities(allocated));
        if !self.infeasible {
            most.raise_to(&asked);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(spec: serde_json::Value, cpu: i128, memory: i128) {
        check_pod(json!({"spec": spec}), cpu, memory);
    }

    fn check_pod(pod: serde_json::Value, cpu: i128, memory: i128) {
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let requests = requests(&pod);
        let got = (requests.get(CPU), requests.get(MEMORY));
        assert_eq!(got, (cpu, memory), "{pod:?}");
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

    #[test]
    fn the_pod_as_a_whole_may_say_it() {
        let whole = json!({"requests": {"cpu": "4", "example.com/gpu": "1"}});
        let mut spec = json!({"containers": [container("1", "1Ki")], "resources": whole});
        check(spec.clone(), 4000, 1024);
        spec["resources"] = json!({"limits": {"cpu": "4"}});
        check(spec, 1000, 1024);
    }

    #[test]
    fn a_resize_counts_as_far_as_it_may_come_and_holds_until_it_is_done() {
        let check = |cpu: &str, has: &str, promised: &str, reason: &str, expect| {
            let condition = json!({"type": "PodResizePending", "status": "True", "reason": reason});
            let status = json!({"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "resources": {"requests": {"cpu": has}}, "allocatedResources": {"cpu": promised}});
            let pod = json!({"spec": {"containers": [container(cpu, "0")]},
                "status": {"containerStatuses": [status], "conditions": [condition]}});
            check_pod(pod, expect, 0);
        };
        check("3", "1", "1", "Deferred", 3000);
        check("1000", "1", "1", "Infeasible", 1000);
        check("1", "1", "2", "", 2000);
        check("1", "3", "1", "", 3000);
    }

    /// The loop that places pods does nothing else meanwhile.
    #[test]
    fn many_init_containers_that_ask_for_different_things() {
        let one = |at: usize| {
            let policy = at.is_multiple_of(2).then_some("Always");
            json!({"name": "c", "restartPolicy": policy,
                "resources": {"requests": {format!("example.com/r{at}"): "1"}}})
        };
        let containers: Vec<_> = (0..10_000).map(one).collect();
        let pod = json!({"spec": {"containers": [], "initContainers": containers}});
        let requests = requests(&serde_json::from_value(pod).expect("a pod"));
        assert_eq!(requests.iter().count(), 10_000);
    }
}
