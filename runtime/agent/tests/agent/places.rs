//! What containers are given besides their image: volumes that are not the pod's own, files, services.

use std::path::PathBuf;

use sampan_proto::v1::{ContainerConfig, Mount};
use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

/// Runs a pod with one volume, and returns what its container was made from.
async fn made(cluster: &Cluster, name: &str, volume: Value, mount: Value) -> ContainerConfig {
    let (mut volume, mut mount) = (volume, mount);
    volume["name"] = json!("v");
    mount["name"] = json!("v");
    mount["mountPath"] = json!("/v");
    let spec = json!({"volumes": [volume], "container": {"name": name, "volumeMounts": [mount]}});
    cluster.pod(name, &["run"], spec);
    cluster.until(name, "/status/phase", json!("Running")).await;
    cluster.runtime.config(name)
}

fn mount_at<'a>(config: &'a ContainerConfig, path: &str) -> &'a Mount {
    let found = config
        .mounts
        .iter()
        .find(|mount| mount.container_path == path);
    found.unwrap_or_else(|| panic!("nothing at {path}: {:?}", config.mounts))
}

#[tokio::test(flavor = "multi_thread")]
async fn host_paths_and_empty_dirs() {
    let cluster = Cluster::new();
    let new = cluster.host_folder().join("new");
    let source = json!({"hostPath": {"path": new, "type": "DirectoryOrCreate"}});
    let config = made(&cluster, "h", source, json!({"readOnly": true})).await;
    let mount = mount_at(&config, "/v");
    assert_eq!(
        (PathBuf::from(&mount.host_path), mount.readonly),
        (new.clone(), true)
    );
    assert!(new.is_dir());
    let config = made(
        &cluster,
        "e",
        json!({"emptyDir": {"sizeLimit": "1Ki"}}),
        json!({}),
    )
    .await;
    let limits: Value = serde_json::from_str(&config.annotations["sampan/volume-limits"]).unwrap();
    let path = &mount_at(&config, "/v").host_path;
    assert_eq!(limits[0], json!({"path": path, "bytes": 1024}));
    let log = &mount_at(&config, "/dev/termination-log").host_path;
    assert_eq!(limits[1], json!({"path": log, "bytes": 1 << 20}));
    // Medium Memory where there is none.
    made(
        &cluster,
        "m",
        json!({"emptyDir": {"medium": "Memory"}}),
        json!({}),
    )
    .await;
    cluster
        .event("MemoryMediumUnavailable", "\"v\" is on disk")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_mounted_by_their_id() {
    let cluster = Cluster::new();
    let source = json!({"image": {"reference": "data:v1", "pullPolicy": "IfNotPresent"}});
    let config = made(&cluster, "p", source, json!({"subPath": "a"})).await;
    let mount = mount_at(&config, "/v");
    let image = mount.image.as_ref().unwrap();
    assert_eq!(
        (image.image.as_str(), mount.image_sub_path.as_str()),
        ("sha256:data:v1", "a")
    );
    let pulled = cluster
        .event("Pulled", "Successfully pulled image \"data:v1\"")
        .await;
    assert_eq!(pulled["involvedObject"]["fieldPath"], json!(null));
    let source = json!([{"name": "v", "image": {"reference": "missing:v1"}}]);
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let spec = json!({"volumes": source, "container": {"volumeMounts": mount}});
    cluster.pod("q", &["run"], spec);
    let reason = "/status/containerStatuses/0/state/waiting/reason";
    cluster.until("q", reason, json!("ErrImagePull")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_lead_to_folders_of_the_node() {
    let cluster = Cluster::new();
    let claim = |phase: &str, volume: Value| {
        let claim = json!({"metadata": {"name": "c", "namespace": "default", "uid": "c-uid"},
            "spec": {"volumeName": volume}, "status": {"phase": phase}});
        cluster.api.put("persistentvolumeclaims", claim);
    };
    let volume = |change: Value| {
        let wanted = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]});
        let terms = json!([{"matchExpressions": [wanted]}]);
        let mut volume = json!({
            "metadata": {"name": "pv-1", "uid": "pv-uid", "finalizers": ["sampan.dev/local-volume"]},
            "spec": {"capacity": {"storage": "1Mi"}, "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {"namespace": "default", "name": "c", "uid": "c-uid"},
                "csi": {"driver": "local.sampan.dev", "volumeHandle": "pv-1"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}});
        for (field, value) in change.as_object().unwrap() {
            volume["metadata"][field] = value.clone();
        }
        cluster.api.put("persistentvolumes", volume);
    };
    claim("Pending", json!(null));
    let source = json!({"persistentVolumeClaim": {"claimName": "c"}});
    let (first, second) = (source.clone(), source);
    let volumes = json!([{"name": "v", "persistentVolumeClaim": first["persistentVolumeClaim"]}]);
    cluster.pod("early", &["run"], json!({ "volumes": volumes }));
    cluster.event("FailedMount", "\"c\" is not bound").await;
    claim("Bound", json!("pv-1"));
    volume(json!({}));
    let config = made(&cluster, "p", second, json!({})).await;
    let folder = cluster
        .dir
        .path()
        .canonicalize()
        .unwrap()
        .join("volumes/pv-1");
    assert_eq!(PathBuf::from(&mount_at(&config, "/v").host_path), folder);
    assert!(config.annotations["sampan/volume-limits"].contains("1048576"));
    std::fs::write(folder.join("f"), "kept").unwrap();
    cluster
        .until("early", "/status/phase", json!("Running"))
        .await;
    cluster.api.delete("pods", "default", "p", 1);
    let gone = eventually(|| cluster.get("p").is_null().then_some(())).await;
    assert!(gone.is_some() && folder.join("f").exists());

    // Deleted, but a claim is bound to it; then not any more.
    let deleted = json!("2026-01-01T00:00:00Z");
    let finalizers = json!(["kubernetes.io/pv-protection", "sampan.dev/local-volume"]);
    volume(json!({"deletionTimestamp": deleted, "finalizers": finalizers}));
    volume(json!({"deletionTimestamp": deleted}));
    let released = eventually(|| {
        let volume = cluster.api.get("persistentvolumes", "", "pv-1")?;
        (volume["metadata"]["finalizers"] == json!([])).then_some(())
    });
    assert!(released.await.is_some());
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_volume_is_a_claim_made_for_its_pod() {
    let cluster = Cluster::new();
    let put = |owners: Value| {
        let claim = json!({"metadata": {"name": "p-v", "namespace": "default", "uid": "c-uid", "ownerReferences": owners},
            "spec": {"volumeName": "pv-1"}, "status": {"phase": "Bound"}});
        cluster.api.put("persistentvolumeclaims", claim);
    };
    let owner = |uid: &Value| json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": true}]);
    put(owner(&json!("of another pod")));
    let volume = json!({"metadata": {"name": "pv-1"},
        "spec": {"claimRef": {"namespace": "default", "name": "p-v", "uid": "c-uid"},
            "csi": {"driver": "local.sampan.dev", "volumeHandle": "pv-1"}}});
    cluster.api.put("persistentvolumes", volume);
    let volumes = json!([{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]);
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    let spec = json!({"volumes": volumes, "container": {"name": "own", "volumeMounts": mounts}});
    let pod = cluster.pod("p", &["run"], spec);
    let why = "PVC default/p-v was not created for pod default/p (pod is not owner)";
    cluster.event("FailedMount", why).await;
    put(owner(&pod["metadata"]["uid"]));
    cluster.until("p", "/status/phase", json!("Running")).await;
    let config = cluster.runtime.config("own");
    let folder = cluster.dir.path().canonicalize().unwrap();
    let mounted = PathBuf::from(&mount_at(&config, "/v").host_path);
    assert_eq!(mounted, folder.join("volumes/pv-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_another_node_is_not_replaced_by_an_empty_folder() {
    let cluster = Cluster::new();
    let labelled = eventually(|| cluster.api.get("nodes", "", "n1"));
    let mut node = labelled.await.unwrap();
    node["metadata"]["labels"]["zone"] = json!("a");
    cluster.api.put("nodes", node);
    let pod = |name: &str, key: &str, value: &str| {
        let wanted = json!({"key": key, "operator": "In", "values": [value]});
        let terms = json!([{"matchExpressions": [wanted]}]);
        let uid = format!("{name}-claim");
        let volume = json!({"metadata": {"name": name},
            "spec": {"claimRef": {"namespace": "default", "name": name, "uid": uid},
                "csi": {"driver": "local.sampan.dev", "volumeHandle": name},
                "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}});
        cluster.api.put("persistentvolumes", volume);
        let claim = json!({"metadata": {"name": name, "namespace": "default", "uid": uid},
            "spec": {"volumeName": name}, "status": {"phase": "Bound"}});
        cluster.api.put("persistentvolumeclaims", claim);
        let volumes = json!([{"name": name, "persistentVolumeClaim": {"claimName": name}}]);
        cluster.pod(name, &["run"], json!({ "volumes": volumes }));
    };
    pod("elsewhere", "kubernetes.io/hostname", "n2");
    pod("zone-b", "zone", "b");
    pod("zone-a", "zone", "a");
    for name in ["elsewhere", "zone-b"] {
        let text = format!("volume \"{name}\" : NodeAffinity check failed");
        cluster.event("FailedMount", &text).await;
        assert!(!cluster.dir.path().join("volumes").join(name).exists());
    }
    cluster
        .until("zone-a", "/status/phase", json!("Running"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_hosts() {
    let cluster = Cluster::new();
    let service = |namespace: &str, name: &str, ip: &str| {
        let spec = json!({"clusterIP": ip, "ports": [{"port": 80, "protocol": "TCP"}]});
        let metadata = json!({"name": name, "namespace": namespace});
        cluster
            .api
            .put("services", json!({"metadata": metadata, "spec": spec}));
    };
    service("default", "web", "10.0.0.2");
    service("default", "kubernetes", "10.0.0.1");
    service("other", "db", "10.0.0.3");
    let value = |config: &ContainerConfig, name: &str| {
        let found = config.envs.iter().find(|variable| variable.key == name)?;
        Some(String::from_utf8(found.value.clone()).unwrap())
    };
    // The watch of services may be a moment behind: then the next container has them.
    let mut number = 0;
    let config = loop {
        number += 1;
        let name = format!("p{number}");
        let config = made(&cluster, &name, json!({"emptyDir": {}}), json!({})).await;
        if value(&config, "WEB_SERVICE_HOST").is_some() {
            break config;
        }
        assert!(number < 100, "{:?}", config.envs);
    };
    assert_eq!(
        value(&config, "WEB_PORT").as_deref(),
        Some("tcp://10.0.0.2:80")
    );
    assert_eq!(
        value(&config, "KUBERNETES_SERVICE_HOST").as_deref(),
        Some("10.0.0.1")
    );
    assert_eq!(value(&config, "DB_SERVICE_HOST"), None);
    let hosts = mount_at(&config, "/etc/hosts");
    assert!(hosts.readonly);
    let text = std::fs::read_to_string(&hosts.host_path).unwrap();
    let name = format!("p{number}");
    let ip = cluster.get(&name)["status"]["podIP"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains(&format!("{ip}\t{name}\n")), "{text}");
    let own = json!({"mountPath": "/etc"});
    let spec = json!({"volumes": [{"name": "v", "emptyDir": {}}],
        "container": {"name": "own", "volumeMounts": [{"name": "v", "mountPath": own["mountPath"]}]}});
    cluster.pod("own", &["run"], spec);
    cluster
        .until("own", "/status/phase", json!("Running"))
        .await;
    let mounts = cluster.runtime.config("own").mounts;
    assert!(
        mounts
            .iter()
            .all(|mount| mount.container_path != "/etc/hosts")
    );
}
