//! Rows of nodes, leases, priorities and events.

use super::{BASE, Resource};

pub(super) const EVENTS: Resource = Resource {
    group: "events.k8s.io",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    // The same objects as the core group's events, in another form.
    bucket: "events",
    type_name: "io.k8s.api.events.v1.Event",
    field_labels: &[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ],
    create_on_update: true,
    ..BASE
};

pub(super) const PRIORITYCLASSES: Resource = Resource {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    namespaced: false,
    bucket: "priorityclasses",
    type_name: "io.k8s.api.scheduling.v1.PriorityClass",
    generation: true,
    ..BASE
};

pub(super) const LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    bucket: "leases",
    type_name: "io.k8s.api.coordination.v1.Lease",
    create_on_update: true,
    unconditional_update: false,
    ..BASE
};

pub(super) const RUNTIMECLASSES: Resource = Resource {
    group: "node.k8s.io",
    kind: "RuntimeClass",
    plural: "runtimeclasses",
    singular: "runtimeclass",
    namespaced: false,
    bucket: "runtimeclasses",
    type_name: "io.k8s.api.node.v1.RuntimeClass",
    create_on_update: true,
    unconditional_update: false,
    ..BASE
};
