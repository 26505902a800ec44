//! The generated messages against bytes and names written down by hand: a renamed field or a moved
//! tag would still compile on both sides of our own seam, and break every other CRI client.

use std::collections::BTreeMap;

use prost::Message;
use sampan_proto::v1;

#[test]
fn messages_have_their_bytes_on_the_wire() {
    let cases: Vec<(&str, Vec<u8>, &[u8])> = vec![
        (
            "KeyValue: the value is bytes",
            v1::KeyValue {
                key: "K".into(),
                value: vec![0xff],
            }
            .encode_to_vec(),
            b"\x0a\x01K\x12\x01\xff",
        ),
        (
            "PodSandboxFilter: READY is present though zero",
            v1::PodSandboxFilter {
                state: Some(v1::PodSandboxStateValue {
                    state: v1::PodSandboxState::SandboxReady.into(),
                }),
                ..Default::default()
            }
            .encode_to_vec(),
            b"\x12\x00",
        ),
        (
            "ContainerStatus: image_id is 17, stop_signal 19",
            v1::ContainerStatus {
                image_id: "i".into(),
                stop_signal: v1::Signal::Sigterm.into(),
                ..Default::default()
            }
            .encode_to_vec(),
            b"\x8a\x01\x01i\x98\x01\x17",
        ),
        (
            "ImageSpec: user_specified_image is 18",
            v1::ImageSpec {
                image: "a".into(),
                user_specified_image: "b".into(),
                ..Default::default()
            }
            .encode_to_vec(),
            b"\x0a\x01a\x92\x01\x01b",
        ),
        (
            "UpdatePodSandboxResourcesRequest: overhead is 2, resources 3",
            v1::UpdatePodSandboxResourcesRequest {
                pod_sandbox_id: "s".into(),
                overhead: Some(v1::LinuxContainerResources::default()),
                resources: Some(v1::LinuxContainerResources {
                    cpu_quota: 1,
                    ..Default::default()
                }),
            }
            .encode_to_vec(),
            b"\x0a\x01s\x12\x00\x1a\x02\x10\x01",
        ),
        (
            "PodSandboxConfig: labels are a map at 6",
            v1::PodSandboxConfig {
                labels: BTreeMap::from([("k".to_string(), "v".to_string())]),
                ..Default::default()
            }
            .encode_to_vec(),
            b"\x32\x06\x0a\x01k\x12\x01v",
        ),
    ];
    for (what, encoded, expected) in cases {
        assert_eq!(encoded, expected, "{what}");
    }
}

#[test]
fn unknown_fields_are_skipped() {
    // Tag 100, one byte: a field of a later version.
    let message = v1::VersionResponse::decode(&b"\xa0\x06\x01\x0a\x01x"[..])
        .expect("unknown fields are skipped");
    assert_eq!(message.version, "x");
}

#[test]
fn debug_text_shows_no_credentials() {
    let auth = v1::AuthConfig {
        username: "me".into(),
        password: "hunter2".into(),
        ..Default::default()
    };
    let request = v1::PullImageRequest {
        auth: Some(auth),
        ..Default::default()
    };
    let text = format!("{request:?}");
    assert!(text.contains("me") && text.contains("<redacted>"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
