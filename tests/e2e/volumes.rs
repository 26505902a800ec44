//! Volumes of every kind, with kubectl, read and written by guests.

use serde_json::{Value, json};

use crate::support::{Cluster, Guest, Kubectl, PodSpec, eventually};

const ENOSPC: &str = "51";
const EROFS: &str = "69";

fn with_files(args: &[&str]) -> Option<(Cluster, Kubectl)> {
    let cluster = Cluster::start_with(args);
    let kubectl = cluster.kubectl()?;
    cluster.push(Guest::Files, "files");
    Some((cluster, kubectl))
}

/// A pod that does one thing with one file below its volume's mount, or elsewhere.
fn pod(name: &str, args: &[&str], volume: Value) -> PodSpec {
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let mut volume = volume;
    volume["name"] = json!("v");
    PodSpec::new(name, "files")
        .container("args", json!(args))
        .container("volumeMounts", mount)
        .with("/spec/volumes", json!([volume]))
}

/// Runs it to its end: exit code and output.
fn ran(kubectl: &Kubectl, pod: &PodSpec) -> (String, String) {
    let name = pod.json()["metadata"]["name"].as_str().expect("a name");
    kubectl.apply(&pod.to_string());
    let code = eventually("the guest ends", || {
        let path = ".status.containerStatuses[0].state.terminated.exitCode";
        let code = kubectl.field(&format!("pod/{name}"), path);
        (!code.is_empty()).then_some(code)
    });
    (code, kubectl.ok(&["logs", name]))
}

fn told(kubectl: &Kubectl, name: &str, text: &str) {
    eventually(text, || {
        let described = kubectl.ok(&["describe", "pod", name]);
        described.contains(text).then_some(())
    });
}

#[test]
fn running_pods_follow_config_maps_secrets_and_labels() {
    let Some((cluster, kubectl)) = with_files(&[]) else {
        return;
    };
    kubectl.ok(&["create", "configmap", "map", "--from-literal=key=first"]);
    kubectl.ok(&[
        "create",
        "secret",
        "generic",
        "sec",
        "--from-literal=key=hidden",
    ]);
    let labels = json!([{"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}}]);
    let secret = json!([{"secret": {"name": "sec"}}]);
    for (name, file, volume) in [
        ("of-map", "/v/key", json!({"configMap": {"name": "map"}})),
        (
            "of-secret",
            "/v/key",
            json!({"projected": {"sources": secret}}),
        ),
        (
            "of-labels",
            "/v/app",
            json!({"downwardAPI": {"items": labels}}),
        ),
    ] {
        kubectl.apply(&pod(name, &["follow", file], volume).to_string());
    }
    let part = json!([{"name": "v", "mountPath": "/v/key", "subPath": "key"}]);
    let part = pod(
        "of-part",
        &["follow", "/v/key"],
        json!({"configMap": {"name": "map"}}),
    )
    .container("volumeMounts", part);
    kubectl.apply(&part.to_string());
    let shows = |name: &str, text: &str| {
        eventually(text, || {
            kubectl.ok(&["logs", name]).contains(text).then_some(())
        });
    };
    shows("of-map", "first");
    shows("of-part", "first");
    shows("of-secret", "hidden");
    shows("of-labels", "of-labels");
    let patch = r#"{"data": {"key": "second"}}"#;
    kubectl.ok(&["patch", "configmap", "map", "-p", patch]);
    let patch = r#"{"stringData": {"key": "shown"}}"#;
    kubectl.ok(&["patch", "secret", "sec", "-p", patch]);
    kubectl.ok(&["label", "pod", "of-labels", "--overwrite", "app=renamed"]);
    shows("of-map", "second");
    shows("of-secret", "shown");
    shows("of-labels", "renamed");
    assert_eq!(
        kubectl.ok(&["logs", "of-part"]),
        "first\n",
        "a subPath stays as it was"
    );
    cluster.stop();
}

#[test]
fn empty_dirs_hold_what_they_may() {
    let Some((cluster, kubectl)) = with_files(&[]) else {
        return;
    };
    let volumes = [
        ("disk", json!({"emptyDir": {"sizeLimit": "1Mi"}})),
        (
            "memory",
            json!({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}),
        ),
    ];
    for (name, volume) in volumes {
        let full = pod(name, &["fill", "/v/file"], volume);
        assert_eq!(ran(&kubectl, &full).0, ENOSPC, "{name}");
    }
    let shared = json!([{"name": "w", "image": "files", "args": ["write", "/v/f", "shared"],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]);
    let reader = pod("reader", &["cat", "/v/f"], json!({"emptyDir": {}}))
        .with("/spec/initContainers", shared);
    assert_eq!(ran(&kubectl, &reader), ("0".into(), "shared".into()));
    let fixed = json!([{"name": "v", "mountPath": "/v", "readOnly": true,
        "recursiveReadOnly": "Enabled"}]);
    let fixed = pod("fixed", &["write", "/v/f", "x"], json!({"emptyDir": {}}))
        .container("volumeMounts", fixed);
    assert_eq!(ran(&kubectl, &fixed).0, EROFS);
    let expanded = json!([{"name": "v", "mountPath": "/v", "subPathExpr": "$(WHO)/logs"}]);
    let expanded = pod("expanded", &["write", "/v/f", "x"], json!({"emptyDir": {}}))
        .container("env", json!([{"name": "WHO", "value": "me"}]))
        .container("volumeMounts", expanded);
    assert_eq!(ran(&kubectl, &expanded).0, "0");
    cluster.stop();
}

#[test]
fn host_paths_are_the_operators_to_give() {
    let host = tempfile::tempdir().expect("temp dir");
    let (open, fixed) = (host.path().join("open"), host.path().join("fixed"));
    for folder in [&open, &fixed, &host.path().join("closed")] {
        std::fs::create_dir(folder).expect("made");
    }
    std::fs::write(fixed.join("f"), "fixed").expect("written");
    std::os::unix::fs::symlink(host.path().join("closed"), open.join("out")).expect("linked");
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_string();
    let read_only = format!("{}:ro", text(&fixed));
    let args = [
        "--allow-host-path",
        &text(&open),
        "--allow-host-path",
        &read_only,
    ];
    let Some((cluster, kubectl)) = with_files(&args) else {
        return;
    };
    let source =
        |path: std::path::PathBuf, kind: &str| json!({"hostPath": {"path": path, "type": kind}});
    let made = pod(
        "made",
        &["write", "/v/f", "hello"],
        source(open.join("new"), "DirectoryOrCreate"),
    );
    assert_eq!(ran(&kubectl, &made).0, "0");
    let written = std::fs::read_to_string(open.join("new/f")).expect("the guest wrote it");
    assert_eq!(written, "hello");
    let read = pod("read", &["cat", "/v/f"], source(fixed.clone(), "Directory"));
    assert_eq!(ran(&kubectl, &read), ("0".into(), "fixed".into()));
    let refused = pod(
        "refused",
        &["write", "/v/f", "x"],
        source(fixed, "Directory"),
    );
    assert_eq!(ran(&kubectl, &refused).0, EROFS);
    for (name, path, kind, why) in [
        (
            "closed",
            host.path().join("closed"),
            "",
            "--allow-host-path",
        ),
        ("out", open.join("out"), "", "leads out of"),
        ("none", open.join("none"), "Directory", "No such file"),
        (
            "file",
            open.join("new/f"),
            "Directory",
            "is not a directory",
        ),
    ] {
        kubectl.apply(&pod(name, &["cat", "/v/f"], source(path, kind)).to_string());
        told(&kubectl, name, why);
    }
    cluster.stop();
}

#[test]
fn containers_find_their_names_and_leave_a_message() {
    let Some((cluster, kubectl)) = with_files(&[]) else {
        return;
    };
    let none = json!({"emptyDir": {}});
    let aliases = json!([{"ip": "10.1.2.3", "hostnames": ["db", "db.example"]}]);
    let hosts = pod("hosts", &["cat", "/etc/hosts"], none.clone())
        .with("/spec/hostAliases", aliases)
        .with("/spec/subdomain", json!("sub"));
    let (code, text) = ran(&kubectl, &hosts);
    assert_eq!(code, "0", "{text}");
    assert!(
        text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"),
        "{text}"
    );
    let ip = kubectl.field("pod/hosts", ".status.podIP");
    assert!(
        text.contains(&format!(
            "{ip}\thosts.sub.default.svc.cluster.local\thosts\n"
        )),
        "{text}"
    );
    assert!(text.ends_with("10.1.2.3\tdb\tdb.example\n"), "{text}");
    let refused = pod("refused", &["write", "/etc/hosts", "x"], none.clone());
    assert_eq!(ran(&kubectl, &refused).0, EROFS);
    let name = pod("named", &["cat", "/etc/hostname"], none.clone());
    assert_eq!(ran(&kubectl, &name), ("0".into(), "named\n".into()));
    let dns = json!({"nameservers": ["10.9.8.7"], "searches": ["x.example"],
        "options": [{"name": "ndots", "value": "3"}]});
    let resolver = pod("resolver", &["cat", "/etc/resolv.conf"], none.clone())
        .with("/spec/dnsPolicy", json!("None"))
        .with("/spec/dnsConfig", dns);
    let expected = "search x.example\nnameserver 10.9.8.7\noptions ndots:3\n";
    assert_eq!(ran(&kubectl, &resolver), ("0".into(), expected.into()));
    let last = pod(
        "last",
        &["write", "/dev/termination-log", "the last words"],
        none.clone(),
    );
    assert_eq!(ran(&kubectl, &last).0, "0");
    let path = ".status.containerStatuses[0].state.terminated.message";
    assert_eq!(kubectl.field("pod/last", path), "the last words");
    let elsewhere = pod("elsewhere", &["write", "/tmp/why", "because"], none)
        .container("terminationMessagePath", json!("/tmp/why"));
    assert_eq!(ran(&kubectl, &elsewhere).0, "0");
    assert_eq!(kubectl.field("pod/elsewhere", path), "because");
    cluster.stop();
}

#[test]
fn images_are_volumes_too() {
    let Some((cluster, kubectl)) = with_files(&[]) else {
        return;
    };
    cluster.push(Guest::Hello, "data:v1");
    let image =
        |reference: &str| json!({"image": {"reference": reference, "pullPolicy": "Always"}});
    let read = pod("read", &["cat", "/v/data.wasm"], image("data:v1"));
    let (code, content) = ran(&kubectl, &read);
    assert!(
        code == "0" && content.starts_with("\0asm"),
        "{code} {content:?}"
    );
    let refused = pod("refused", &["write", "/v/data.wasm", "x"], image("data:v1"));
    assert_eq!(ran(&kubectl, &refused).0, EROFS);
    kubectl.apply(&pod("absent", &["cat", "/v/x"], image("none:v1")).to_string());
    eventually("the missing image is told", || {
        let path = ".status.containerStatuses[0].state.waiting.reason";
        let reason = kubectl.field("pod/absent", path);
        matches!(reason.as_str(), "ErrImagePull" | "ImagePullBackOff").then_some(())
    });
    told(&kubectl, "absent", "Failed to pull image \"none:v1\"");
    cluster.stop();
}
