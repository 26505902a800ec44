//! The Node object as a function of facts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints,
    NodeRuntimeHandler, NodeSpec, NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::health::{Health, conditions};
use super::host::Host;
use crate::limits::DEFAULT_PODS;
use crate::quantity;

/// The Kubernetes version this agent behaves like.
const KUBELET_VERSION: &str = "v1.36.2+sampan";
/// What this agent can do that the API server asks about before it lets it be asked for: resizing a pod as a whole.
const FEATURES: [&str; 1] = ["InPlacePodLevelResourcesVerticalScaling"];
/// Tells Wasm nodes from others in a mixed cluster.
const RUNTIME_LABEL: (&str, &str) = ("runtime", "sampan");

/// What does not change while the agent runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) pod_cidr: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) capacity: BTreeMap<String, String>,
    pub(crate) extended_resources: BTreeMap<String, String>,
    /// `NAME://VERSION` of the runtime.
    pub(crate) runtime_version: String,
    pub(crate) runtime_handlers: Vec<String>,
}

/// What is looked at again and again.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) host: Host,
    pub(super) health: Health,
    /// Nothing if they could not be listed.
    pub(super) images: Option<Vec<ContainerImage>>,
}

/// The whole object, for the first registration.
pub(super) fn node(identity: &Identity, seen: &Seen, now: Timestamp) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(identity.name.clone()),
            labels: Some(labels(identity)),
            ..ObjectMeta::default()
        },
        spec: identity.pod_cidr.as_ref().map(|cidr| NodeSpec {
            pod_cidr: Some(cidr.clone()),
            pod_cidrs: Some(vec![cidr.clone()]),
            ..NodeSpec::default()
        }),
        status: Some(status(identity, seen, &NodeStatus::default(), now)),
    }
}

fn labels(identity: &Identity) -> BTreeMap<String, String> {
    let fixed = [
        ("kubernetes.io/hostname", identity.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch()),
        // Upstream's kubelet sets these still: selectors of old charts go by them.
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", arch()),
        RUNTIME_LABEL,
    ];
    let mut labels = identity.labels.clone();
    labels.extend(fixed.map(|(key, value)| (key.to_owned(), value.to_owned())));
    labels
}

/// Go's name of this machine's architecture.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// What a Node that exists already lacks of our labels and range. Labels of others stay.
pub(super) fn metadata_patch(present: &Node, wanted: &Node) -> Option<Value> {
    let mut patch = Map::new();
    let has = present.metadata.labels.clone().unwrap_or_default();
    let missing: BTreeMap<&String, &String> = wanted
        .metadata
        .labels
        .iter()
        .flatten()
        .filter(|(key, value)| has.get(*key) != Some(*value))
        .collect();
    if !missing.is_empty() {
        patch.insert("metadata".into(), json!({ "labels": missing }));
    }
    let range = |node: &Node| node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone());
    // A range once given is immutable to the API server: only an empty one is filled.
    if range(present).is_none()
        && let Some(cidr) = range(wanted)
    {
        patch.insert(
            "spec".into(),
            json!({ "podCIDR": cidr, "podCIDRs": [cidr] }),
        );
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The status. Transition times are kept from `known` where a condition did not change.
pub(super) fn status(
    identity: &Identity,
    seen: &Seen,
    known: &NodeStatus,
    now: Timestamp,
) -> NodeStatus {
    let Seen {
        host,
        health,
        images,
    } = seen;
    let mut capacity = capacity(identity, host);
    // What others gave the node stays, and what cannot be read at the moment is as it was.
    for (name, amount) in known.capacity.iter().flatten() {
        capacity
            .entry(name.clone())
            .or_insert_with(|| amount.clone());
    }
    let address = |kind: &str, address: &str| NodeAddress {
        type_: kind.to_owned(),
        address: address.to_owned(),
    };
    let images = images.clone().or_else(|| known.images.clone());
    NodeStatus {
        images: images.filter(|images| !images.is_empty() || known.images.is_some()),
        addresses: Some(vec![
            address("InternalIP", &identity.ip),
            address("Hostname", &identity.name),
        ]),
        allocatable: Some(capacity.clone()),
        capacity: Some(capacity),
        conditions: Some(conditions(health, known, now)),
        declared_features: Some(FEATURES.map(str::to_owned).to_vec()),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint {
                port: i32::from(identity.port),
            }),
        }),
        node_info: Some(NodeSystemInfo {
            architecture: arch().to_owned(),
            boot_id: host.boot_id.clone(),
            container_runtime_version: identity.runtime_version.clone(),
            kernel_version: host.kernel.clone(),
            kubelet_version: KUBELET_VERSION.to_owned(),
            machine_id: host.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: host.os_image.clone(),
            system_uuid: host.machine_id.clone(),
            ..NodeSystemInfo::default()
        }),
        runtime_handlers: (!identity.runtime_handlers.is_empty()).then(|| {
            let handlers = identity.runtime_handlers.iter();
            handlers
                .map(|name| NodeRuntimeHandler {
                    name: Some(name.clone()),
                    ..Default::default()
                })
                .collect()
        }),
        ..NodeStatus::default()
    }
}

/// What the node offers: measured, then overridden. What could not be read is left out.
pub(crate) fn capacity(identity: &Identity, host: &Host) -> BTreeMap<String, Quantity> {
    let bytes = |amount: u64| (amount > 0).then(|| format!("{}Ki", amount / 1024));
    let measured = [
        ("cpu", (host.cpus > 0).then(|| host.cpus.to_string())),
        ("memory", bytes(host.memory_bytes)),
        ("ephemeral-storage", bytes(host.disk_bytes)),
        ("pods", Some(DEFAULT_PODS.to_string())),
    ];
    let given = identity.capacity.iter().chain(&identity.extended_resources);
    measured
        .into_iter()
        .filter_map(|(name, amount)| Some((name, amount?)))
        .map(|(name, amount)| (name.to_owned(), amount))
        .chain(given.map(|(name, amount)| (name.clone(), amount.clone())))
        .map(|(name, amount)| (name, Quantity(quantity::canonical(amount))))
        .collect()
}

/// Whether two statuses differ in more than heartbeat times.
pub(super) fn differs(known: &NodeStatus, next: &NodeStatus) -> bool {
    let own = |status: &NodeStatus| -> Vec<NodeCondition> {
        let mut conditions = status.conditions.clone().unwrap_or_default();
        // Others may add conditions of their own; those are not ours to compare.
        conditions.retain(|c| {
            next.conditions
                .iter()
                .flatten()
                .any(|ours| ours.type_ == c.type_)
        });
        for condition in &mut conditions {
            condition.last_heartbeat_time = None;
            condition.last_transition_time = None;
        }
        conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        conditions
    };
    own(known) != own(next)
        || known.addresses != next.addresses
        || known.capacity != next.capacity
        || known.allocatable != next.allocatable
        || known.node_info != next.node_info
        || known.daemon_endpoints != next.daemon_endpoints
        || known.declared_features != next.declared_features
        || known.images.as_deref().unwrap_or_default() != next.images.as_deref().unwrap_or_default()
}

/// Top-level fields that differ. Conditions and addresses merge by type on the server, amounts by name: one that is to go
/// is told to.
pub(super) fn status_patch(known: &NodeStatus, next: &NodeStatus) -> Option<Value> {
    let known = serde_json::to_value(known).ok()?;
    let mut next = serde_json::to_value(next).ok()?;
    let fields = next.as_object_mut()?;
    fields.retain(|field, value| known.get(field) != Some(value));
    if let Some(amounts) = fields.get_mut("allocatable").and_then(Value::as_object_mut) {
        let before = known["allocatable"].as_object();
        for name in before.into_iter().flat_map(Map::keys) {
            amounts.entry(name).or_insert(Value::Null);
        }
    }
    (!fields.is_empty()).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::super::health::judge;
    use super::*;

    fn identity() -> Identity {
        Identity {
            name: "n1".into(),
            ip: "127.0.0.1".into(),
            port: 10250,
            pod_cidr: Some("127.64.0.0/18".into()),
            capacity: [("pods".to_owned(), "7".to_owned())].into(),
            extended_resources: [("example.com/gpu".to_owned(), "2".to_owned())].into(),
            ..Identity::default()
        }
    }

    fn host() -> Host {
        Host {
            cpus: 2,
            memory_bytes: 8 << 30,
            memory_available_bytes: 4 << 30,
            disk_bytes: 100 << 30,
            disk_free_bytes: 50 << 30,
            ..Host::default()
        }
    }

    fn seen() -> Seen {
        Seen {
            host: host(),
            health: judge(&host(), None),
            images: Some(Vec::new()),
        }
    }

    #[test]
    fn node_tells_what_it_offers() {
        let now = Timestamp::UNIX_EPOCH;
        let node = node(&identity(), &seen(), now);
        let status = node.status.clone().unwrap();
        let capacity = status.capacity.clone().unwrap();
        let amounts: Vec<(&str, &str)> = capacity
            .iter()
            .map(|(k, v)| (k.as_str(), v.0.as_str()))
            .collect();
        assert_eq!(
            amounts,
            [
                ("cpu", "2"),
                ("ephemeral-storage", "100Gi"),
                ("example.com/gpu", "2"),
                ("memory", "8Gi"),
                ("pods", "7"),
            ]
        );
        assert_eq!(
            node.metadata.labels.unwrap()["kubernetes.io/hostname"],
            "n1"
        );
        assert_eq!(
            node.spec.unwrap().pod_cidr.as_deref(),
            Some("127.64.0.0/18")
        );
        let ready = status
            .conditions
            .unwrap()
            .into_iter()
            .find(|c| c.type_ == "Ready")
            .unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_deref()),
            ("True", Some("KubeletReady"))
        );
    }

    #[test]
    fn heartbeats_alone_are_no_difference() {
        let now = Timestamp::UNIX_EPOCH;
        let later = now + jiff::SignedDuration::from_secs(60);
        let first = status(&identity(), &seen(), &NodeStatus::default(), now);
        let second = status(&identity(), &seen(), &first, later);
        assert!(!differs(&first, &second));
        let transition = &second.conditions.as_ref().unwrap()[0].last_transition_time;
        assert_eq!(transition.as_ref().unwrap().0, now);
        let down = Seen {
            health: judge(&host(), Some("x".into())),
            ..seen()
        };
        let down = status(&identity(), &down, &first, later);
        assert!(differs(&first, &down));
    }

    #[test]
    fn images_are_told_until_others_are_seen() {
        let now = Timestamp::UNIX_EPOCH;
        let told = |images: Option<&[&str]>, known: &NodeStatus| {
            let image = |name: &&str| ContainerImage {
                names: Some(vec![(*name).to_owned()]),
                size_bytes: Some(1),
            };
            let images = images.map(|names| names.iter().map(image).collect());
            let next = status(&identity(), &Seen { images, ..seen() }, known, now);
            let patch = status_patch(known, &next).unwrap_or_default();
            assert_eq!(differs(known, &next), patch.get("images").is_some());
            next
        };
        let first = status(&identity(), &seen(), &NodeStatus::default(), now);
        assert_eq!(told(Some(&[]), &first).images, None);
        let some = told(Some(&["a", "b"]), &first);
        assert_eq!(some.images.as_ref().unwrap().len(), 2);
        assert_eq!(
            told(None, &some).images,
            some.images,
            "they could not be listed"
        );
        assert_eq!(told(Some(&[]), &some).images, Some(Vec::new()));
    }

    #[test]
    fn what_others_gave_stays_and_so_does_what_cannot_be_read() {
        let now = Timestamp::UNIX_EPOCH;
        let told = |host: &Host, known: &NodeStatus| {
            let host = host.clone();
            status(&identity(), &Seen { host, ..seen() }, known, now)
        };
        let first = told(&host(), &NodeStatus::default());
        let mut known = first.clone();
        let gpu = ("example.com/by-hand".to_owned(), Quantity("1".to_owned()));
        known.capacity.as_mut().unwrap().extend([gpu.clone()]);
        let failing = Host {
            memory_bytes: 0,
            disk_bytes: 0,
            ..host()
        };
        let next = told(&failing, &known);
        assert_eq!(next.capacity, known.capacity);
        assert_eq!(next.allocatable, known.capacity);
        // Taken back by who gave it.
        known.allocatable.as_mut().unwrap().extend([gpu]);
        known.capacity = first.capacity.clone();
        let patch = status_patch(&known, &told(&host(), &known)).unwrap();
        let amounts = patch["allocatable"].as_object().unwrap();
        assert_eq!(amounts["example.com/by-hand"], Value::Null);
        assert_eq!(amounts["cpu"], "2");
    }

    #[test]
    fn labels_of_others_stay() {
        let now = Timestamp::UNIX_EPOCH;
        let wanted = node(&identity(), &seen(), now);
        assert_eq!(metadata_patch(&wanted, &wanted), None);
        let mut present = wanted.clone();
        let labels = present.metadata.labels.as_mut().unwrap();
        labels.insert("mine".into(), "x".into());
        labels.remove("kubernetes.io/os");
        let patch = metadata_patch(&present, &wanted).unwrap();
        assert_eq!(
            patch,
            json!({"metadata": {"labels": {"kubernetes.io/os": "linux"}}})
        );
    }
}
