use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const RBAC: &str = "rbac.authorization.k8s.io/v1";

#[test]
fn roles() {
    let role = |rules: Value| object(json!({"metadata.name": "a:b", "rules": rules}));
    check(
        of(RBAC, "Role"),
        role(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])),
        &[],
    );
    check(
        of(RBAC, "Role"),
        role(json!([{}, {"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["y"]}])),
        &[
            "rules[0].verbs: Required value: verbs must contain at least one value",
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[0].resources: Required value: resource rules must supply at least one resource",
            "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to \
             non-resource URLs",
            "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular \
             resources and non-resource URLs",
        ],
    );
    check(
        of(RBAC, "ClusterRole"),
        global(json!({"aggregationRule": {}})),
        &[
            "aggregationRule.clusterRoleSelectors: Required value: at least one \
             clusterRoleSelector required if aggregationRule is non-nil",
        ],
    );
}

#[test]
fn bindings() {
    let binding = |role: Value, subjects: Value| json!({"roleRef": role, "subjects": subjects});
    let good = binding(
        json!({"kind": "Role", "name": "system:r"}),
        json!([{"kind": "ServiceAccount", "name": "s"}, {"kind": "User", "name": "u"}]),
    );
    check(of(RBAC, "RoleBinding"), object(good.clone()), &[]);
    check(
        of(RBAC, "ClusterRoleBinding"),
        global(binding(
            json!({"kind": "Role", "apiGroup": "x"}),
            json!([{"kind": "ServiceAccount", "name": "s"}, {"kind": "Robot"},
                {"kind": "Group", "name": "g", "apiGroup": "y"}]),
        )),
        &[
            "roleRef.apiGroup: Unsupported value: \"x\": supported values: \
             \"rbac.authorization.k8s.io\"",
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
            "roleRef.name: Required value",
            "subjects[0].namespace: Required value",
            "subjects[1].name: Required value",
            "subjects[1].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \
             \"User\", \"Group\"",
            "subjects[2].apiGroup: Unsupported value: \"y\": supported values: \
             \"rbac.authorization.k8s.io\"",
        ],
    );
    check_update(
        of(RBAC, "RoleBinding"),
        object(with(good.clone(), json!({"roleRef.name": "t"}))),
        object(good),
        &[
            "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\",\
             \"name\":\"t\"}: cannot change roleRef",
        ],
    );
}

/// A block of PEM text around what has the outer shape of anything signed, in base64.
fn signed(name: &str) -> String {
    let body = STANDARD.encode([0x30, 0x07, 0x30, 0x00, 0x30, 0x00, 0x03, 0x01, 0x00]);
    STANDARD.encode(format!(
        "-----BEGIN {name}-----\n{body}\n-----END {name}-----\n"
    ))
}

#[test]
fn certificate_requests() {
    let resource = of("certificates.k8s.io/v1", "CertificateSigningRequest");
    let request = |changes: Value| {
        let spec = json!({"request": signed("CERTIFICATE REQUEST"), "usages": ["client auth"],
            "signerName": "example.com/signer"});
        with(global(json!({"spec": spec})), changes)
    };
    check(resource, request(json!({})), &[]);
    let broken = request(
        json!({"spec.request": "eA==", "spec.usages": ["fun", "any", "any"],
        "spec.signerName": "kubernetes.io/legacy-unknown", "spec.expirationSeconds": 599}),
    );
    let found = errors(resource, broken);
    assert_eq!(
        found[0],
        "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST"
    );
    assert!(found[1].starts_with("spec.usages[0]: Unsupported value: \"fun\": supported values:"));
    assert_eq!(
        found[2..],
        [
            "spec.usages[2]: Duplicate value: \"any\"",
            "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName \
             is not allowed via this API version",
            "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 \
             seconds (10 minutes)",
        ]
    );
    let short = "ME0=";
    let found = errors(
        resource,
        request(json!({"spec.signerName": "signer", "spec.request": short})),
    );
    assert_eq!(
        found[1],
        "spec.signerName: Invalid value: \"signer\": must be a fully qualified domain and path of \
         the form 'example.com/signer-name'"
    );
}

#[test]
fn verdicts() {
    let resource = of("certificates.k8s.io/v1", "CertificateSigningRequest");
    let request = |status: Value| {
        let spec = json!({"request": signed("CERTIFICATE REQUEST"), "usages": ["client auth"],
            "signerName": "example.com/signer"});
        global(json!({"spec": spec, "status": status}))
    };
    let verdict = |kind: &str| json!({"conditions": [{"type": kind, "status": "True"}]});
    let issued = json!({"conditions": [{"type": "Approved", "status": "True"}],
        "certificate": signed("CERTIFICATE")});
    let (open, approved) = (request(json!({})), request(verdict("Approved")));
    let check = |found: Vec<FieldError>, expect: &[&str]| assert_eq!(lines(&found), expect);
    check(part_update(resource, "approval", &approved, &open), &[]);
    check(
        status_update(resource, &approved, &open),
        &["status.conditions: Forbidden: updates may not add a condition of type \"Approved\""],
    );
    check(
        part_update(resource, "approval", &open, &approved),
        &["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""],
    );
    check(
        status_update(resource, &request(issued.clone()), &approved),
        &[],
    );
    check(
        part_update(resource, "approval", &request(issued.clone()), &approved),
        &["status.certificate: Forbidden: updates may not set certificate content"],
    );
    let other = with(
        issued.clone(),
        json!({"certificate": signed("PRIVATE KEY")}),
    );
    check(
        status_update(resource, &request(other), &request(issued)),
        &[
            "status.certificate: Invalid value: \"<certificate data>\": only CERTIFICATE PEM blocks \
             are allowed, found \"PRIVATE KEY\"",
            "status.certificate: Forbidden: updates may not modify existing certificate content",
        ],
    );
    let both = json!({"conditions": [{"type": "Approved", "status": "True"},
        {"type": "Denied", "status": "False"}]});
    check(
        part_update(resource, "approval", &request(both), &approved),
        &[
            "status.conditions[1].status: Unsupported value: \"False\": supported values: \"True\"",
            "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are \
             mutually exclusive",
        ],
    );
}
