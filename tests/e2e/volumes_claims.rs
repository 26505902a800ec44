//! PersistentVolumeClaims, with kubectl: provisioned, bound by hand, kept and given back.

use serde_json::{Value, json};

use crate::support::{Cluster, Guest, Kubectl, PodSpec, eventually};

fn claim(name: &str, extra: Value) -> String {
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    });
    for (key, value) in extra.as_object().expect("an object") {
        claim["spec"][key] = value.clone();
    }
    claim.to_string()
}

fn pod(name: &str, claim: &str, args: &[&str]) -> PodSpec {
    PodSpec::new(name, "files")
        .container("args", json!(args))
        .container("volumeMounts", json!([{"name": "v", "mountPath": "/v"}]))
        .with(
            "/spec/volumes",
            json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]),
        )
}

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

fn becomes(kubectl: &Kubectl, object: &str, phase: &str) {
    eventually(phase, || {
        (kubectl.field(object, ".status.phase") == phase).then_some(())
    });
}

fn gone(kubectl: &Kubectl, object: &str) {
    eventually("it is gone", || {
        (!kubectl.run(&["get", object]).success).then_some(())
    });
}

#[test]
fn a_claim_gets_a_folder_that_outlives_its_pods() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Files, "files");
    let classes = kubectl.ok(&["get", "sc"]);
    assert!(
        classes.contains("local (default)") && classes.contains("sampan.dev/local"),
        "{classes}"
    );
    kubectl.apply(&claim("data", json!({})));
    eventually("it waits for a pod", || {
        let described = kubectl.ok(&["describe", "pvc", "data"]);
        described.contains("WaitForFirstConsumer").then_some(())
    });
    assert_eq!(kubectl.field("pvc/data", ".status.phase"), "Pending");
    assert_eq!(
        ran(&kubectl, &pod("writer", "data", &["write", "/v/f", "kept"])).0,
        "0"
    );
    becomes(&kubectl, "pvc/data", "Bound");
    let volume = kubectl.field("pvc/data", ".spec.volumeName");
    becomes(&kubectl, &format!("pv/{volume}"), "Bound");
    let described = kubectl.ok(&["describe", "pvc", "data"]);
    assert!(described.contains("ProvisioningSucceeded"), "{described}");
    let row = kubectl.ok(&["get", "pvc", "data"]);
    assert!(
        row.contains("Bound") && row.contains("1Mi") && row.contains("RWO"),
        "{row}"
    );
    kubectl.ok(&["delete", "pod", "writer"]);

    // Another process, the same folder.
    let folder = cluster.kill();
    let cluster = Cluster::start_in(folder, &[]);
    assert_eq!(
        ran(&kubectl, &pod("reader", "data", &["cat", "/v/f"])),
        ("0".into(), "kept".into())
    );
    assert_eq!(
        ran(&kubectl, &pod("filler", "data", &["fill", "/v/g"])).0,
        "51",
        "1 MiB and no more"
    );

    // The claim stays while pods use it; then its volume and its folder go.
    let folder = cluster.data().join("node/volumes").join(&volume);
    assert!(folder.is_dir(), "{}", folder.display());
    kubectl.ok(&["delete", "pvc", "data", "--wait=false"]);
    assert!(kubectl.ok(&["get", "pvc", "data"]).contains("Terminating"));
    kubectl.ok(&["delete", "pod", "reader", "filler"]);
    gone(&kubectl, "pvc/data");
    gone(&kubectl, &format!("pv/{volume}"));
    assert!(!folder.exists());
    cluster.stop();
}

#[test]
fn a_claim_that_cannot_be_served_is_told_to_its_pod_at_once() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.apply(&claim("many", json!({"accessModes": ["ReadWriteMany"]})));
    kubectl.apply(&pod("waits", "many", &["cat", "/v/f"]).to_string());
    eventually("the pod says so", || {
        let described = kubectl.ok(&["describe", "pod", "waits"]);
        let why = "provisioning failed for PVC \"many\"";
        described.contains(why).then_some(())
    });
    let described = kubectl.ok(&["describe", "pvc", "many"]);
    assert!(
        described.contains("only ReadWriteOnce and ReadWriteOncePod are supported"),
        "{described}"
    );
    cluster.stop();
}

#[test]
fn an_ephemeral_volume_lives_as_long_as_its_pod() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Files, "files");
    let pod = |name: &str| {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}});
        let template = json!({"metadata": {"labels": {"of": name}}, "spec": spec});
        let volumes = json!([{"name": "own", "ephemeral": {"volumeClaimTemplate": template}}]);
        PodSpec::new(name, "files")
            .container("args", json!(["fill", "/v/f"]))
            .container("volumeMounts", json!([{"name": "own", "mountPath": "/v"}]))
            .with("/spec/volumes", volumes)
    };
    assert_eq!(ran(&kubectl, &pod("one")).0, "51", "1 MiB and no more");
    becomes(&kubectl, "pvc/one-own", "Bound");
    assert_eq!(kubectl.field("pvc/one-own", ".metadata.labels.of"), "one");
    let described = kubectl.ok(&["describe", "pod", "one"]);
    assert!(described.contains("EphemeralVolume"), "{described}");
    let volume = kubectl.field("pvc/one-own", ".spec.volumeName");
    let folder = cluster.data().join("node/volumes").join(&volume);
    assert!(folder.is_dir(), "{}", folder.display());

    // The claim keeps the pod's object, and the pod the claim, until the pod is over.
    kubectl.ok(&["delete", "pod", "one", "--cascade=foreground"]);
    gone(&kubectl, "pvc/one-own");
    gone(&kubectl, &format!("pv/{volume}"));
    assert!(!folder.exists());

    // Somebody else's claim of that name is left alone.
    kubectl.apply(&claim("two-own", json!({})));
    kubectl.apply(&pod("two").to_string());
    eventually("the pod says why it waits", || {
        let described = kubectl.ok(&["describe", "pod", "two"]);
        let why = "PVC default/two-own was not created for pod default/two (pod is not owner)";
        let told = ["FailedScheduling", "FailedBinding", why];
        told.iter()
            .all(|word| described.contains(word))
            .then_some(())
    });
    // kubectl would take the new claim, which is there at once, for the old one and wait for its end.
    kubectl.ok(&["delete", "pvc", "two-own", "--wait=false"]);
    eventually("the pod has a claim of its own", || {
        let phase = "jsonpath={.items[*].status.phase}";
        (kubectl.ok(&["get", "pvc", "-l", "of=two", "-o", phase]) == "Bound").then_some(())
    });
    kubectl.ok(&["delete", "pod", "two"]);
    gone(&kubectl, "pvc/two-own");
    cluster.stop();
}

#[test]
fn volumes_made_by_hand() {
    let host = tempfile::tempdir().expect("temp dir");
    let path = host.path().canonicalize().expect("it exists");
    let allowed = path.to_str().expect("UTF-8");
    let cluster = Cluster::start_with(&["--allow-host-path", allowed]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Files, "files");
    let volume = |name: &str, size: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": "manual", "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": path}}})
        .to_string()
    };
    kubectl.apply(&volume("large", "1Gi"));
    kubectl.apply(&volume("fitting", "10Mi"));
    becomes(&kubectl, "pv/large", "Available");
    kubectl.apply(&claim("hand", json!({"storageClassName": "manual"})));
    becomes(&kubectl, "pvc/hand", "Bound");
    assert_eq!(kubectl.field("pvc/hand", ".spec.volumeName"), "fitting");
    assert_eq!(
        kubectl.field("pvc/hand", ".status.capacity.storage"),
        "10Mi"
    );
    assert_eq!(
        ran(&kubectl, &pod("writer", "hand", &["write", "/v/f", "kept"])).0,
        "0"
    );
    kubectl.ok(&["delete", "pod", "writer"]);
    kubectl.ok(&["delete", "pvc", "hand"]);
    becomes(&kubectl, "pv/fitting", "Released");
    assert_eq!(
        std::fs::read_to_string(path.join("f")).expect("it was kept"),
        "kept"
    );
    kubectl.ok(&["delete", "pv", "fitting"]);
    gone(&kubectl, "pv/fitting");

    kubectl.apply(&claim("lonely", json!({"storageClassName": ""})));
    kubectl.apply(&pod("waiting", "lonely", &["cat", "/v/f"]).to_string());
    eventually("the pod says why", || {
        let described = kubectl.ok(&["describe", "pod", "waiting"]);
        let why = "pod has unbound immediate PersistentVolumeClaims";
        described.contains(why).then_some(())
    });
    eventually("the claim says why", || {
        let described = kubectl.ok(&["describe", "pvc", "lonely"]);
        described
            .contains("no persistent volumes available")
            .then_some(())
    });
    cluster.stop();
}
