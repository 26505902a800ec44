//! Nodes that exist in the API only. They say what a kubelet would: they stay Ready, their pods run at once and end when told to.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

const HEARTBEAT: Duration = Duration::from_secs(10);

/// Hollow nodes; they vanish from this process, not from the API, when dropped.
pub(crate) struct HollowNodes {
    _runtime: tokio::runtime::Runtime,
}

impl HollowNodes {
    pub(crate) fn start(names: &[&str], cluster: &crate::support::Cluster) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(cluster.client());
        for (index, name) in names.iter().enumerate() {
            runtime.block_on(register(&client, name, index));
            runtime.spawn(heartbeat(client.clone(), name.to_string()));
            runtime.spawn(keep_pods(client.clone(), name.to_string()));
        }
        Self { _runtime: runtime }
    }
}

async fn register(client: &kube::Client, name: &str, index: usize) {
    let nodes = Api::<Node>::all(client.clone());
    let labels = json!({"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
    let node: Node = serde_json::from_value(node).expect("a Node");
    nodes
        .create(&PostParams::default(), &node)
        .await
        .expect("the node registers");
    let ready = |kind: &str, status: &str| {
        let now = jiff::Timestamp::now();
        json!({"type": kind, "status": status, "reason": "Hollow", "message": "exists in the API only", "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let room = json!({"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "1000"});
    let status = json!({"status": {
        "capacity": room, "allocatable": room,
        "conditions": [ready("Ready", "True"), ready("MemoryPressure", "False"), ready("DiskPressure", "False"), ready("PIDPressure", "False")],
        "addresses": [{"type": "InternalIP", "address": format!("192.0.2.{}", index + 1)}, {"type": "Hostname", "address": name}],
    }});
    patch_status(&nodes, name, &status)
        .await
        .expect("the node becomes Ready");
}

async fn patch_status<K>(api: &Api<K>, name: &str, patch: &Value) -> kube::Result<K>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
}

/// Renews the node's lease, as a kubelet does: controllers go by it.
async fn heartbeat(client: kube::Client, name: String) {
    let leases = Api::<Lease>::namespaced(client, "kube-node-lease");
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        let mut lease = Lease::default();
        lease.metadata.name = Some(name.clone());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(name.clone());
        spec.lease_duration_seconds = Some(40);
        spec.renew_time = Some(MicroTime(jiff::Timestamp::now()));
        let renewed = json!({"spec": lease.spec});
        let patched = leases
            .patch(&name, &PatchParams::default(), &Patch::Merge(&renewed))
            .await;
        if patched.is_err() {
            // The first time there is none; afterwards the next tick tries again.
            let _ = leases.create(&PostParams::default(), &lease).await;
        }
    }
}

/// Says that the node's pods run, and that those to be deleted have ended.
async fn keep_pods(client: kube::Client, node: String) {
    let mine = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let pods = watcher(Api::<Pod>::all(client.clone()), mine)
        .default_backoff()
        .touched_objects();
    let mut pods = std::pin::pin!(pods);
    let mut address = 0u32;
    while let Some(pod) = pods.next().await {
        let Ok(pod) = pod else { continue };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let api = Api::<Pod>::namespaced(client.clone(), namespace);
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        if pod.metadata.deletion_timestamp.is_some() {
            let now = DeleteParams::default().grace_period(0);
            // It may be gone already.
            let _ = api.delete(name, &now).await;
        } else if phase == Some("Pending") {
            address += 1;
            // A pod that changed meanwhile comes by again.
            let _ = patch_status(&api, name, &running(&pod, address)).await;
        }
    }
}

fn running(pod: &Pod, address: u32) -> Value {
    let now = jiff::Timestamp::now();
    let spec = pod.spec.clone().unwrap_or_default();
    let containers: Vec<Value> = spec
        .containers
        .iter()
        .map(|container| {
            json!({
                "name": container.name, "image": container.image, "imageID": "hollow", "containerID": "hollow://1",
                "ready": true, "started": true, "restartCount": 0, "state": {"running": {"startedAt": now}},
            })
        })
        .collect();
    let conditions: Vec<Value> = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .iter()
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": now}))
        .collect();
    let ip = std::net::Ipv4Addr::from(u32::from(std::net::Ipv4Addr::new(10, 200, 0, 0)) + address);
    json!({"status": {
        "phase": "Running", "startTime": now, "hostIP": "192.0.2.1", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": conditions, "containerStatuses": containers,
    }})
}
