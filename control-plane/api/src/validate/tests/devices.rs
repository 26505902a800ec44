use super::*;

const GROUP: &str = "resource.k8s.io/v1";

#[test]
fn classes() {
    let resource = of(GROUP, "DeviceClass");
    let class = |spec: Value| global(json!({"spec": spec}));
    check(
        resource,
        class(json!({"selectors": [{"cel": {"expression": "true"}}],
            "config": [{"opaque": {"driver": "d.example.com", "parameters": {"a": 1}}}],
            "extendedResourceName": "example.com/gpu"})),
        &[],
    );
    check(
        resource,
        class(
            json!({"selectors": [{}], "config": [{}, {"opaque": {"parameters": 1}}],
            "extendedResourceName": "cpu"}),
        ),
        &[
            "spec.selectors[0].cel: Required value",
            "spec.config[0].opaque: Required value",
            "spec.config[1].opaque.driver: Required value",
            "spec.config[1].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid \
             JSON object",
            "spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource \
             name",
        ],
    );
}

#[test]
fn claims() {
    let resource = of(GROUP, "ResourceClaim");
    let claim = |devices: Value| object(json!({"spec": {"devices": devices}}));
    let good = json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}},
        {"name": "s", "firstAvailable": [{"name": "t", "deviceClassName": "c"}]}],
        "constraints": [{"requests": ["r", "s/t"], "matchAttribute": "example.com/a"}]});
    check(resource, claim(good.clone()), &[]);
    check(
        of(GROUP, "ResourceClaimTemplate"),
        object(json!({"spec": {"spec": {"devices": good.clone()}}})),
        &[],
    );
    check(
        resource,
        claim(
            json!({"requests": [{"name": "r"}, {"name": "r", "exactly": {"count": -1,
            "deviceClassName": "c", "tolerations": [{"operator": "Near"}]}}],
            "constraints": [{"requests": ["x"], "matchAttribute": "a"}]}),
        ),
        &[
            "spec.devices.requests[1]: Duplicate value: \"r\"",
            "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` \
             is required",
            "spec.devices.requests[1].exactly.count: Invalid value: -1: must be greater than zero",
            "spec.devices.requests[1].exactly.tolerations[0].operator: Unsupported value: \"Near\": \
             supported values: \"Equal\", \"Exists\"",
            "spec.devices.constraints[0].requests[0]: Invalid value: \"x\": must be the name of a \
             request in the claim or the name of a request and a subrequest separated by '/'",
            "spec.devices.constraints[0].matchAttribute: Invalid value: \"a\": a fully qualified name \
             must be a domain and a name separated by a slash",
        ],
    );
    let found = update(
        resource,
        &claim(json!({"requests": [{"name": "z"}]})),
        &claim(good),
    );
    assert!(found[0].to_string().starts_with("spec: Invalid value: {"));
}

#[test]
fn allocations() {
    let resource = of(GROUP, "ResourceClaim");
    let claim = |status: Value| {
        let devices = json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]});
        object(json!({"spec": {"devices": devices}, "status": status}))
    };
    let device = json!({"request": "r", "driver": "d", "pool": "p", "device": "x"});
    let allocated = json!({"allocation": {"devices": {"results": [device]}},
        "reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]});
    let check = |new: &Value, old: &Value, expect: &[&str]| {
        let found = status_update(resource, &claim(new.clone()), &claim(old.clone()));
        assert_eq!(lines(&found), expect);
    };
    check(&allocated, &json!({}), &[]);
    check(
        &json!({"reservedFor": [{"name": "p"}], "devices": [
            {"driver": "d", "pool": "p", "device": "y"}]}),
        &json!({}),
        &[
            "status.reservedFor[0].resource: Required value",
            "status.reservedFor[0].uid: Required value",
            "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
            "status.devices[0]: Invalid value: \"d/p/y\": must be an allocated device in the claim",
        ],
    );
    let moved = with(
        allocated.clone(),
        json!({"allocation": {"devices": {"results": []}}}),
    );
    check(
        &moved,
        &allocated,
        &["status.allocation: Invalid value: {\"devices\":{}}: field is immutable"],
    );
}

#[test]
fn slices() {
    let resource = of(GROUP, "ResourceSlice");
    let slice = |changes: Value| {
        let spec = json!({"driver": "d.example.com", "nodeName": "n",
            "pool": {"name": "p", "resourceSliceCount": 1},
            "devices": [{"name": "x", "attributes": {"a": {"int": 1}, "example.com/v":
                {"version": "1.2.3-rc.1+b"}}, "capacity": {"memory": {"value": "1Gi"}}}]});
        with(global(json!({"spec": spec})), changes)
    };
    check(resource, slice(json!({})), &[]);
    check(
        resource,
        slice(
            json!({"spec.nodeName": null, "spec.allNodes": false, "spec.pool": {"name": "P"},
            "spec.devices": [{"name": "X", "nodeName": "n", "attributes": {"1a": {},
                "b": {"version": "01.2.3"}}, "taints": [{"key": "k"}]}, {"name": "X"}]}),
        ),
        &[
            "spec.pool.name: Invalid value: \"P\": a lowercase RFC 1123 subdomain must consist of \
             lower case alphanumeric characters, '-' or '.', and must start and end with an \
             alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
            "spec.allNodes: Invalid value: false: must be either unset or set to true",
            "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, \
             `perDeviceNodeSelection` is required",
            "spec.devices[1]: Duplicate value: \"X\"",
            "spec.devices[0].name: Invalid value: \"X\": a lowercase RFC 1123 label must consist of \
             lower case alphanumeric characters or '-', and must start and end with an alphanumeric \
             character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.devices[0].attributes: Invalid value: \"1a\": a valid C identifier must start with \
             alphabetic character or '_', followed by a string of alphanumeric characters or '_' \
             (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is \
             '[A-Za-z_][A-Za-z0-9_]*')",
            "spec.devices[0].attributes[1a]: Invalid value: \"\": exactly one value must be specified",
            "spec.devices[0].attributes[b].version: Invalid value: \"01.2.3\": must be a string \
             compatible with semver.org spec 2.0.0",
            "spec.devices[0].taints[0].effect: Required value",
            "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only \
             be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
            "spec.devices[1].name: Invalid value: \"X\": a lowercase RFC 1123 label must consist of \
             lower case alphanumeric characters or '-', and must start and end with an alphanumeric \
             character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ],
    );
    check_update(
        resource,
        slice(json!({"spec.nodeName": "m"})),
        slice(json!({})),
        &["spec.nodeName: Invalid value: \"m\": field is immutable"],
    );
}
