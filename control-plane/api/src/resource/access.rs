//! Rows of who may do what, and certificates.

use super::{BASE, PART, Resource, Subresource, part};

pub(super) const CERTIFICATESIGNINGREQUESTS: Resource = Resource {
    group: "certificates.k8s.io",
    kind: "CertificateSigningRequest",
    plural: "certificatesigningrequests",
    singular: "certificatesigningrequest",
    short_names: &["csr"],
    namespaced: false,
    subresources: &[
        Subresource {
            group: "certificates.k8s.io",
            ..part("approval", "CertificateSigningRequest", PART)
        },
        Subresource {
            group: "certificates.k8s.io",
            ..part("status", "CertificateSigningRequest", PART)
        },
    ],
    bucket: "certificatesigningrequests",
    type_name: "io.k8s.api.certificates.v1.CertificateSigningRequest",
    field_labels: &["spec.signerName"],
    ..BASE
};

pub(super) const CLUSTERROLEBINDINGS: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    namespaced: false,
    bucket: "clusterrolebindings",
    type_name: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    create_on_update: true,
    ..BASE
};

pub(super) const CLUSTERROLES: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    namespaced: false,
    bucket: "clusterroles",
    type_name: "io.k8s.api.rbac.v1.ClusterRole",
    create_on_update: true,
    ..BASE
};

pub(super) const ROLEBINDINGS: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    bucket: "rolebindings",
    type_name: "io.k8s.api.rbac.v1.RoleBinding",
    create_on_update: true,
    ..BASE
};

pub(super) const ROLES: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    kind: "Role",
    plural: "roles",
    singular: "role",
    bucket: "roles",
    type_name: "io.k8s.api.rbac.v1.Role",
    create_on_update: true,
    ..BASE
};
