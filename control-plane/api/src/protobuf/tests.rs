//! Bodies encoded by hand, as a Go client would.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A field with a length: text or a message.
fn bytes(tag: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = varint_bytes(u64::from(tag << 3 | 2));
    out.extend(varint_bytes(content.len() as u64));
    out.extend(content);
    out
}

fn varint(tag: u32, number: u64) -> Vec<u8> {
    let mut out = varint_bytes(u64::from(tag << 3));
    out.extend(varint_bytes(number));
    out
}

fn varint_bytes(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn body(api_version: &str, kind: &str, object: &[Vec<u8>]) -> Vec<u8> {
    let meta = [bytes(1, api_version), bytes(2, kind)].concat();
    let unknown = [
        bytes(1, meta),
        bytes(2, object.concat()),
        bytes(3, ""),
        bytes(4, ""),
    ];
    [MAGIC.to_vec(), unknown.concat()].concat()
}

#[track_caller]
fn check(api_version: &str, kind: &str, object: &[Vec<u8>], want: Value) {
    let (meta, value) = decode(&body(api_version, kind, object)).expect("decodes");
    assert_eq!(
        (meta.api_version.as_str(), meta.kind.as_str()),
        (api_version, kind)
    );
    assert_eq!(value, want);
    // What comes from protobuf is what would have come from JSON.
    let id = find(&meta).expect("was found");
    let again = decode::value(value, &schemas().get(id).name).expect("has the shape of its type");
    assert_eq!(again.value, want);
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
}

#[test]
fn config_map_as_kubectl_sends_it() {
    let metadata = [
        bytes(1, "cm"),
        bytes(2, ""),
        bytes(3, ""),
        bytes(4, ""),
        bytes(5, ""),
        bytes(6, ""),
        varint(7, 0),
        bytes(8, ""),
        bytes(11, [bytes(1, "app"), bytes(2, "x")].concat()),
    ];
    let object = [
        bytes(1, metadata.concat()),
        bytes(2, [bytes(1, "k"), bytes(2, "v")].concat()),
        bytes(2, bytes(1, "empty")),
        bytes(3, [bytes(1, "b"), bytes(2, [0xff, 0])].concat()),
        varint(4, 0),
    ];
    check(
        "v1",
        "ConfigMap",
        &object,
        json!({"apiVersion":"v1","kind":"ConfigMap",
            "metadata":{"name":"cm","labels":{"app":"x"}},
            "data":{"k":"v","empty":""},"binaryData":{"b":"/wA="},"immutable":false}),
    );
}

#[test]
fn zeros_are_kept_where_they_mean_something() {
    // replicas is a pointer, minReadySeconds is not; paused is not either.
    let spec = [varint(1, 0), varint(5, 0), varint(7, 0), varint(9, 600)].concat();
    check(
        "apps/v1",
        "Deployment",
        &[bytes(1, ""), bytes(2, spec)],
        json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{},
            "spec":{"replicas":0,"progressDeadlineSeconds":600}}),
    );
    // storageClassName is a pointer; volumeName is not.
    let spec = [bytes(3, ""), bytes(5, "")].concat();
    check(
        "v1",
        "PersistentVolumeClaim",
        &[bytes(2, spec)],
        json!({"apiVersion":"v1","kind":"PersistentVolumeClaim","spec":{"storageClassName":""}}),
    );
    // ready and restartCount are written in JSON even when zero.
    let status = [
        bytes(1, "c"),
        varint(4, 0),
        varint(5, 0),
        bytes(6, ""),
        bytes(7, ""),
    ]
    .concat();
    check(
        "v1",
        "Pod",
        &[bytes(3, bytes(8, status))],
        json!({"apiVersion":"v1","kind":"Pod","status":{"containerStatuses":[
            {"name":"c","ready":false,"restartCount":0,"image":"","imageID":""}]}}),
    );
}

#[test]
fn nested_messages_that_json_inlines() {
    let host_path = bytes(1, [bytes(1, "/tmp"), bytes(2, "")].concat());
    let volume = [bytes(1, "v"), bytes(2, host_path)].concat();
    let quantity = [bytes(1, "cpu"), bytes(2, bytes(1, "1500m"))].concat();
    let get = bytes(
        2,
        bytes(2, [varint(1, 1), varint(2, 0), bytes(3, "http")].concat()),
    );
    let probe = [bytes(1, get), varint(2, 0), varint(3, 5)].concat();
    let container = [
        bytes(1, "c"),
        bytes(2, "app:v1"),
        bytes(4, "-v"),
        bytes(4, ""),
        bytes(8, bytes(1, quantity)),
        bytes(10, probe),
        varint(16, 0),
    ];
    let spec = [bytes(1, volume), bytes(2, container.concat()), varint(4, 0)].concat();
    check(
        "v1",
        "Pod",
        &[bytes(2, spec)],
        json!({"apiVersion":"v1","kind":"Pod","spec":{
            "volumes":[{"name":"v","hostPath":{"path":"/tmp","type":""}}],
            "containers":[{"name":"c","image":"app:v1","args":["-v",""],
                "resources":{"limits":{"cpu":"1500m"}},
                "livenessProbe":{"httpGet":{"port":"http"},"timeoutSeconds":5}}],
            "terminationGracePeriodSeconds":0}}),
    );
    // Two levels: ruleWithOperations.rule.
    let rule = [bytes(1, ""), bytes(2, "v1"), bytes(3, "pods")].concat();
    let with_operations = [bytes(1, "CREATE"), bytes(2, rule)].concat();
    let constraints = bytes(3, [bytes(1, "n"), bytes(2, with_operations)].concat());
    check(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        &[bytes(2, bytes(2, constraints))],
        json!({"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy",
            "spec":{"matchConstraints":{"resourceRules":[{"resourceNames":["n"],
                "operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],
                "resources":["pods"]}]}}}),
    );
}

#[test]
fn times_and_negative_numbers() {
    let micro = [varint(1, 1_795_399_200), varint(2, 123_456_000)].concat();
    let spec = [bytes(1, "me"), varint(2, 15), bytes(4, micro)].concat();
    let metadata = [bytes(8, ""), bytes(9, varint(1, 1_795_399_200))].concat();
    check(
        "coordination.k8s.io/v1",
        "Lease",
        &[bytes(1, metadata), bytes(2, spec)],
        json!({"apiVersion":"coordination.k8s.io/v1","kind":"Lease",
            "metadata":{"deletionTimestamp":"2026-11-23T02:00:00Z"},
            "spec":{"holderIdentity":"me","leaseDurationSeconds":15,
                "renewTime":"2026-11-23T02:00:00.123456Z"}}),
    );
    let spec = varint(25, -5_i64 as u64);
    check(
        "v1",
        "Pod",
        &[bytes(2, spec)],
        json!({"apiVersion":"v1","kind":"Pod","spec":{"priority":-5}}),
    );
}

#[test]
fn options_bindings_and_reviews() {
    let preconditions = bytes(2, bytes(1, "uid-1"));
    for api_version in ["v1", "meta.k8s.io/v1", "apps/v1", "policy/v1"] {
        check(
            api_version,
            "DeleteOptions",
            &[
                varint(1, 0),
                preconditions.clone(),
                bytes(4, "Foreground"),
                bytes(5, "All"),
            ],
            json!({"apiVersion":api_version,"kind":"DeleteOptions","gracePeriodSeconds":0,
                "preconditions":{"uid":"uid-1"},"propagationPolicy":"Foreground",
                "dryRun":["All"]}),
        );
    }
    check(
        "v1",
        "Binding",
        &[
            bytes(1, bytes(1, "p")),
            bytes(2, [bytes(1, "Node"), bytes(3, "n1")].concat()),
        ],
        json!({"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},
            "target":{"kind":"Node","name":"n1"}}),
    );
    let extra = bytes(
        5,
        [
            bytes(1, "scopes"),
            bytes(2, [bytes(1, "a"), bytes(1, "b")].concat()),
        ]
        .concat(),
    );
    check(
        "authorization.k8s.io/v1",
        "SubjectAccessReview",
        &[bytes(2, extra)],
        json!({"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview",
            "spec":{"extra":{"scopes":["a","b"]}}}),
    );
}

#[test]
fn free_form_fields_and_schemas() {
    check(
        "apps/v1",
        "ControllerRevision",
        &[bytes(2, bytes(1, r#"{"spec":{"x":[1]}}"#)), varint(3, 0)],
        json!({"apiVersion":"apps/v1","kind":"ControllerRevision",
            "data":{"spec":{"x":[1]}},"revision":0}),
    );
    let text = bytes(5, "string");
    let items = bytes(24, bytes(1, &text));
    let list = [bytes(5, "array"), items].concat();
    let any = [
        bytes(5, "object"),
        bytes(30, [varint(1, 1), bytes(2, &text)].concat()),
    ]
    .concat();
    let entries = [
        bytes(29, [bytes(1, "l"), bytes(2, list)].concat()),
        bytes(29, [bytes(1, "m"), bytes(2, any)].concat()),
        varint(37, 1),
        varint(38, 0),
    ];
    let version = [
        bytes(1, "v1"),
        varint(2, 1),
        varint(3, 1),
        bytes(4, bytes(1, entries.concat())),
    ];
    check(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &[bytes(2, bytes(7, version.concat()))],
        json!({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
            "spec":{"versions":[{"name":"v1","served":true,"storage":true,
                "schema":{"openAPIV3Schema":{"properties":{
                    "l":{"type":"array","items":{"type":"string"}},
                    "m":{"type":"object","additionalProperties":{"type":"string"}}},
                    "nullable":true,"x-kubernetes-preserve-unknown-fields":false}}}]}}),
    );
}

#[test]
fn unknown_fields_are_skipped() {
    let fixed = [
        varint_bytes(999 << 3 | 5),
        vec![0; 4],
        varint_bytes(998 << 3 | 1),
        vec![0; 8],
    ];
    check(
        "v1",
        "Secret",
        &[varint(1000, 7), fixed.concat(), bytes(3, "Opaque")],
        json!({"apiVersion":"v1","kind":"Secret","type":"Opaque"}),
    );
}

#[test]
fn malformed_bodies_are_refused() {
    let refuse = |bytes: &[u8], want: &str| {
        let error = decode(bytes).expect_err("is refused");
        assert!(error.message.contains(want), "{}", error.message);
    };
    refuse(b"{}", "does not appear to be a protobuf message");
    refuse(
        &body("v1", "Nonsense", &[]),
        r#"no kind "Nonsense" is registered for version "v1""#,
    );
    refuse(b"k8s\0\x0a\xff\xff\xff\xff\x0f", "unexpected end");
    refuse(&body("v1", "Secret", &[vec![0x0b]]), "illegal wire type");
    refuse(&body("v1", "Secret", &[vec![0x00, 0x00]]), "illegal tag");
    refuse(
        &body("v1", "Secret", &[bytes(3, [0xff])]),
        "type: protobuf: string is not UTF-8",
    );
    refuse(&body("v1", "Secret", &[varint(1, 1)]), "want bytes");
    let when = bytes(1, bytes(8, varint(1, u64::MAX / 2)));
    refuse(
        &body("v1", "Secret", &[when]),
        "creationTimestamp: no such time",
    );
    // Schemas of schemas of schemas.
    let mut deep = bytes(5, "x");
    for _ in 0..3 * MAX_DEPTH {
        deep = bytes(28, deep);
    }
    let version = bytes(7, bytes(4, bytes(1, deep)));
    let crd = body(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &[bytes(2, version)],
    );
    refuse(&crd, "nesting depth");
    // Whose fields hold JSON that is deep on its own.
    let deep = format!(
        "{}{}",
        r#"{"f:a":"#.repeat(98),
        "{}".to_owned() + &"}".repeat(98)
    );
    let managed = bytes(17, [bytes(1, "m"), bytes(7, bytes(1, deep))].concat());
    refuse(&body("v1", "Secret", &[bytes(1, managed)]), "nesting depth");
}

proptest! {
    #[test]
    fn garbage_never_panics(
        kind in prop::sample::select(vec!["Pod", "Secret", "Service", "DeleteOptions", "Node"]),
        object in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = decode(&body("v1", kind, std::slice::from_ref(&object)));
        let _ = decode(&object);
    }

    #[test]
    fn damage_never_panics(at in 0_usize..200, byte in any::<u8>()) {
        let container = [bytes(1, "c"), bytes(8, bytes(1, bytes(1, "cpu")))].concat();
        let mut whole = body("v1", "Pod", &[bytes(1, bytes(1, "p")), bytes(2, bytes(2, container))]);
        if let Some(place) = whole.get_mut(at) {
            *place = byte;
        }
        let _ = decode(&whole);
    }
}
