//! Rows of what controllers turn into pods, and what guards them.

use super::{BASE, PART, Resource, SCALE, Subresource, part};

pub(super) const CONTROLLERREVISIONS: Resource = Resource {
    group: "apps",
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    bucket: "controllerrevisions",
    type_name: "io.k8s.api.apps.v1.ControllerRevision",
    ..BASE
};

pub(super) const DAEMONSETS: Resource = Resource {
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    categories: &["all"],
    subresources: &[Subresource {
        group: "apps",
        version: "v1",
        ..part("status", "DaemonSet", PART)
    }],
    bucket: "daemonsets",
    type_name: "io.k8s.api.apps.v1.DaemonSet",
    generation: true,
    ..BASE
};

pub(super) const DEPLOYMENTS: Resource = Resource {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    subresources: &[
        SCALE,
        Subresource {
            group: "apps",
            version: "v1",
            ..part("status", "Deployment", PART)
        },
    ],
    bucket: "deployments",
    type_name: "io.k8s.api.apps.v1.Deployment",
    generation: true,
    ..BASE
};

pub(super) const REPLICASETS: Resource = Resource {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    subresources: &[
        SCALE,
        Subresource {
            group: "apps",
            version: "v1",
            ..part("status", "ReplicaSet", PART)
        },
    ],
    bucket: "replicasets",
    type_name: "io.k8s.api.apps.v1.ReplicaSet",
    generation: true,
    ..BASE
};

pub(super) const STATEFULSETS: Resource = Resource {
    group: "apps",
    kind: "StatefulSet",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    categories: &["all"],
    subresources: &[
        SCALE,
        Subresource {
            group: "apps",
            version: "v1",
            ..part("status", "StatefulSet", PART)
        },
    ],
    bucket: "statefulsets",
    type_name: "io.k8s.api.apps.v1.StatefulSet",
    generation: true,
    ..BASE
};

pub(super) const HORIZONTALPODAUTOSCALERS: Resource = Resource {
    group: "autoscaling",
    version: "v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    subresources: &[Subresource {
        group: "autoscaling",
        version: "v2",
        ..part("status", "HorizontalPodAutoscaler", PART)
    }],
    bucket: "horizontalpodautoscalers",
    type_name: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    ..BASE
};

/// The same objects in the older version, which knows one metric.
pub(super) const HORIZONTALPODAUTOSCALERS_V1: Resource = Resource {
    version: "v1",
    subresources: &[Subresource {
        group: "autoscaling",
        version: "v1",
        ..part("status", "HorizontalPodAutoscaler", PART)
    }],
    type_name: "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    ..HORIZONTALPODAUTOSCALERS
};

pub(super) const CRONJOBS: Resource = Resource {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    categories: &["all"],
    subresources: &[Subresource {
        group: "batch",
        version: "v1",
        ..part("status", "CronJob", PART)
    }],
    bucket: "cronjobs",
    type_name: "io.k8s.api.batch.v1.CronJob",
    generation: true,
    ..BASE
};

pub(super) const JOBS: Resource = Resource {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    singular: "job",
    categories: &["all"],
    subresources: &[Subresource {
        group: "batch",
        version: "v1",
        ..part("status", "Job", PART)
    }],
    bucket: "jobs",
    type_name: "io.k8s.api.batch.v1.Job",
    field_labels: &["status.successful"],
    generation: true,
    ..BASE
};

pub(super) const PODDISRUPTIONBUDGETS: Resource = Resource {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    subresources: &[Subresource {
        group: "policy",
        version: "v1",
        ..part("status", "PodDisruptionBudget", PART)
    }],
    bucket: "poddisruptionbudgets",
    type_name: "io.k8s.api.policy.v1.PodDisruptionBudget",
    unconditional_update: false,
    generation: true,
    ..BASE
};
