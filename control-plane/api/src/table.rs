//! Tables: how `kubectl get` shows each kind. The server renders the cells; clients only align
//! them. Names, types and priorities of columns, and the text of cells, are upstream's, because
//! scripts parse them; the descriptions are ours.

mod access;
mod admission;
mod autoscaling;
mod batch;
mod cluster;
mod devices;
mod event;
mod format;
mod network;
mod node;
mod pod;
mod service;
mod small;
mod storage;
mod workloads;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::object;
use crate::time;

/// What a cell shows when there is nothing to show.
const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";
/// What a cell shows when nobody chose a value.
const UNSET: &str = "<unset>";

/// How one kind is shown.
pub struct Printer {
    columns: &'static [Column],
    cells: fn(&Value, Timestamp) -> Vec<Value>,
    conditions: fn(&Value) -> Vec<Value>,
    rank: Option<fn(&Value) -> i64>,
}

/// What printers have in common; each names only what differs.
const PLAIN: Printer = Printer {
    columns: &[],
    cells: |_, _| Vec::new(),
    conditions: |_| Vec::new(),
    rank: None,
};

impl Printer {
    /// The `columnDefinitions` of the kind.
    pub fn columns(&self) -> Value {
        self.columns.iter().map(Column::definition).collect()
    }

    /// The cells of one object's row, one per column.
    pub fn cells(&self, value: &Value, now: Timestamp) -> Vec<Value> {
        (self.cells)(value, now)
    }

    /// The `conditions` of one object's row: clients hide rows that are completed.
    pub fn conditions(&self, value: &Value) -> Vec<Value> {
        (self.conditions)(value)
    }

    /// Where an object's row stands among the others, for the kinds that are not shown by name.
    pub fn rank(&self, value: &Value) -> Option<i64> {
        self.rank.map(|rank| rank(value))
    }
}

/// One column of a kind's table.
struct Column {
    name: &'static str,
    /// `string`, `integer`, ...; what kubectl's sorting and other clients go by.
    kind: &'static str,
    /// `name` marks the object's name.
    format: &'static str,
    description: &'static str,
    /// 0 is always shown, 1 only in wide output.
    priority: u8,
}

const NAME: Column = Column {
    format: "name",
    ..column("Name", "Name of the object.")
};
const AGE: Column = column("Age", "Time since the object was created.");

const fn column(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        description,
        priority: 0,
    }
}

const fn integer(name: &'static str, description: &'static str) -> Column {
    Column {
        kind: "integer",
        ..column(name, description)
    }
}

const fn boolean(name: &'static str, description: &'static str) -> Column {
    Column {
        kind: "boolean",
        ..column(name, description)
    }
}

const fn wide(name: &'static str, description: &'static str) -> Column {
    Column {
        priority: 1,
        ..column(name, description)
    }
}

/// The printer of a built-in kind; of one that is told by name and age alone when it is not known.
pub fn printer(group: &str, kind: &str) -> &'static Printer {
    match (group, kind) {
        ("", "ComponentStatus") => &small::COMPONENT_STATUS,
        ("", "ConfigMap") => &small::CONFIG_MAP,
        ("", "Endpoints") => &network::ENDPOINTS,
        (_, "Event") => &event::EVENT,
        ("", "Namespace") => &small::NAMESPACE,
        ("", "Node") => &node::NODE,
        ("", "PersistentVolume") => &storage::PERSISTENT_VOLUME,
        ("", "PersistentVolumeClaim") => &storage::PERSISTENT_VOLUME_CLAIM,
        ("", "Pod") => &pod::POD,
        ("", "PodTemplate") => &workloads::POD_TEMPLATE,
        ("", "ReplicationController") => &workloads::REPLICATION_CONTROLLER,
        ("", "ResourceQuota") => &small::RESOURCE_QUOTA,
        ("", "Secret") => &small::SECRET,
        ("", "Service") => &service::SERVICE,
        ("", "ServiceAccount") => &small::NAME_AND_AGE,
        ("apiregistration.k8s.io", "APIService") => &small::API_SERVICE,
        ("apps", "ControllerRevision") => &workloads::CONTROLLER_REVISION,
        ("apps", "DaemonSet") => &workloads::DAEMON_SET,
        ("apps", "Deployment") => &workloads::DEPLOYMENT,
        ("apps", "ReplicaSet") => &workloads::REPLICA_SET,
        ("apps", "StatefulSet") => &workloads::STATEFUL_SET,
        ("autoscaling", "Scale") => &autoscaling::SCALE,
        ("autoscaling", "HorizontalPodAutoscaler") => &autoscaling::HORIZONTAL_POD_AUTOSCALER,
        ("batch", "CronJob") => &batch::CRON_JOB,
        ("batch", "Job") => &batch::JOB,
        ("policy", "PodDisruptionBudget") => &workloads::POD_DISRUPTION_BUDGET,
        ("coordination.k8s.io", "Lease") => &cluster::LEASE,
        ("node.k8s.io", "RuntimeClass") => &cluster::RUNTIME_CLASS,
        ("scheduling.k8s.io", "PriorityClass") => &cluster::PRIORITY_CLASS,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => &cluster::FLOW_SCHEMA,
        ("flowcontrol.apiserver.k8s.io", _) => &cluster::PRIORITY_LEVEL,
        ("discovery.k8s.io", "EndpointSlice") => &network::ENDPOINT_SLICE,
        ("networking.k8s.io", "Ingress") => &network::INGRESS,
        ("networking.k8s.io", "IngressClass") => &network::INGRESS_CLASS,
        ("networking.k8s.io", "IPAddress") => &network::IP_ADDRESS,
        ("networking.k8s.io", "NetworkPolicy") => &network::NETWORK_POLICY,
        ("networking.k8s.io", "ServiceCIDR") => &network::SERVICE_CIDR,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => &access::BINDING,
        ("certificates.k8s.io", "CertificateSigningRequest") => &access::SIGNING_REQUEST,
        ("storage.k8s.io", "CSIDriver") => &storage::CSI_DRIVER,
        ("storage.k8s.io", "CSINode") => &storage::CSI_NODE,
        ("storage.k8s.io", "StorageClass") => &storage::STORAGE_CLASS,
        ("storage.k8s.io", "VolumeAttachment") => &storage::VOLUME_ATTACHMENT,
        ("storage.k8s.io", "VolumeAttributesClass") => &storage::VOLUME_ATTRIBUTES_CLASS,
        ("admissionregistration.k8s.io", kind) => admission::printer(kind),
        ("resource.k8s.io", kind) => devices::printer(kind),
        _ => &small::OTHER,
    }
}

impl Column {
    fn definition(&self) -> Value {
        let mut definition = Map::new();
        definition.insert("name".into(), self.name.into());
        definition.insert("type".into(), self.kind.into());
        definition.insert("format".into(), self.format.into());
        definition.insert("description".into(), self.description.into());
        definition.insert("priority".into(), self.priority.into());
        Value::Object(definition)
    }
}

fn name(value: &Value) -> Value {
    json!(object::name(value))
}

fn age(value: &Value, now: Timestamp) -> Value {
    json!(time::age(object::creation_timestamp(value), now))
}

/// The text at `path`, as it is.
fn shown(value: &Value, path: &str) -> Value {
    json!(object::text(value, path))
}

/// The number at `path`; absent is zero.
fn count(value: &Value, path: &str) -> Value {
    json!(object::int(value, path).unwrap_or(0))
}

/// `text`, or `placeholder` when it is empty.
fn or(text: &str, placeholder: &str) -> Value {
    json!(if text.is_empty() { placeholder } else { text })
}

#[cfg(test)]
mod tests;
