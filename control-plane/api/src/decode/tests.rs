//! What bodies become, and what is said of them.

use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const POD: &str = "io.k8s.api.core.v1.Pod";
const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";

#[track_caller]
fn check(ty: &str, body: &str, want: Value, warnings: &[&str]) {
    let decoded = json(body.as_bytes(), ty).expect("decodes");
    assert_eq!(decoded.value, want);
    assert_eq!(decoded.warnings, warnings);
    let again = value(decoded.value.clone(), ty).expect("what was decoded decodes");
    assert_eq!(again.value, want);
    assert!(again.warnings.is_empty());
}

#[track_caller]
fn refuse(ty: &str, body: &str, want: &str) {
    let error = json(body.as_bytes(), ty).expect_err("is refused");
    assert_eq!(error.message, want);
}

/// Telling the whole path of each would take minutes.
#[test]
fn keys_given_twice_below_a_long_one() {
    let same = r#""a":1,"#.repeat(200_000);
    let body = format!(r#"{{"{}":{{{same}"a":1}}}}"#, "k".repeat(1 << 20));
    let decoded = configuration(body.as_bytes(), CONFIG_MAP).expect("decodes");
    assert_eq!(decoded.warnings.len(), 1);
}

#[test]
fn zeros_that_go_leaves_out_are_not_kept() {
    // A flag, a number and a text; what is a pointer, or demanded, is meant.
    check(
        "io.k8s.api.apps.v1.Deployment",
        r#"{"metadata": {"name": "", "generateName": "d-", "generation": 0}, "spec": {"paused": false,
            "minReadySeconds": 0, "replicas": 0, "strategy": {"type": ""}, "template": {"spec": {
            "hostNetwork": false, "nodeName": "", "enableServiceLinks": false,
            "containers": [{"name": "", "image": "", "stdin": false, "ports": [{"containerPort": 0, "hostPort": 0}],
                "livenessProbe": {"httpGet": {"port": 0, "path": ""}, "periodSeconds": 0},
                "securityContext": {"privileged": false}, "args": ["", "a"]}]}}}}"#,
        json!({"metadata": {"generateName": "d-"}, "spec": {"replicas": 0, "strategy": {}, "template": {"spec": {
            "enableServiceLinks": false,
            "containers": [{"name": "", "ports": [{"containerPort": 0}],
                "livenessProbe": {"httpGet": {"port": 0}},
                "securityContext": {"privileged": false}, "args": ["", "a"]}]}}}}),
        &[],
    );
}

#[test]
fn unknown_and_duplicate_fields_are_named_and_dropped() {
    check(
        CONFIG_MAP,
        r#"{"bogus":1,"data":{"k":"v"},"apiVersion":"v1","kind":"ConfigMap"}"#,
        json!({"apiVersion":"v1","kind":"ConfigMap","data":{"k":"v"}}),
        &[r#"unknown field "bogus""#],
    );
    check(
        POD,
        r#"{"spec":{"containers":[{"name":"a"},{"name":"b","nme":{"x":[1]},"name":"c"}],
            "Containers":[],"hostNetwork":true,"hostNetwork":null}}"#,
        json!({"spec":{"containers":[{"name":"a"},{"name":"c"}]}}),
        &[
            r#"unknown field "spec.containers[1].nme""#,
            r#"duplicate field "spec.containers[1].name""#,
            r#"unknown field "spec.Containers""#,
            r#"duplicate field "spec.hostNetwork""#,
        ],
    );
    check(
        CONFIG_MAP,
        r#"{"data":{"k":"v","k":"w"}}"#,
        json!({"data":{"k":"w"}}),
        &[r#"duplicate field "data.k""#],
    );
}

#[test]
fn type_comes_first_and_nulls_go() {
    let body = r#"{"metadata":{"name":"a","labels":null,"creationTimestamp":null},
        "spec":null,"kind":"Pod","apiVersion":"v1"}"#;
    let decoded = json(body.as_bytes(), POD).expect("decodes");
    let text = decoded.value.to_string();
    assert_eq!(
        text,
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#
    );
    check(
        CONFIG_MAP,
        r#"{"data":{"k":null}}"#,
        json!({"data":{"k":""}}),
        &[],
    );
    check(
        POD,
        r#"{"spec":{"containers":[null,{"args":["a",null]}]}}"#,
        json!({"spec":{"containers":[{},{"args":["a",""]}]}}),
        &[],
    );
}

#[test]
fn scalars_become_canonical() {
    check(
        POD,
        r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":0.5,"memory":1024,"x":"1500m"}}}],
            "terminationGracePeriodSeconds":0}}"#,
        json!({"spec":{"containers":[{"resources":
            {"limits":{"cpu":"500m","memory":"1024","x":"1500m"}}}],
            "terminationGracePeriodSeconds":0}}),
        &[],
    );
    check(
        "io.k8s.api.core.v1.Service",
        r#"{"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":81,"targetPort":8080}]}}"#,
        json!({"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":81,"targetPort":8080}]}}),
        &[],
    );
    check(
        "io.k8s.api.coordination.v1.Lease",
        r#"{"metadata":{"creationTimestamp":"2026-11-23T03:00:00.9+02:00"},
            "spec":{"renewTime":"2026-11-23T03:00:00.500000+02:00"}}"#,
        json!({"metadata":{"creationTimestamp":"2026-11-23T01:00:00Z"},
            "spec":{"renewTime":"2026-11-23T01:00:00.500000Z"}}),
        &[],
    );
    for (rest, unread, wanted) in [
        ("Z", "Z", ".000000"),
        (".5Z", ".5Z", ".000000"),
        (".123456789Z", "789Z", "Z07:00"),
    ] {
        let time = format!("2026-11-23T01:00:00{rest}");
        refuse(
            "io.k8s.api.coordination.v1.Lease",
            &json!({"spec": {"renewTime": time}}).to_string(),
            &format!(
                "unable to decode field \"spec.renewTime\": parsing time {time:?} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \
                 {unread:?} as {wanted:?}"
            ),
        );
    }
    check(
        "io.k8s.api.core.v1.Secret",
        "{\"data\":{\"a\":\"aGVs\\r\\nbG8=\",\"b\":\"\"}}",
        json!({"data":{"a":"aGVsbG8=","b":""}}),
        &[],
    );
    check(
        "io.k8s.api.apps.v1.ControllerRevision",
        r#"{"data":{"spec":{"a":null,"b":[1,2.5,null]}},"revision":1}"#,
        json!({"data":{"spec":{"a":null,"b":[1,2.5,null]}},"revision":1}),
        &[],
    );
}

#[test]
fn mismatches_name_the_field() {
    let go = "json: cannot unmarshal";
    refuse(
        POD,
        r#"{"spec":{"containers":"x"}}"#,
        &format!("{go} string into Go struct field Pod.spec.containers of type []v1.Container"),
    );
    refuse(
        POD,
        r#"{"spec":{"containers":[{"name":7}]}}"#,
        &format!("{go} number into Go struct field Pod.spec.containers[0].name of type string"),
    );
    refuse(
        POD,
        r#"{"spec":{"priority":2147483648}}"#,
        &format!("{go} number 2147483648 into Go struct field Pod.spec.priority of type int32"),
    );
    refuse(
        POD,
        r#"{"spec":{"activeDeadlineSeconds":1.5}}"#,
        &format!(
            "{go} number 1.5 into Go struct field Pod.spec.activeDeadlineSeconds of type int64"
        ),
    );
    refuse(
        POD,
        r#"{"metadata":{"labels":{"a":true}}}"#,
        &format!("{go} bool into Go struct field Pod.metadata.labels.a of type string"),
    );
    refuse(
        POD,
        "[]",
        &format!("{go} array into Go value of type v1.Pod"),
    );
    refuse(
        POD,
        r#""x""#,
        &format!("{go} string into Go value of type v1.Pod"),
    );
    refuse(
        "io.k8s.api.core.v1.Secret",
        r#"{"data":{"a":"%"}}"#,
        r#"unable to decode field "data.a": illegal base64 data at input byte 0"#,
    );
    refuse(
        POD,
        r#"{"metadata":{"creationTimestamp":"soon"}}"#,
        "unable to decode field \"metadata.creationTimestamp\": parsing time \"soon\": \
         want RFC 3339, as in 2006-01-02T15:04:05Z",
    );
    refuse(POD, "null", "the body is null, want an object");
}

#[test]
fn malformed_json_is_refused() {
    for body in [
        "",
        "{",
        "{}x",
        r#"{"a":}"#,
        "\u{1}",
        r#"{"metadata":{"name":"\ud800"}}"#,
    ] {
        assert!(json(body.as_bytes(), POD).is_err(), "{body}");
    }
    assert!(json(b"{\"kind\":\"\xff\"}", POD).is_err());
    assert!(json(b"{}", "io.k8s.Nothing").is_err());
}

/// As observed on a kube-apiserver.
#[test]
fn keys_in_yaml_are_what_they_mean() {
    let decoded = |key: &str| {
        let body = format!("data:\n  {key}: \"1\"\n");
        yaml(body.as_bytes(), "io.k8s.api.core.v1.ConfigMap")
    };
    for (key, expect) in [
        ("y", "true"),
        ("Y", "true"),
        ("yes", "true"),
        ("on", "true"),
        ("True", "true"),
        ("n", "false"),
        ("No", "false"),
        ("OFF", "false"),
        ("01", "1"),
        ("017", "15"),
        ("0o17", "15"),
        ("0x10", "16"),
        ("0b11", "3"),
        ("-1", "-1"),
        ("+1", "1"),
        ("1_000", "1000"),
        ("1.50", "1.5"),
        ("1.0", "1"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("1e21", "1e+21"),
        ("1.5e-7", "1.5e-07"),
        ("2001-01-01", "2001-01-01"),
        ("\"y\"", "y"),
        ("'1'", "1"),
        ("!!str y", "y"),
    ] {
        let value = decoded(key).map(|decoded| decoded.value);
        assert_eq!(value.expect(key), json!({"data": {expect: "1"}}), "{key}");
    }
    let mode = yaml(b"spec: {terminationGracePeriodSeconds: 0644}", POD).expect("decodes");
    let seconds = &mode.value["spec"]["terminationGracePeriodSeconds"];
    assert_eq!(*seconds, 420);
    for key in ["~", "null", "12345678901234567890"] {
        let error = decoded(key).expect_err(key);
        assert!(error.message.contains("unsupported map key"), "{error}");
    }
}

#[test]
fn yaml_is_held_to_the_same_rules() {
    let body = "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  labels: {a: b, a: c}\nspec:\n  \
                containers:\n  - name: x\n    cmd: [y]\n    resources: {limits: {cpu: 0.5}}\n";
    let decoded = yaml(body.as_bytes(), POD).expect("decodes");
    let want = json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"a":"c"}},
        "spec":{"containers":[{"name":"x","resources":{"limits":{"cpu":"500m"}}}]}});
    assert_eq!(decoded.value, want);
    let warnings = [
        r#"duplicate field "metadata.labels.a""#,
        r#"unknown field "spec.containers[0].cmd""#,
    ];
    assert_eq!(decoded.warnings, warnings);
    let from_json = yaml(want.to_string().as_bytes(), POD).expect("JSON is YAML");
    assert_eq!(from_json.value, want);
    let error = yaml(b"metadata: {name: 7}", POD).expect_err("a number is no name");
    assert_eq!(
        error.message,
        "json: cannot unmarshal number into Go struct field Pod.metadata.name of type string"
    );
    for body in [
        "a: [",
        "\t- x",
        "- a\n- b\n",
        "a: *nothing",
        "{}\n---\n{}\n",
        "",
    ] {
        assert!(yaml(body.as_bytes(), POD).is_err(), "{body:?}");
    }
    let keys = yaml(b"data: {1: one, true: yes}", CONFIG_MAP);
    assert!(keys.is_err(), "a bool is no text: {keys:?}");
    let keys = yaml(b"data: {1: one}", CONFIG_MAP).expect("keys are text");
    assert_eq!(keys.value, json!({"data":{"1":"one"}}));
}

#[test]
fn hostile_bodies_end_quickly() {
    let started = Instant::now();
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    assert!(json(deep("[", "]").as_bytes(), POD).is_err());
    assert!(json(deep(r#"{"spec":"#, "}").as_bytes(), POD).is_err());
    let data = format!(r#"{{"data":{}}}"#, deep(r#"{"a":"#, "}"));
    assert!(json(data.as_bytes(), "io.k8s.api.apps.v1.ControllerRevision").is_err());
    assert!(yaml(deep("[", "]").as_bytes(), POD).is_err());
    let many: String = (0..50_000).map(|n| format!(r#""x{n}":1,"#)).collect();
    let decoded = json(format!(r#"{{{many}"kind":"Pod"}}"#).as_bytes(), POD).expect("decodes");
    assert_eq!(decoded.warnings.len(), reports::MAX_REPORTS);
    let same = format!(r#"{{"data":{{{}"k":""}}}}"#, r#""k":"","#.repeat(50_000));
    assert!(json(same.as_bytes(), CONFIG_MAP).is_ok());
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    assert!(yaml(bomb.as_bytes(), POD).is_err());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn types_fit_the_record_of_seen_fields() {
    let schemas = schemas();
    for ty in &schemas.types {
        assert!(ty.fields().len() <= 128, "{}", ty.name);
    }
}

/// Text made of the pieces that make decoders take turns.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"spec\"",
        "\"containers\"",
        "\"metadata\"",
        "\"name\"",
        "null",
        "1",
        "-1.5e9",
        "\"a\"",
        "\n",
        "- ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
        "spec: ",
        "  ",
        "!!binary ",
        "|",
        "\u{0}",
        "\u{feff}",
        "\\u0000",
        "#",
        "---\n",
        "\"1Gi\"",
        "true",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn json_never_panics(text in pieces()) {
        let _ = json(text.as_bytes(), POD);
    }

    #[test]
    fn yaml_never_panics(text in pieces()) {
        let _ = yaml(text.as_bytes(), POD);
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = json(&bytes, POD);
        let _ = yaml(&bytes, POD);
    }
}

#[test]
fn optional_lists_and_maps_that_hold_nothing_are_left_out() {
    let text = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","annotations":{},"ownerReferences":[]},"data":{}}"#;
    let decoded = super::json(text, "io.k8s.api.core.v1.ConfigMap").expect("a valid body");
    let expected =
        serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    assert_eq!(decoded.value, expected);
}

#[test]
fn configurations_are_taken_at_their_word() {
    let check = |body: &str, expected: Value, warnings: &[&str]| {
        let decoded = configuration(body.as_bytes(), POD).expect(body);
        assert_eq!(decoded.value, expected, "{body}");
        assert_eq!(decoded.warnings, warnings, "{body}");
    };
    let expected =
        json!({"apiVersion": "v1", "kind": "Pod", "spec": {"bogus": null, "hostPID": "x"}});
    check(&expected.to_string(), expected.clone(), &[]);
    check(
        "kind: Pod\napiVersion: v1\nspec: {bogus: null, hostPID: x}\n",
        expected,
        &[],
    );
    let twice = |line| format!("line {line}: key \"b\" already set in map");
    check(
        r#"{"spec": {"a": [0, {"b": 1, "b": 2}]}}"#,
        json!({"spec": {"a": [0, {"b": 2}]}}),
        &[&twice(1)],
    );
    check(
        "spec:\n  a: [0, {b: 1, b: 2}]\n",
        json!({"spec": {"a": [0, {"b": 2}]}}),
        &[&twice(2)],
    );
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    for body in ["", "[]", "1", "null", "{", "a: b: c", deep.as_str()] {
        configuration(body.as_bytes(), POD).expect_err(body);
    }
}

#[test]
fn an_empty_list_of_managers_is_a_wish() {
    let body =
        r#"{"metadata": {"managedFields": [], "finalizers": []}, "spec": {"containers": []}}"#;
    let decoded = json(body.as_bytes(), POD).expect("a pod");
    assert_eq!(
        decoded.value,
        json!({"metadata": {"managedFields": []}, "spec": {"containers": []}})
    );
}
