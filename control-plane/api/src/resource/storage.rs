//! Rows of volumes, and devices that are claimed like volumes.

use super::{BASE, PART, Resource, Subresource, part};

pub(super) const CSIDRIVERS: Resource = Resource {
    group: "storage.k8s.io",
    kind: "CSIDriver",
    plural: "csidrivers",
    singular: "csidriver",
    namespaced: false,
    bucket: "csidrivers",
    type_name: "io.k8s.api.storage.v1.CSIDriver",
    unconditional_update: false,
    generation: true,
    answers_deleted: true,
    ..BASE
};

pub(super) const CSINODES: Resource = Resource {
    group: "storage.k8s.io",
    kind: "CSINode",
    plural: "csinodes",
    singular: "csinode",
    namespaced: false,
    bucket: "csinodes",
    type_name: "io.k8s.api.storage.v1.CSINode",
    unconditional_update: false,
    answers_deleted: true,
    ..BASE
};

pub(super) const CSISTORAGECAPACITIES: Resource = Resource {
    group: "storage.k8s.io",
    kind: "CSIStorageCapacity",
    plural: "csistoragecapacities",
    singular: "csistoragecapacity",
    bucket: "csistoragecapacities",
    type_name: "io.k8s.api.storage.v1.CSIStorageCapacity",
    unconditional_update: false,
    ..BASE
};

pub(super) const STORAGECLASSES: Resource = Resource {
    group: "storage.k8s.io",
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    namespaced: false,
    bucket: "storageclasses",
    type_name: "io.k8s.api.storage.v1.StorageClass",
    answers_deleted: true,
    ..BASE
};

pub(super) const VOLUMEATTACHMENTS: Resource = Resource {
    group: "storage.k8s.io",
    kind: "VolumeAttachment",
    plural: "volumeattachments",
    singular: "volumeattachment",
    namespaced: false,
    subresources: &[Subresource {
        group: "storage.k8s.io",
        version: "v1",
        ..part("status", "VolumeAttachment", PART)
    }],
    bucket: "volumeattachments",
    type_name: "io.k8s.api.storage.v1.VolumeAttachment",
    unconditional_update: false,
    answers_deleted: true,
    ..BASE
};

pub(super) const VOLUMEATTRIBUTESCLASSES: Resource = Resource {
    group: "storage.k8s.io",
    kind: "VolumeAttributesClass",
    plural: "volumeattributesclasses",
    singular: "volumeattributesclass",
    short_names: &["vac"],
    namespaced: false,
    bucket: "volumeattributesclasses",
    type_name: "io.k8s.api.storage.v1.VolumeAttributesClass",
    answers_deleted: true,
    ..BASE
};

pub(super) const DEVICECLASSES: Resource = Resource {
    group: "resource.k8s.io",
    kind: "DeviceClass",
    plural: "deviceclasses",
    singular: "deviceclass",
    namespaced: false,
    bucket: "deviceclasses",
    type_name: "io.k8s.api.resource.v1.DeviceClass",
    generation: true,
    answers_deleted: true,
    ..BASE
};

pub(super) const RESOURCECLAIMS: Resource = Resource {
    group: "resource.k8s.io",
    kind: "ResourceClaim",
    plural: "resourceclaims",
    singular: "resourceclaim",
    subresources: &[Subresource {
        group: "resource.k8s.io",
        version: "v1",
        ..part("status", "ResourceClaim", PART)
    }],
    bucket: "resourceclaims",
    type_name: "io.k8s.api.resource.v1.ResourceClaim",
    answers_deleted: true,
    ..BASE
};

pub(super) const RESOURCECLAIMTEMPLATES: Resource = Resource {
    group: "resource.k8s.io",
    kind: "ResourceClaimTemplate",
    plural: "resourceclaimtemplates",
    singular: "resourceclaimtemplate",
    bucket: "resourceclaimtemplates",
    type_name: "io.k8s.api.resource.v1.ResourceClaimTemplate",
    answers_deleted: true,
    ..BASE
};

pub(super) const RESOURCESLICES: Resource = Resource {
    group: "resource.k8s.io",
    kind: "ResourceSlice",
    plural: "resourceslices",
    singular: "resourceslice",
    namespaced: false,
    bucket: "resourceslices",
    type_name: "io.k8s.api.resource.v1.ResourceSlice",
    field_labels: &["spec.nodeName", "spec.driver"],
    generation: true,
    answers_deleted: true,
    ..BASE
};
