//! Interfaces beyond WASI proper: given by annotations, kept apart by namespace.

use sampan_proto::{CONFIG_MAPS, Code, NAMESPACE_UID, RuntimeService, v1};
use sampan_shim::ShimConfig;

use crate::support::{Node, container};

/// The engine's own guests.
fn guest(name: &str) -> Vec<u8> {
    let guests = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../runtime/engine/tests/guests"
    );
    wat::parse_file(format!("{guests}/{name}.wat")).expect("a valid guest")
}

struct Pod<'a> {
    namespace: &'a str,
    uid: &'a str,
    annotations: &'a [(&'a str, &'a str)],
}

async fn sandbox(node: &Node, name: &str, pod: &Pod<'_>) -> String {
    let mut config = node.pod(name);
    if let Some(metadata) = &mut config.metadata {
        metadata.namespace = pod.namespace.into();
    }
    let own = [(NAMESPACE_UID, pod.uid)];
    let all = own.iter().chain(pod.annotations);
    config
        .annotations
        .extend(all.map(|(key, value)| (key.to_string(), value.to_string())));
    let request = v1::RunPodSandboxRequest {
        config: Some(config),
        runtime_handler: String::new(),
    };
    let response = node.shim.run_pod_sandbox(request).await;
    response.expect("a sandbox").pod_sandbox_id
}

fn with_args(name: &str, image: &str, args: &[&str]) -> v1::ContainerConfig {
    v1::ContainerConfig {
        args: args.iter().map(|arg| arg.to_string()).collect(),
        ..container(name, image)
    }
}

/// Runs a container to its end; its exit code and its log without the stamps.
async fn run(node: &Node, sandbox: &str, config: v1::ContainerConfig) -> (i32, Vec<String>) {
    let id = node.run(sandbox, config).await;
    let status = node.exited(&id).await;
    let log = std::fs::read_to_string(&status.log_path).expect("a log");
    let text = |line: &str| line.splitn(4, ' ').last().unwrap_or_default().to_string();
    (status.exit_code, log.lines().map(text).collect())
}

#[tokio::test]
async fn a_pod_without_the_annotation_is_told_which_one() {
    let node = Node::new();
    let plain = Pod {
        namespace: "default",
        uid: "",
        annotations: &[],
    };
    let sandbox = sandbox(&node, "pod", &plain).await;
    for (name, needed) in [
        ("keyvalue", "sampan.dev/wasi-keyvalue=\"default\""),
        ("host-config", "sampan.dev/wasi-config=\"env\""),
        ("host-logging", "sampan.dev/wasi-logging=\"true\""),
    ] {
        let image = node.image(name, &guest(name)).await;
        let error = node
            .create(&sandbox, container(name, &image))
            .await
            .expect_err("not given");
        assert_eq!(error.code, Code::PermissionDenied);
        assert!(error.message.contains(needed), "{error}");
        assert!(
            error.message.contains("the module imports wasi:"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn settings_come_from_the_environment_and_config_maps() {
    let node = Node::new();
    let image = node.image("config", &guest("host-config")).await;
    let pod = Pod {
        namespace: "default",
        uid: "",
        annotations: &[("sampan.dev/wasi-config", "configmap/a,env")],
    };
    let sandbox = sandbox(&node, "pod", &pod).await;
    let maps = r#"{"a":{"color":"red","size":"1"},"unasked":{"x":"y"}}"#;
    let mut number = 0;
    let mut config = |args: &[&str]| {
        number += 1;
        v1::ContainerConfig {
            envs: vec![v1::KeyValue {
                key: "size".into(),
                value: b"2".to_vec(),
            }],
            annotations: [(CONFIG_MAPS.to_string(), maps.to_string())].into(),
            ..with_args(&format!("c{number}"), &image, args)
        }
    };
    for (key, value) in [
        ("color", "red"),
        ("size", "2"),
        ("x", "none"),
        ("HOSTNAME", "pod"),
    ] {
        let (code, log) = run(&node, &sandbox, config(&[key])).await;
        assert_eq!((code, log), (0, vec![value.to_string()]), "{key}");
    }
    // Settings are not told to whoever may look at containers.
    let id = node
        .create(&sandbox, config(&["x"]))
        .await
        .expect("created");
    let status = node.status(&id).await.expect("a status");
    assert!(!status.annotations.contains_key(CONFIG_MAPS));
}

#[tokio::test]
async fn log_lines_are_in_the_log() {
    let node = Node::new();
    let image = node.image("logging", &guest("host-logging")).await;
    let pod = Pod {
        namespace: "default",
        uid: "",
        annotations: &[("sampan.dev/wasi-logging.app", "true")],
    };
    let sandbox = sandbox(&node, "pod", &pod).await;
    let config = with_args("app", &image, &["boot", "ready"]);
    let (code, log) = run(&node, &sandbox, config).await;
    assert_eq!((code, log[2].as_str()), (0, "INFO boot: ready"));
    let other = node.create(&sandbox, container("other", &image)).await;
    assert!(other.is_err(), "given to one container of the pod only");
}

#[tokio::test]
async fn buckets_belong_to_namespaces_and_outlive_pods() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = || ShimConfig {
        keyvalue_file: Some(folder.path().join("keyvalue.db")),
        ..ShimConfig::default()
    };
    let keyvalue = guest("keyvalue");
    let annotations = [("sampan.dev/wasi-keyvalue", "default, cache=sessions")];
    let pod = |namespace, uid| Pod {
        namespace,
        uid,
        annotations: &annotations,
    };
    let value = |text: &str| (0, vec![text.to_string()]);
    {
        let node = Node::with(config());
        let image = node.image("kv", &keyvalue).await;
        let a = sandbox(&node, "a", &pod("a", "1")).await;
        let set = with_args("set", &image, &["s", "", "k", "of a"]);
        assert_eq!(run(&node, &a, set).await, (0, vec![]));
        let get = with_args("get", &image, &["g", "default", "k"]);
        assert_eq!(run(&node, &a, get).await, value("of a"));
        // By another name the same bucket; another bucket by no name it was not given.
        let named = with_args("named", &image, &["i", "cache", "n"]);
        assert_eq!(run(&node, &a, named).await, value("1"));
        let unnamed = with_args("unnamed", &image, &["i", "sessions", "n"]);
        assert_eq!(
            run(&node, &a, unnamed).await,
            (1, vec!["no-such-store".into()])
        );

        let b = sandbox(&node, "b", &pod("b", "1")).await;
        let get = with_args("get", &image, &["g", "default", "k"]);
        assert_eq!(run(&node, &b, get).await, value("none"));
    }
    // Another process, in effect: only the file is the same.
    let node = Node::with(config());
    let image = node.image("kv", &keyvalue).await;
    let got = async |name: &str, uid: &'static str| {
        let a = sandbox(&node, name, &pod("a", uid)).await;
        let get = with_args("get", &image, &["g", "default", "k"]);
        run(&node, &a, get).await
    };
    // Another uid is another namespace, and takes nothing from the one that was there.
    for (name, uid, expected) in [("again", "2", "none"), ("same", "1", "of a")] {
        assert_eq!(got(name, uid).await, value(expected), "{name}");
    }
    let namespaces = node.shim.bucket_namespaces().await.expect("a list");
    let pairs = [("a", "1"), ("a", "2"), ("b", "1")];
    assert_eq!(namespaces, pairs.map(|(n, u)| (n.into(), u.into())));
    node.shim.remove_buckets("a", "1").await.expect("removed");
    assert_eq!(got("gone", "1").await, value("none"));
}

#[tokio::test]
async fn without_a_file_there_are_no_buckets() {
    let node = Node::new();
    let image = node.image("kv", &guest("keyvalue")).await;
    let pod = Pod {
        namespace: "a",
        uid: "",
        annotations: &[("sampan.dev/wasi-keyvalue", "default")],
    };
    let sandbox = sandbox(&node, "pod", &pod).await;
    let error = node.create(&sandbox, container("kv", &image)).await;
    let error = error.expect_err("nowhere to keep them");
    assert_eq!(error.code, Code::FailedPrecondition);
}
