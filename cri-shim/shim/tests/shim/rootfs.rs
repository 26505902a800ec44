//! Images that hold a root filesystem with the module somewhere in it.

use std::path::Path;

use sampan_proto::{Code, ImageService, v1};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{Node, container, wat};

/// Stores a blob in a layout folder and returns its descriptor.
fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> serde_json::Value {
    let hex = hex::encode(Sha256::digest(bytes));
    std::fs::write(layout.join("blobs/sha256").join(&hex), bytes).expect("written");
    json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len() })
}

/// One layer with the `exit` guest at /usr/bin/tool and a file that is no module.
fn layer() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in [
        ("usr/bin/tool", wat("exit")),
        ("etc/motd", b"hello".to_vec()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        archive
            .append_data(&mut header, path, &bytes[..])
            .expect("appended");
    }
    archive.into_inner().expect("finished")
}

async fn image(node: &Node) -> String {
    let layout = node.path("modules/layout");
    std::fs::create_dir_all(layout.join("blobs/sha256")).expect("made");
    std::fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("written");
    let layer = layer();
    let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
    let config = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "config": { "Entrypoint": ["/usr/bin/tool"], "Cmd": ["of", "the", "image"], "Env": ["FROM=image"], "User": "1002" },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(&layout, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
        "layers": [blob(&layout, "application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let mut entry = blob(
        &layout,
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    std::fs::write(layout.join("index.json"), index.to_string()).expect("written");
    let image = v1::ImageSpec {
        image: format!("oci://{}:v1", layout.display()),
        ..Default::default()
    };
    let request = v1::PullImageRequest {
        image: Some(image),
        ..Default::default()
    };
    node.shim
        .pull_image(request)
        .await
        .expect("pulled")
        .image_ref
}

#[tokio::test]
async fn the_module_is_found_by_the_entrypoint_or_the_command() {
    let node = Node::new();
    let image = image(&node).await;
    let strings = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.to_string())
            .collect::<Vec<_>>()
    };
    // name, command, args -> argv
    let cases: [(&str, &[&str], &[&str], &str); 3] = [
        ("entrypoint", &[], &[], "/usr/bin/tool\0of\0the\0image\0"),
        ("args", &[], &["mine"], "/usr/bin/tool\0mine\0"),
        ("command", &["tool", "a"], &["b"], "tool\0a\0b\0"),
    ];
    for (name, command, args, argv) in cases {
        let config = v1::ContainerConfig {
            command: strings(command),
            args: strings(args),
            ..container(name, &image)
        };
        let (_, log) = node.finish(config).await;
        assert!(log.contains(&format!("stdout F {argv}")), "{name}: {log:?}");
        assert!(
            log.contains(&format!("stdout F FROM=image\0HOSTNAME={name}\0")),
            "{name}: {log:?}"
        );
    }
}

#[tokio::test]
async fn a_command_that_names_no_program_ends_when_it_is_started() {
    let node = Node::new();
    let image = image(&node).await;
    for (pod, command, why) in [
        ("text", "/etc/motd", "exec format error"),
        ("absent", "absent", "executable file not found in $PATH"),
        (
            "outside",
            "/usr/bin/../../etc/passwd",
            "no such file or directory",
        ),
        ("folder", "/usr/bin", "is a directory"),
    ] {
        let sandbox = node.sandbox(pod).await;
        let config = v1::ContainerConfig {
            command: vec![command.into()],
            ..container("app", &image)
        };
        let id = node.create(&sandbox, config).await.expect("created");
        let error = node.start(&id).await.expect_err(command);
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
        assert!(error.message.contains(why), "{error}");
        let status = node.status(&id).await.expect("a status");
        assert_eq!(status.state(), v1::ContainerState::ContainerExited);
        assert_eq!(
            (status.exit_code, status.reason.as_str()),
            (128, "StartError")
        );
        assert!(status.message.contains(command), "{}", status.message);
    }
}

#[tokio::test]
async fn relative_commands_begin_in_the_working_folder_and_names_in_path() {
    let node = Node::new();
    let image = image(&node).await;
    let path = |value: &str| v1::KeyValue {
        key: "PATH".into(),
        value: value.into(),
    };
    for (name, command, working_dir, envs) in [
        ("relative", "./tool", "/usr/bin", vec![]),
        ("below", "bin/tool", "/usr", vec![]),
        ("path", "tool", "", vec![path("/sbin:/usr/bin")]),
        ("here", "tool", "/usr/bin", vec![path("/nowhere")]),
    ] {
        let config = v1::ContainerConfig {
            command: vec![command.into()],
            working_dir: working_dir.into(),
            envs,
            ..container(name, &image)
        };
        let (_, log) = node.finish(config).await;
        assert!(
            log.contains(&format!("stdout F {command}\0")),
            "{name}: {log:?}"
        );
    }
}

#[tokio::test]
async fn the_images_user_is_shown() {
    let node = Node::new();
    let id = image(&node).await;
    let spec = v1::ImageSpec {
        image: id,
        ..Default::default()
    };
    let request = v1::ImageStatusRequest {
        image: Some(spec),
        verbose: false,
    };
    let image = node
        .shim
        .image_status(request)
        .await
        .expect("an answer")
        .image
        .expect("it is here");
    assert_eq!(
        (image.uid, image.username.as_str()),
        (Some(v1::Int64Value { value: 1002 }), "")
    );
}
