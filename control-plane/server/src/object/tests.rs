use super::*;

fn decode(bucket: &str, path: &str, stored: &str) -> Obj {
    let bytes = Bytes::copy_from_slice(stored.as_bytes());
    ObjCodec
        .decode(&Key::new(bucket, path), Revision(42), &bytes)
        .expect("decodes")
}

#[test]
fn the_revision_is_spliced_in() {
    let stored = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"d","uid":"u","resourceVersion":"","labels":{"l":"1"},"annotations":{"resourceVersion":""}},"data":{"resourceVersion":""}}"#;
    let object = decode("configmaps", "d/a", stored);
    let expected = stored.replacen(r#""resourceVersion":"""#, r#""resourceVersion":"42""#, 1);
    assert_eq!(String::from_utf8_lossy(&object.raw), expected);
    assert_eq!(
        (
            object.revision(),
            object.name(),
            object.namespace(),
            object.uid()
        ),
        ("42", "a", "d", "u")
    );
    assert_eq!((object.label("l"), object.label("x")), (Some("1"), None));
    let later = ObjCodec.restamp(&object, Revision(1234567));
    assert_eq!(
        String::from_utf8_lossy(&later.raw),
        expected.replacen("\"42\"", "\"1234567\"", 1)
    );
    assert_eq!((later.revision(), later.label("l")), ("1234567", Some("1")));
    let partial: serde_json::Value = serde_json::from_slice(&later.partial()).expect("JSON");
    assert_eq!(
        (&partial["kind"], &partial["metadata"]["resourceVersion"]),
        (&"PartialObjectMetadata".into(), &"1234567".into())
    );
}

#[test]
fn field_labels_are_read_from_the_bytes() {
    let pod = decode(
        "pods",
        "d/p",
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"d","resourceVersion":"","deletionTimestamp":"t"},"spec":{"containers":[{"name":"c"}],"nodeName":"n\u00311","restartPolicy":"Never"},"status":{"phase":"Running","podIPs":[{"ip":"1"}]}}"#,
    );
    for (label, expected) in [
        ("metadata.name", Some("p")),
        ("metadata.namespace", Some("d")),
        ("spec.nodeName", Some("n11")),
        ("spec.restartPolicy", Some("Never")),
        ("spec.hostNetwork", Some("false")),
        ("status.phase", Some("Running")),
        ("status.nominatedNodeName", Some("")),
        ("spec.nope", None),
    ] {
        assert_eq!(pod.field(label), expected, "{label}");
    }
    assert!(pod.deletion().is_some());
    let event = decode(
        "events",
        "d/e",
        r#"{"kind":"Event","apiVersion":"v1","metadata":{"name":"e","namespace":"d","resourceVersion":""},"involvedObject":{"name":"p"},"source":{"component":"agent"},"reason":"R"}"#,
    );
    for (label, expected) in [
        ("involvedObject.name", "p"),
        ("regarding.name", "p"),
        ("source", "agent"),
        ("reason", "R"),
        ("reportingController", ""),
    ] {
        assert_eq!(event.field(label), Some(expected), "{label}");
    }
}

#[test]
fn unreadable_bytes_are_refused() {
    for stored in [
        "",
        "{",
        "[]",
        r#"{"metadata":{}}"#,
        r#"{"metadata":{"resourceVersion":"","name":7}}"#,
    ] {
        let bytes = Bytes::copy_from_slice(stored.as_bytes());
        assert!(
            ObjCodec
                .decode(&Key::new("pods", "d/p"), Revision(1), &bytes)
                .is_err(),
            "{stored}"
        );
    }
    let fine = Bytes::from_static(br#"{"metadata":{"resourceVersion":""}}"#);
    assert!(
        ObjCodec
            .decode(&Key::new("nothing", "x"), Revision(1), &fine)
            .is_err()
    );
}

#[test]
fn an_events_source_may_be_told_the_newer_way() {
    let event = |source: &str| {
        let stored = format!(
            r#"{{"kind":"Event","apiVersion":"v1","metadata":{{"name":"e","namespace":"d","resourceVersion":""}},"source":{{{source}}},"reportingComponent":"newer"}}"#
        );
        decode("events", "d/e", &stored)
            .field("source")
            .map(str::to_owned)
    };
    assert_eq!(event(""), Some("newer".to_owned()));
    assert_eq!(event(r#""component":"older""#), Some("older".to_owned()));
}

#[test]
fn the_metadata_alone_is_not_kept_beside_the_object() {
    let stored = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"d","resourceVersion":""},"data":{"k":"v"}}"#;
    let object = decode("configmaps", "d/a", stored);
    let expected = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a","namespace":"d","resourceVersion":"42"}}"#;
    for _ in 0..2 {
        let partial = object.partial();
        assert_eq!(partial, expected);
        assert!(partial.is_unique(), "the object holds it too");
    }
}

#[test]
fn a_plain_object_is_its_bytes_and_little_else() {
    let stored = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"d","uid":"u","resourceVersion":""},"data":{"k":"v"}}"#;
    let object = decode("configmaps", "d/a", stored);
    let within = object.raw.as_ptr_range();
    for part in [object.name(), object.namespace(), object.uid()] {
        assert!(within.contains(&part.as_ptr()), "{part} is a copy");
    }
    assert!(object.extra.is_none());
    // 160 bytes with key and revisions in their `Arc`, a size that allocators have.
    assert!(size_of::<Obj>() <= 112, "{}", size_of::<Obj>());
}

#[test]
fn names_may_be_written_with_escapes_and_after_the_revision() {
    let stored = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"namespace":"d","resourceVersion":"","name":"\u0061\"b","uid":"u"}}"#;
    let escaped = decode("configmaps", "d/a", stored);
    let plain = decode("configmaps", "d/a", &stored.replace(r#"\u0061\""#, "a"));
    for (object, name) in [(escaped, "a\"b"), (plain, "ab")] {
        let later = object.at(Revision(1_234_567));
        for object in [&object, &later] {
            let identity = (object.namespace(), object.name(), object.uid());
            assert_eq!(identity, ("d", name, "u"));
            assert_eq!(object.field("metadata.name"), Some(name));
        }
        assert_eq!((object.revision(), later.revision()), ("42", "1234567"));
    }
}
