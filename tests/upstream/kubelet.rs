//! A real kubelet joins: with a node's credentials, and Kubernetes' own fake container runtime below it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::programs::{self, Daemon};
use crate::support::{Cluster, Kubectl, Program, eventually, have};

const NODE: &str = "edge";
/// Longer than a node whose lease is not renewed stays Ready.
const LONG: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// Nothing but what this machine may lack: no cgroups of its own, swap, whichever cgroup version.
fn configuration(folder: &Path, port: u16) -> String {
    let socket = folder.join("cri.sock");
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": "127.0.0.1", "port": port, "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": format!("unix://{}", socket.display()),
        "cgroupDriver": "cgroupfs", "cgroupsPerQOS": false, "enforceNodeAllocatable": [],
        "failSwapOn": false, "failCgroupV1": false, "localStorageCapacityIsolation": false,
        // It would leave chains in the packet filter of whoever runs this.
        "makeIPTablesUtilChains": false,
    });
    let file = folder.join("kubelet.json");
    std::fs::write(&file, configuration.to_string()).expect("write");
    file.to_str().expect("UTF-8").to_string()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_kubelet_registers_and_stays_ready() {
    let root = rustix::process::geteuid().is_root();
    if !have("root, for a kubelet", root) {
        return;
    }
    let Some([kubelet, fakecri]) = programs::find(["kubelet", "fakecri"]) else {
        return;
    };
    let cluster = Cluster::serve(&["--node-name", NODE]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let folder = cluster.folder.path();
    let _runtime = Daemon::start(
        Command::new(fakecri).arg(format!("unix://{}", folder.join("cri.sock").display())),
        folder,
    );
    eventually("the runtime listens", || {
        folder.join("cri.sock").exists().then_some(())
    });
    let mut command = Command::new(kubelet);
    command
        .arg(format!("--config={}", configuration(folder, free_port())))
        .arg(format!(
            "--kubeconfig={}",
            cluster.data().join("agent.kubeconfig").display()
        ))
        .arg(format!("--root-dir={}", folder.join("kubelet").display()))
        .arg(format!("--hostname-override={NODE}"));
    let mut kubelet = Daemon::start(&mut command, folder);

    eventually("the node registers", || {
        kubectl.run(&["get", "node", NODE]).success.then_some(())
    });
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "node/edge",
        "--timeout=60s",
    ]);
    let version = kubectl.field("node/edge", ".status.nodeInfo.kubeletVersion");
    assert!(version.starts_with("v1.36."), "{version}");
    stays_ready(&kubectl);
    kubelet.still_runs();
    let log = kubelet.log();
    let refused: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("forbidden"))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    drop(kubelet);
    cluster.stop();
}

/// Its lease goes on being renewed, and long afterwards nobody doubts it.
fn stays_ready(kubectl: &Kubectl) {
    let created = kubectl.field("node/edge", ".metadata.creationTimestamp");
    let created: jiff::Timestamp = created.parse().expect("a time");
    eventually("it has a lease", || {
        let lease = ["get", "lease", NODE, "-n", "kube-node-lease"];
        kubectl.run(&lease).success.then_some(())
    });
    let lease = [
        "get",
        "lease",
        NODE,
        "-n",
        "kube-node-lease",
        "--watch",
        "-o",
        "jsonpath={.spec.renewTime}{\"\\n\"}",
    ];
    let mut renewals: Program = kubectl.start(&lease);
    let mut count = 0;
    loop {
        let renewed: jiff::Timestamp = renewals.wait_for("Z").trim().parse().expect("a time");
        count += 1;
        if renewed.duration_since(created) > LONG {
            break;
        }
    }
    assert!(count > 4, "renewed {count} times");
    assert_eq!(
        kubectl.field("node/edge", ".status.conditions[?(@.type=='Ready')].status"),
        "True"
    );
    assert_eq!(kubectl.field("node/edge", ".spec.taints"), "");
}
