//! The same pod through other doors: plain curl, and a program with kube-rs.

use std::process::Command;

use base64::Engine as _;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, LogParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};

use crate::support::{Cluster, Guest, PATIENCE, PodSpec, eventually, have, which};

/// The certificates of the kubeconfig as the files curl wants.
fn curl_credentials(cluster: &Cluster) -> Vec<String> {
    let text = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig");
    let kubeconfig: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let file = |name: &str, pointer: &str| {
        let path = cluster.folder.path().join(name);
        let data = kubeconfig
            .pointer(pointer)
            .and_then(|data| data.as_str())
            .expect(pointer);
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(data)
            .expect("base64");
        std::fs::write(&path, bytes).expect("write");
        path.to_str().expect("UTF-8").to_string()
    };
    vec![
        "--cacert".to_string(),
        file("ca.crt", "/clusters/0/cluster/certificate-authority-data"),
        "--cert".to_string(),
        file("client.crt", "/users/0/user/client-certificate-data"),
        "--key".to_string(),
        file("client.key", "/users/0/user/client-key-data"),
    ]
}

#[test]
fn a_pod_by_curl() {
    if !have("curl", which("curl").is_some()) {
        return;
    }
    let cluster = Cluster::start();
    cluster.push(Guest::Hello, "hello");
    let credentials = curl_credentials(&cluster);
    let curl = |args: &[&str], path: &str| {
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--max-time", "30"])
            .args(&credentials)
            .args(args)
            .arg(format!("{}{path}", cluster.url));
        let output = command.output().expect("curl runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let pods = "/api/v1/namespaces/default/pods";
    let pod = PodSpec::new("p", "hello").to_string();
    let created = curl(
        &[
            "-H",
            "Content-Type: application/json",
            "--data-binary",
            &pod,
        ],
        pods,
    );
    assert!(created.contains("\"creationTimestamp\""), "{created}");
    eventually("Succeeded", || {
        curl(&[], &format!("{pods}/p"))
            .contains("\"phase\": \"Succeeded\"")
            .then_some(())
    });
    assert_eq!(curl(&[], &format!("{pods}/p/log")), "hello guest\n");
    let events = curl(&["-N"], &format!("{pods}?watch=1&timeoutSeconds=1"));
    let first: serde_json::Value =
        serde_json::from_str(events.lines().next().expect("an event")).expect("JSON");
    assert_eq!(
        (&first["type"], &first["object"]["metadata"]["name"]),
        (&"ADDED".into(), &"p".into())
    );
    for version in ["--http1.1", "--http2"] {
        // Upstream's table of routes has no HEAD.
        for (path, code) in [("/healthz", " 200"), ("/version", " 405")] {
            let head = curl(&["-I", version], path);
            assert!(head.contains(code), "{version}: {head}");
        }
    }
    curl(&["-X", "DELETE"], &format!("{pods}/p"));

    let anonymous = Command::new("curl")
        .args([
            "-sS",
            "-k",
            "--max-time",
            "10",
            &format!("{}{pods}", cluster.url),
        ])
        .output()
        .expect("curl runs");
    let status: serde_json::Value = serde_json::from_slice(&anonymous.stdout).expect("a Status");
    assert_eq!(
        (&status["kind"], &status["status"]),
        (&"Status".into(), &"Failure".into())
    );
    assert!(status["code"] == 401 || status["code"] == 403, "{status}");
    cluster.stop();
}

#[tokio::test]
async fn a_pod_by_kube_rs() {
    let cluster = Cluster::start();
    cluster.push(Guest::Hello, "hello");
    let api: Api<Pod> = Api::default_namespaced(cluster.client().await);
    let pod: Pod =
        serde_json::from_value(PodSpec::new("p", "hello").json().clone()).expect("a pod");
    api.create(&PostParams::default(), &pod)
        .await
        .expect("created");
    let ended = await_condition(api.clone(), "p", |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        status.and_then(|status| status.phase.as_deref()) == Some("Succeeded")
    });
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("in time")
        .expect("watched");
    let log = api.logs("p", &LogParams::default()).await.expect("a log");
    assert_eq!(log, "hello guest\n");
    let uid = api
        .get("p")
        .await
        .expect("the pod")
        .metadata
        .uid
        .expect("a uid");
    api.delete("p", &DeleteParams::default())
        .await
        .expect("deleted");
    let gone = await_condition(api, "p", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("in time")
        .expect("watched");
    cluster.stop();
}

#[tokio::test]
async fn two_programs_apply_by_kube_rs() {
    let cluster = Cluster::serve(&[]);
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client().await);
    let apply = |manager: &'static str, force: bool, data: serde_json::Value| {
        let api = api.clone();
        async move {
            let mut params = PatchParams::apply(manager);
            params.force = force;
            let patch = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "c"}, "data": data});
            api.patch("c", &params, &Patch::Apply(patch)).await
        }
    };
    let data = |object: &ConfigMap| serde_json::to_value(&object.data).expect("JSON");
    let owners = |object: &ConfigMap, field: &str| -> Vec<String> {
        let managers = object.metadata.managed_fields.iter().flatten();
        let field = format!("/f:data/f:{field}");
        managers
            .filter(|one| {
                let fields = one.fields_v1.as_ref();
                fields.is_some_and(|fields| fields.0.pointer(&field).is_some())
            })
            .filter_map(|one| one.manager.clone())
            .collect()
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");

    let made = apply("first", false, json(r#"{"a": "1", "b": "1"}"#)).await;
    let made = made.expect("created");
    assert_eq!(owners(&made, "a"), ["first"]);
    let refused = apply("second", false, json(r#"{"a": "2", "c": "2"}"#)).await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"first\": .data.a"
    );
    let unchanged = api.get("c").await.expect("there");
    assert_eq!(unchanged, made);

    let forced = apply("second", true, json(r#"{"a": "2", "c": "2"}"#)).await;
    let forced = forced.expect("applied");
    assert_eq!(data(&forced), json(r#"{"a": "2", "b": "1", "c": "2"}"#));
    assert_eq!(owners(&forced, "a"), ["second"]);
    // What nobody applies any more goes; what the other one applies stays.
    let less = apply("first", false, json(r#"{}"#)).await.expect("applied");
    assert_eq!(data(&less), json(r#"{"a": "2", "c": "2"}"#));
    // Two may say the same.
    let same = apply("first", false, json(r#"{"a": "2"}"#)).await;
    let same = same.expect("no conflict");
    let mut both = owners(&same, "a");
    both.sort();
    assert_eq!(both, ["first", "second"]);
    cluster.stop();
}
