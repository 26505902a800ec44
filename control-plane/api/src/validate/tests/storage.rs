use super::*;

fn claim(changes: Value) -> Value {
    let spec = json!({"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"});
    with(object(json!({"spec": spec})), changes)
}

#[test]
fn claims() {
    let check = |changes: Value, expect: &[&str]| {
        check(core("PersistentVolumeClaim"), claim(changes), expect);
    };
    check(json!({}), &[]);
    check(
        json!({"spec": {}}),
        &[
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ],
    );
    check(
        json!({"spec.accessModes": ["ReadWriteOncePod", "ReadOnlyMany", "x"],
            "spec.resources.requests.storage": "0", "spec.volumeMode": "Tape",
            "spec.dataSource": {"kind": "Pod"}}),
        &[
            "spec.accessModes: Unsupported value: \"x\": supported values: \"ReadOnlyMany\", \
             \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \
             \"Filesystem\"",
            "spec.dataSource.name: Required value",
            "spec.dataSource: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when \
             referencing the default apiGroup",
        ],
    );
}

#[test]
fn claims_grow() {
    let bound = |changes: Value| {
        let base = claim(
            json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
            "spec.volumeName": "v"}),
        );
        with(base, changes)
    };
    let check = |new: Value, old: Value, expect: &[&str]| {
        check_update(core("PersistentVolumeClaim"), new, old, expect);
    };
    check(bound(json!({})), claim(json!({})), &[]);
    check(
        bound(json!({"spec.resources.requests.storage": "2Gi"})),
        bound(json!({})),
        &[],
    );
    check(
        bound(json!({"spec.resources.requests.storage": "512Mi"})),
        bound(json!({"spec.resources.requests.storage": "2Gi"})),
        &["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"],
    );
    let found = update(
        core("PersistentVolumeClaim"),
        &claim(json!({"spec.storageClassName": "slow"})),
        &claim(json!({})),
    );
    assert!(
        found[0].to_string().starts_with(
            "spec: Forbidden: spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims\n@@"
        ),
        "{found:?}"
    );
    assert_eq!(found.len(), 1);
}
