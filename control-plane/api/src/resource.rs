//! The resource table: one row per served kind.
//!
//! A row says what clients see (names, verbs, subresources) and the few switches by which kinds
//! differ in the generic request path. Serving another kind starts with another row.

mod access;
mod admission;
mod aggregation;
mod cluster;
mod core;
mod network;
mod reviews;
mod storage;
mod workloads;

use std::borrow::Cow;

use crate::custom::Cell;

/// A served resource.
#[derive(Debug)]
pub struct Resource {
    /// `""` for the core group.
    pub group: &'static str,
    /// `v1`.
    pub version: &'static str,
    /// `Pod`.
    pub kind: &'static str,
    /// `pods`: the name in URLs.
    pub plural: &'static str,
    /// `pod`.
    pub singular: &'static str,
    /// `po`.
    pub short_names: &'static [&'static str],
    /// `all`: what `kubectl get all` expands to.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Verbs in alphabetical order; nothing else is served.
    pub verbs: &'static [&'static str],
    /// In alphabetical order.
    pub subresources: &'static [Subresource],
    /// Where the store keeps the objects. Versions of one kind share a bucket. Empty when nothing
    /// is stored.
    pub bucket: &'static str,
    /// Name of the type in the schema registry.
    pub type_name: &'static str,
    /// Field labels that selectors may name beside `metadata.name` and `metadata.namespace`.
    pub field_labels: &'static [&'static str],
    /// Whether PUT to a missing name creates it.
    pub create_on_update: bool,
    /// Whether PUT without a resourceVersion overwrites.
    pub unconditional_update: bool,
    /// Whether DELETE answers with the object that is gone, where others answer with a Status.
    pub answers_deleted: bool,
    /// Whether `metadata.generation` counts changes of the spec, or of the content of kinds that have none.
    pub generation: bool,
    /// The kind of a list; empty for the kind with `List` behind it.
    pub list_kind: &'static str,
    /// Where a custom resource finds its definition.
    pub cell: Option<&'static Cell>,
}

/// A subresource of a served resource.
#[derive(Debug)]
pub struct Subresource {
    /// `status`.
    pub name: &'static str,
    /// Group of the kind it speaks; its own for `pods/eviction`.
    pub group: &'static str,
    /// Version of the kind it speaks.
    pub version: &'static str,
    /// The kind it speaks.
    pub kind: &'static str,
    /// Verbs in alphabetical order.
    pub verbs: &'static [&'static str],
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The kind of a list of these.
    pub fn list_kind(&self) -> Cow<'static, str> {
        match self.list_kind {
            "" => Cow::Owned(format!("{}List", self.kind)),
            kind => Cow::Borrowed(kind),
        }
    }

    /// Whether the status is written through a subresource of its own.
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources
            .iter()
            .find(|subresource| subresource.name == name)
    }
}

/// Every served resource: core first, then the groups in order of preference.
pub fn resources() -> &'static [Resource] {
    TABLE
}

/// The resource behind `/apis/{group}/{version}/{plural}`.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    TABLE
        .iter()
        .find(|row| row.plural == plural && row.version == version && row.group == group)
}

/// The resource of a kind.
pub fn find_kind(group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
    TABLE
        .iter()
        .find(|row| row.kind == kind && row.version == version && row.group == group)
}

static TABLE: &[Resource] = &[
    core::BINDINGS,
    core::COMPONENTSTATUSES,
    core::CONFIGMAPS,
    core::ENDPOINTS,
    core::EVENTS,
    core::LIMITRANGES,
    core::NAMESPACES,
    core::NODES,
    core::PERSISTENTVOLUMECLAIMS,
    core::PERSISTENTVOLUMES,
    core::PODS,
    core::PODTEMPLATES,
    core::REPLICATIONCONTROLLERS,
    core::RESOURCEQUOTAS,
    core::SECRETS,
    core::SERVICEACCOUNTS,
    core::SERVICES,
    aggregation::APISERVICES,
    workloads::CONTROLLERREVISIONS,
    workloads::DAEMONSETS,
    workloads::DEPLOYMENTS,
    workloads::REPLICASETS,
    workloads::STATEFULSETS,
    cluster::EVENTS,
    reviews::SELFSUBJECTREVIEWS,
    reviews::TOKENREVIEWS,
    reviews::LOCALSUBJECTACCESSREVIEWS,
    reviews::SELFSUBJECTACCESSREVIEWS,
    reviews::SELFSUBJECTRULESREVIEWS,
    reviews::SUBJECTACCESSREVIEWS,
    workloads::HORIZONTALPODAUTOSCALERS,
    workloads::HORIZONTALPODAUTOSCALERS_V1,
    workloads::CRONJOBS,
    workloads::JOBS,
    access::CERTIFICATESIGNINGREQUESTS,
    network::INGRESSCLASSES,
    network::INGRESSES,
    network::IPADDRESSES,
    network::NETWORKPOLICIES,
    network::SERVICECIDRS,
    workloads::PODDISRUPTIONBUDGETS,
    access::CLUSTERROLEBINDINGS,
    access::CLUSTERROLES,
    access::ROLEBINDINGS,
    access::ROLES,
    storage::CSIDRIVERS,
    storage::CSINODES,
    storage::CSISTORAGECAPACITIES,
    storage::STORAGECLASSES,
    storage::VOLUMEATTACHMENTS,
    storage::VOLUMEATTRIBUTESCLASSES,
    admission::MUTATINGADMISSIONPOLICIES,
    admission::MUTATINGADMISSIONPOLICYBINDINGS,
    admission::MUTATINGWEBHOOKCONFIGURATIONS,
    admission::VALIDATINGADMISSIONPOLICIES,
    admission::VALIDATINGADMISSIONPOLICYBINDINGS,
    admission::VALIDATINGWEBHOOKCONFIGURATIONS,
    admission::CUSTOMRESOURCEDEFINITIONS,
    cluster::PRIORITYCLASSES,
    cluster::LEASES,
    cluster::RUNTIMECLASSES,
    network::ENDPOINTSLICES,
    storage::DEVICECLASSES,
    storage::RESOURCECLAIMS,
    storage::RESOURCECLAIMTEMPLATES,
    storage::RESOURCESLICES,
    admission::FLOWSCHEMAS,
    admission::PRIORITYLEVELCONFIGURATIONS,
];

/// Verbs of an ordinary resource.
const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// Verbs of a subresource that reads and writes a part of the object.
pub(crate) const PART: &[&str] = &["get", "patch", "update"];
const CREATE: &[&str] = &["create"];
const GET: &[&str] = &["get"];
const READ: &[&str] = &["get", "list"];
const UPDATE: &[&str] = &["update"];

/// What most core resources have in common; rows name only what differs.
const BASE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL,
    subresources: &[],
    bucket: "",
    type_name: "",
    field_labels: &[],
    create_on_update: false,
    unconditional_update: true,
    answers_deleted: false,
    generation: false,
    list_kind: "",
    cell: None,
};

/// What custom resources have in common.
pub(crate) const CUSTOM: Resource = Resource {
    unconditional_update: false,
    generation: true,
    ..BASE
};

const fn part(
    name: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource {
        name,
        group: "",
        version: "v1",
        kind,
        verbs,
    }
}

/// A part in which a controller's number of replicas is read and written, whatever its kind.
const SCALE: Subresource = Subresource {
    name: "scale",
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    verbs: PART,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_and_told_apart() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(!row.kind.is_empty() && !row.plural.is_empty() && !row.singular.is_empty());
            assert!(row.verbs.is_sorted(), "{}", row.plural);
            assert!(
                row.subresources.is_sorted_by_key(|part| part.name),
                "{}",
                row.plural
            );
            // Component statuses are read, and made up on the spot.
            assert_eq!(
                row.bucket.is_empty(),
                !row.verbs.contains(&"get") || row.plural == "componentstatuses",
                "{}",
                row.plural
            );
            assert!(std::ptr::eq(
                find(row.group, row.version, row.plural).expect("by plural"),
                row
            ));
            assert!(TABLE[..at].iter().all(|other| other.plural != row.plural
                || other.group != row.group
                || other.version != row.version));
            assert!(
                find_kind(row.group, row.version, row.kind)
                    .expect("by kind")
                    .kind
                    == row.kind
            );
        }
    }

    #[test]
    fn lookups_answer_with_the_row() {
        let pods = find("", "v1", "pods").expect("pods are served");
        assert_eq!(pods.api_version(), "v1");
        assert!(pods.has_status());
        assert_eq!(
            pods.subresource("eviction").expect("served").group,
            "policy"
        );
        let leases = find_kind("coordination.k8s.io", "v1", "Lease").expect("leases are served");
        assert_eq!(leases.api_version(), "coordination.k8s.io/v1");
        assert!(!leases.unconditional_update && leases.create_on_update);
        assert!(find("apps", "v1", "pods").is_none());
    }
}
