//! What the registry says of fields that are easy to check against the Kubernetes documentation.

use serde_json::json;

use super::*;

/// The field at the end of a path, looking through lists and maps.
fn field<'a>(ty: &str, path: &str) -> &'a Field {
    let schemas = schemas();
    let mut id = schemas
        .by_name(ty)
        .unwrap_or_else(|| panic!("no type {ty}"));
    let mut names = path.split('.').peekable();
    loop {
        let name = names.next().expect("the loop ends with the last name");
        let field = schemas
            .get(id)
            .field(name)
            .unwrap_or_else(|| panic!("no {path} in {ty}"));
        if names.peek().is_none() {
            return field;
        }
        let mut shape = &field.shape;
        while let Shape::List(item) | Shape::Map(item) = shape {
            shape = item;
        }
        let Shape::Object(next) = shape else {
            panic!("{name} of {path} is no object")
        };
        id = *next;
    }
}

const POD: &str = "io.k8s.api.core.v1.Pod";

#[test]
fn list_types_and_merge_keys() {
    use ListType::{Atomic, Map, Set};
    let service = "io.k8s.api.core.v1.Service";
    let deployment = "io.k8s.api.apps.v1.Deployment";
    let policy = "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy";
    // Type, path, list type, its keys, patch merge key, patch strategy.
    type Case = (
        &'static str,
        &'static str,
        ListType,
        &'static [&'static str],
        Option<&'static str>,
        bool,
    );
    let cases: &[Case] = &[
        (POD, "spec.containers", Map, &["name"], Some("name"), true),
        (
            POD,
            "spec.initContainers",
            Map,
            &["name"],
            Some("name"),
            true,
        ),
        (
            POD,
            "spec.containers.ports",
            Map,
            &["containerPort", "protocol"],
            Some("containerPort"),
            true,
        ),
        (
            POD,
            "spec.ephemeralContainers.env",
            Map,
            &["name"],
            Some("name"),
            true,
        ),
        (
            POD,
            "spec.containers.env",
            Map,
            &["name"],
            Some("name"),
            true,
        ),
        (
            POD,
            "spec.containers.volumeMounts",
            Map,
            &["mountPath"],
            Some("mountPath"),
            true,
        ),
        (POD, "spec.containers.args", Atomic, &[], None, false),
        (POD, "spec.volumes", Map, &["name"], Some("name"), true),
        (POD, "spec.tolerations", Atomic, &[], None, false),
        (POD, "spec.hostAliases", Map, &["ip"], Some("ip"), true),
        (
            POD,
            "spec.imagePullSecrets",
            Map,
            &["name"],
            Some("name"),
            true,
        ),
        (
            POD,
            "spec.topologySpreadConstraints",
            Map,
            &["topologyKey", "whenUnsatisfiable"],
            Some("topologyKey"),
            true,
        ),
        (POD, "status.conditions", Map, &["type"], Some("type"), true),
        (POD, "status.podIPs", Map, &["ip"], Some("ip"), true),
        (POD, "status.containerStatuses", Atomic, &[], None, false),
        (POD, "metadata.finalizers", Set, &[], None, true),
        (
            POD,
            "metadata.ownerReferences",
            Map,
            &["uid"],
            Some("uid"),
            true,
        ),
        (POD, "metadata.managedFields", Atomic, &[], None, false),
        (
            service,
            "spec.ports",
            Map,
            &["port", "protocol"],
            Some("port"),
            true,
        ),
        (
            service,
            "status.conditions",
            Map,
            &["type"],
            Some("type"),
            true,
        ),
        (
            deployment,
            "spec.template.spec.containers",
            Map,
            &["name"],
            Some("name"),
            true,
        ),
        // Newer than the .proto files: from the overlay.
        (
            policy,
            "spec.matchConditions",
            Map,
            &["name"],
            Some("name"),
            true,
        ),
    ];
    for (ty, path, list_type, keys, merge_key, merge) in cases {
        let found = field(ty, path);
        let found_keys: Vec<&str> = found.map_keys.iter().map(AsRef::as_ref).collect();
        assert_eq!(found.list_type, *list_type, "{path}");
        assert_eq!(found_keys, *keys, "{path}");
        assert_eq!(found.patch_merge_key.as_deref(), *merge_key, "{path}");
        assert_eq!(found.patch_merge, *merge, "{path}");
        assert!(matches!(found.shape, Shape::List(_)), "{path}");
    }
}

#[test]
fn maps_defaults_and_strategies() {
    let service = "io.k8s.api.core.v1.Service";
    let deployment = "io.k8s.api.apps.v1.Deployment";
    assert_eq!(field(service, "spec.selector").map_type, MapType::Atomic);
    assert_eq!(field(deployment, "spec.selector").map_type, MapType::Atomic);
    assert_eq!(field(POD, "metadata.labels").map_type, MapType::Granular);
    assert_eq!(field(POD, "spec.nodeSelector").map_type, MapType::Atomic);
    assert_eq!(
        field(POD, "spec.containers.ports.protocol")
            .default
            .as_deref(),
        Some(&json!("TCP"))
    );
    assert_eq!(
        field(service, "spec.ports.protocol").default.as_deref(),
        Some(&json!("TCP"))
    );
    assert!(field(deployment, "spec.strategy").patch_retain_keys);
    assert!(!field(deployment, "spec.strategy").patch_merge);
    assert!(field(POD, "spec.volumes").patch_retain_keys);
}

#[test]
fn shapes_requirement_and_pointers() {
    assert_eq!(field(POD, "metadata.creationTimestamp").shape, Shape::Time);
    assert_eq!(
        field("io.k8s.api.core.v1.Secret", "data").shape,
        Shape::Map(Box::new(Shape::Bytes))
    );
    let limits = &field(POD, "spec.containers.resources.limits").shape;
    assert_eq!(*limits, Shape::Map(Box::new(Shape::Quantity)));
    assert_eq!(
        field("io.k8s.api.core.v1.Service", "spec.ports.targetPort").shape,
        Shape::IntOrString
    );
    assert_eq!(
        field("io.k8s.api.coordination.v1.Lease", "spec.renewTime").shape,
        Shape::MicroTime
    );
    assert_eq!(
        field(POD, "metadata.managedFields.fieldsV1").shape,
        Shape::Any
    );
    assert_eq!(
        field("io.k8s.api.apps.v1.ControllerRevision", "data").shape,
        Shape::Any
    );
    assert!(field(POD, "spec.containers").required);
    assert!(!field(POD, "metadata").required);
    assert!(!field(POD, "spec.imagePullSecrets.name").required);
    assert!(field(POD, "spec.terminationGracePeriodSeconds").pointer);
    assert!(!field(POD, "spec.hostNetwork").pointer);
    assert!(
        field(
            "io.k8s.api.core.v1.PersistentVolumeClaim",
            "spec.storageClassName"
        )
        .pointer
    );
}

#[test]
fn wire_places() {
    let policy = "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy";
    let cases: &[(&str, &str, u32, &[u32])] = &[
        (POD, "metadata", 1, &[]),
        (POD, "spec.volumes.name", 1, &[]),
        (POD, "spec.volumes.hostPath", 1, &[2]),
        (POD, "spec.ephemeralContainers.image", 2, &[1]),
        (POD, "spec.containers.livenessProbe.httpGet", 2, &[1]),
        (
            POD,
            "spec.containers.env.valueFrom.secretKeyRef.name",
            1,
            &[1],
        ),
        (
            policy,
            "spec.matchConstraints.resourceRules.apiGroups",
            1,
            &[2, 2],
        ),
        (POD, "spec.schedulingGroup", 43, &[]),
    ];
    for (ty, path, tag, inline) in cases {
        let found = field(ty, path);
        assert_eq!(found.tag, Some(*tag), "{path}");
        assert_eq!(&*found.inline, *inline, "{path}");
    }
}

#[test]
fn every_field_has_a_place_on_the_wire() {
    for ty in &schemas().types {
        // TypeMeta travels in the envelope.
        let fields = ty
            .fields
            .iter()
            .filter(|field| !matches!(&*field.name, "apiVersion" | "kind"));
        for field in fields {
            assert!(field.tag.is_some(), "{}.{}", ty.name, field.name);
        }
    }
}

#[test]
fn kinds_are_found_and_names_sorted() {
    let schemas = schemas();
    assert!(schemas.types.is_sorted_by(|a, b| a.name < b.name));
    for ty in &schemas.types {
        assert!(
            ty.fields.is_sorted_by(|a, b| a.name < b.name),
            "{}",
            ty.name
        );
    }
    let kinds = [
        ("", "v1", "PodList", "io.k8s.api.core.v1.PodList"),
        (
            "",
            "v1",
            "DeleteOptions",
            "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
        ),
        (
            "",
            "v1",
            "Status",
            "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
        ),
        ("policy", "v1", "Eviction", "io.k8s.api.policy.v1.Eviction"),
        (
            "autoscaling",
            "v1",
            "Scale",
            "io.k8s.api.autoscaling.v1.Scale",
        ),
        (
            "authentication.k8s.io",
            "v1",
            "TokenRequest",
            "io.k8s.api.authentication.v1.TokenRequest",
        ),
        (
            "rbac.authorization.k8s.io",
            "v1",
            "ClusterRoleList",
            "io.k8s.api.rbac.v1.ClusterRoleList",
        ),
    ];
    for (group, version, kind, name) in kinds {
        let id = schemas
            .by_gvk(group, version, kind)
            .unwrap_or_else(|| panic!("no {kind}"));
        assert_eq!(&*schemas.get(id).name, name);
    }
    for row in crate::resource::resources() {
        let id = schemas
            .by_name(row.type_name)
            .unwrap_or_else(|| panic!("{}", row.type_name));
        let gvk = schemas.get(id).gvk.as_ref().expect("kinds have one");
        assert_eq!(
            (&*gvk.group, &*gvk.version, &*gvk.kind),
            (row.group, row.version, row.kind)
        );
    }
}

#[test]
fn what_apply_reads() {
    let types = |name: &str| schemas().get(schemas().by_name(name).expect(name));
    // Types that are replaced as a whole wherever they stand.
    let reference = "io.k8s.api.core.v1.LocalObjectReference";
    assert_eq!(types(reference).map_type, MapType::Atomic);
    assert_eq!(types(POD).map_type, MapType::Granular);
    let volume = "io.k8s.api.core.v1.PersistentVolume";
    assert_eq!(field(volume, "spec.claimRef").map_type, MapType::Granular);
    let revision = "io.k8s.api.apps.v1.ControllerRevision";
    assert_eq!(field(revision, "data").map_type, MapType::Atomic);
    assert_eq!(
        field(POD, "metadata.managedFields.fieldsV1").map_type,
        MapType::Granular
    );
    // Fields that Go writes even when they are empty.
    let deployment = "io.k8s.api.apps.v1.Deployment";
    for path in [
        "metadata",
        "spec.strategy",
        "spec.template.metadata",
        "spec.template.spec.containers",
    ] {
        assert!(field(deployment, path).always, "{path}");
    }
    for path in [
        "spec.strategy.rollingUpdate",
        "spec.template.spec.volumes",
        "spec.replicas",
    ] {
        assert!(!field(deployment, path).always, "{path}");
    }
    assert!(field(POD, "status.conditions.lastProbeTime").always);
}
