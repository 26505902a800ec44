//! Rows of the core group.

use super::{BASE, CREATE, GET, PART, READ, Resource, SCALE, Subresource, UPDATE, part};

pub(super) const BINDINGS: Resource = Resource {
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    type_name: "io.k8s.api.core.v1.Binding",
    verbs: CREATE,
    ..BASE
};

pub(super) const COMPONENTSTATUSES: Resource = Resource {
    kind: "ComponentStatus",
    plural: "componentstatuses",
    singular: "componentstatus",
    short_names: &["cs"],
    namespaced: false,
    type_name: "io.k8s.api.core.v1.ComponentStatus",
    verbs: READ,
    ..BASE
};

pub(super) const CONFIGMAPS: Resource = Resource {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    bucket: "configmaps",
    type_name: "io.k8s.api.core.v1.ConfigMap",
    ..BASE
};

pub(super) const EVENTS: Resource = Resource {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    bucket: "events",
    type_name: "io.k8s.api.core.v1.Event",
    field_labels: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    create_on_update: true,
    ..BASE
};

pub(super) const NAMESPACES: Resource = Resource {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    // Emptying all namespaces in one request is refused by design.
    verbs: &[
        "create", "delete", "get", "list", "patch", "update", "watch",
    ],
    subresources: &[
        part("finalize", "Namespace", UPDATE),
        part("status", "Namespace", PART),
    ],
    bucket: "namespaces",
    type_name: "io.k8s.api.core.v1.Namespace",
    field_labels: &["status.phase"],
    answers_deleted: true,
    ..BASE
};

pub(super) const NODES: Resource = Resource {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    subresources: &[part("status", "Node", PART)],
    bucket: "nodes",
    type_name: "io.k8s.api.core.v1.Node",
    field_labels: &["spec.unschedulable"],
    ..BASE
};

pub(super) const PODS: Resource = Resource {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        part("binding", "Binding", CREATE),
        part("ephemeralcontainers", "Pod", PART),
        Subresource {
            name: "eviction",
            group: "policy",
            version: "v1",
            kind: "Eviction",
            verbs: CREATE,
        },
        part("log", "Pod", GET),
        part("resize", "Pod", PART),
        part("status", "Pod", PART),
    ],
    bucket: "pods",
    type_name: "io.k8s.api.core.v1.Pod",
    field_labels: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ],
    generation: true,
    answers_deleted: true,
    ..BASE
};

pub(super) const SECRETS: Resource = Resource {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    bucket: "secrets",
    type_name: "io.k8s.api.core.v1.Secret",
    field_labels: &["type"],
    ..BASE
};

pub(super) const SERVICEACCOUNTS: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[Subresource {
        name: "token",
        group: "authentication.k8s.io",
        version: "v1",
        kind: "TokenRequest",
        verbs: CREATE,
    }],
    bucket: "serviceaccounts",
    type_name: "io.k8s.api.core.v1.ServiceAccount",
    answers_deleted: true,
    ..BASE
};

pub(super) const SERVICES: Resource = Resource {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    subresources: &[part("status", "Service", PART)],
    bucket: "services",
    type_name: "io.k8s.api.core.v1.Service",
    field_labels: &["spec.clusterIP", "spec.type"],
    create_on_update: true,
    answers_deleted: true,
    ..BASE
};

pub(super) const ENDPOINTS: Resource = Resource {
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    bucket: "endpoints",
    type_name: "io.k8s.api.core.v1.Endpoints",
    create_on_update: true,
    ..BASE
};

pub(super) const LIMITRANGES: Resource = Resource {
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    bucket: "limitranges",
    type_name: "io.k8s.api.core.v1.LimitRange",
    create_on_update: true,
    ..BASE
};

pub(super) const PERSISTENTVOLUMECLAIMS: Resource = Resource {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    subresources: &[part("status", "PersistentVolumeClaim", PART)],
    bucket: "persistentvolumeclaims",
    type_name: "io.k8s.api.core.v1.PersistentVolumeClaim",
    answers_deleted: true,
    ..BASE
};

pub(super) const PERSISTENTVOLUMES: Resource = Resource {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    namespaced: false,
    subresources: &[part("status", "PersistentVolume", PART)],
    bucket: "persistentvolumes",
    type_name: "io.k8s.api.core.v1.PersistentVolume",
    answers_deleted: true,
    ..BASE
};

pub(super) const PODTEMPLATES: Resource = Resource {
    kind: "PodTemplate",
    plural: "podtemplates",
    singular: "podtemplate",
    bucket: "podtemplates",
    type_name: "io.k8s.api.core.v1.PodTemplate",
    generation: true,
    answers_deleted: true,
    ..BASE
};

pub(super) const REPLICATIONCONTROLLERS: Resource = Resource {
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    categories: &["all"],
    subresources: &[SCALE, part("status", "ReplicationController", PART)],
    bucket: "replicationcontrollers",
    type_name: "io.k8s.api.core.v1.ReplicationController",
    field_labels: &["status.replicas"],
    generation: true,
    ..BASE
};

pub(super) const RESOURCEQUOTAS: Resource = Resource {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    subresources: &[part("status", "ResourceQuota", PART)],
    bucket: "resourcequotas",
    type_name: "io.k8s.api.core.v1.ResourceQuota",
    answers_deleted: true,
    ..BASE
};
