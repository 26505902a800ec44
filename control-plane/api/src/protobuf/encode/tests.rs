//! What is written is read back by the decoder, for every kind of the registry.

mod generate;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::decode;
use crate::protobuf::{Envelope, TypeMeta, decode as read, encode as write, field_size};
use crate::protobuf::{event_size, open_event};
use generate::Generator;

fn kinds() -> impl Iterator<Item = (TypeMeta, &'static str)> {
    schemas().types.iter().filter_map(|ty| {
        let gvk = ty.gvk.as_ref()?;
        let api_version = match &*gvk.group {
            "" => gvk.version.to_string(),
            group => format!("{group}/{}", gvk.version),
        };
        let meta = TypeMeta {
            api_version,
            kind: gvk.kind.to_string(),
        };
        Some((meta, &*ty.name))
    })
}

#[track_caller]
fn round_trip(meta: &TypeMeta, value: &Value) {
    let text = value.to_string();
    let bytes = write(&meta.api_version, &meta.kind, text.as_bytes())
        .expect("a registered kind")
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let (read_meta, read_value) = read(&bytes).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(read_meta, *meta);
    assert_eq!(read_value, *value, "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_kind_comes_back_as_it_was(seed in any::<u64>()) {
        for (meta, type_name) in kinds() {
            let mut generator = Generator::new(seed);
            let mut value = generator.object(type_name);
            value["apiVersion"] = json!(meta.api_version);
            value["kind"] = json!(meta.kind);
            // The generator keeps to the shapes of the registry, or the test would show nothing.
            let decoded = decode::value(value.clone(), type_name).expect("has the shape of its type");
            prop_assert_eq!(&decoded.value, &value);
            prop_assert_eq!(decoded.warnings, Vec::<String>::new());
            round_trip(&meta, &value);
        }
    }

    #[test]
    fn damage_is_an_error_and_no_panic(seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = Generator::new(seed).object("io.k8s.api.core.v1.Pod").to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let _ = write("v1", "Pod", &text);
        text.truncate(at);
        let id = schemas().by_name("io.k8s.api.core.v1.Pod").expect("is registered");
        prop_assert!(message(id, &text).is_err());
    }
}

#[test]
fn every_kind_is_covered() {
    let kinds: Vec<String> = kinds().map(|(meta, _)| meta.kind).collect();
    assert!(kinds.len() > 130, "{}", kinds.len());
    for kind in [
        "Pod",
        "PodList",
        "CustomResourceDefinition",
        "Status",
        "Lease",
    ] {
        assert!(kinds.iter().any(|known| known == kind), "{kind}");
    }
}

#[test]
fn the_places_where_a_schema_takes_two_types() {
    let meta = TypeMeta {
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
    };
    let text = json!({"type": "string", "minLength": 0, "maximum": 1.5, "default": {"a": null}});
    let schema = json!({"properties": {
        "list": {"type": "array", "items": text},
        "tuple": {"items": [text, {}], "additionalItems": false},
        "map": {"additionalProperties": text},
        "open": {"additionalProperties": true, "x-kubernetes-preserve-unknown-fields": true},
        "needs": {"dependencies": {"a": ["b", "c"], "d": text}},
        "one": {"enum": ["a", 1, null, {"b": []}], "not": {"$ref": ""}, "nullable": true},
    }});
    let value = json!({"apiVersion": meta.api_version, "kind": meta.kind, "spec": {
        "versions": [{"name": "v1", "served": false, "storage": true,
            "schema": {"openAPIV3Schema": schema}}]}});
    // Zeros of fields the schema demands are kept.
    let decoded = decode::value(
        value,
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    );
    round_trip(&meta, &decoded.expect("decodes").value);
}

#[test]
fn the_bytes_themselves() {
    // As kube-apiserver writes them, less the zeros of plain fields.
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "a", "resourceVersion": "7", "creationTimestamp": "2026-11-23T01:29:07Z"},
        "data": {"k": "v"}, "binaryData": {"b": "/wA="}, "immutable": false});
    let bytes = write("v1", "ConfigMap", value.to_string().as_bytes());
    let want: &[u8] = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x25\
        \x0a\x10\x0a\x01a\x32\x017\x42\x08\x08\xe3\xad\x8e\xd8\x06\x10\x00\
        \x12\x06\x0a\x01k\x12\x01v\x1a\x07\x0a\x01b\x12\x02\xff\x00\x20\x00\x1a\0\x22\0";
    assert_eq!(
        String::from_utf8_lossy(&bytes.expect("known").expect("encodes")),
        String::from_utf8_lossy(want)
    );
}

#[test]
fn long_messages_move_up_for_their_length() {
    for length in [0, 1, 126, 127, 128, 129, 16_383, 16_384, 3 << 20] {
        let text = "x".repeat(length);
        let value = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"annotations": {"a": text, "b": "after"}}, "type": "t"});
        let meta = TypeMeta {
            api_version: "v1".into(),
            kind: "Secret".into(),
        };
        round_trip(&meta, &value);
    }
}

#[test]
fn sizes_are_known_beforehand() {
    let envelope = Envelope::new("v1", "ConfigMap");
    for length in [0, 1, 127, 128, 20_000] {
        let message = vec![b'x'; length];
        let wrapped = envelope.wrap(&message);
        assert_eq!(wrapped.len(), envelope.size(length));
        let mut event = Vec::new();
        open_event("ADDED", wrapped.len(), &mut event);
        event.extend_from_slice(&wrapped);
        assert_eq!(event.len(), event_size("ADDED", wrapped.len()));
        assert_eq!(event[..7], *b"\x0a\x05ADDED");
        assert!(field_size(length) > length);
    }
}

#[test]
fn what_is_no_object_of_the_type_is_refused() {
    let refuse = |json: &str, want: &str| {
        let error = write("v1", "Pod", json.as_bytes())
            .expect("a registered kind")
            .expect_err(json);
        assert!(error.to_string().contains(want), "{error}");
    };
    refuse("[]", "unexpected '[' at byte 0");
    refuse("{} x", "unexpected 'x' at byte 3");
    refuse(
        r#"{"spec":{"nodeName":7}}"#,
        "spec: nodeName: unexpected '7'",
    );
    refuse(r#"{"spec":{"priority":1.5}}"#, "1.5 is no integer");
    refuse(
        r#"{"metadata":{"creationTimestamp":"soon"}}"#,
        "\"soon\" is no timestamp",
    );
    assert!(write("v1", "Nonsense", b"{}").is_none());
    // Unknown fields and nulls are left out.
    let empty = write(
        "v1",
        "Pod",
        br#"{"spec":null,"nonsense":[{"a":"]"}],"kind":"Pod"}"#,
    );
    assert_eq!(
        empty.expect("known").expect("encodes"),
        Envelope::new("v1", "Pod").wrap(&[])
    );
    let mut deep = String::from("{}");
    for _ in 0..2 * MAX_DEPTH {
        deep = format!(r#"{{"not":{deep}}}"#);
    }
    let id = schemas()
        .by_name(super::super::schema_props::PROPS)
        .expect("is registered");
    let error = message(id, deep.as_bytes()).expect_err("too deep");
    assert!(error.to_string().contains("nesting depth"));
}
