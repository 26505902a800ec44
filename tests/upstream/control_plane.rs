//! kube-controller-manager and kube-scheduler, unmodified and with their default protobuf, on a server whose own loops are off.

use crate::hollow::HollowNodes;
use crate::programs;
use crate::support::{Cluster, eventually};

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: 'web:1', resources: {requests: {cpu: 100m}}}
";

const BUDGET_AND_SERVICE: &str = r"
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
";

#[test]
fn upstreams_controllers_and_scheduler_run_a_deployment() {
    let names = ["kube-controller-manager", "kube-scheduler"];
    let Some([controller_manager, scheduler]) = programs::find(names) else {
        return;
    };
    let cluster = Cluster::serve(&["--controllers=", "--scheduler=false"]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let folder = cluster.folder.path();
    let mut controller_manager =
        programs::controller_manager(&controller_manager, &cluster, "*", folder);
    let mut scheduler = programs::scheduler(&scheduler, &cluster, folder);
    let nodes = HollowNodes::start(&["hollow-1", "hollow-2"], &cluster);

    kubectl.ok(&["create", "namespace", "shop"]);
    kubectl.apply(BUDGET_AND_SERVICE);
    kubectl.apply(DEPLOYMENT);
    let rolled_out = || {
        kubectl.ok(&[
            "rollout",
            "status",
            "-n",
            "shop",
            "deployment/web",
            "--timeout=120s",
        ])
    };
    rolled_out();
    let bound = || {
        let path = "jsonpath={range .items[*]}{.spec.nodeName} {end}";
        let bound = kubectl.ok(&["get", "pods", "-n", "shop", "-l", "app=web", "-o", path]);
        bound
            .split_whitespace()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let places = bound();
    assert_eq!(places.len(), 3, "{places:?}");
    // Spread, as the scheduler's defaults have it.
    assert!(places.iter().any(|place| place != &places[0]), "{places:?}");

    let in_shop = |object: &str, path: &str| {
        kubectl.ok(&[
            "get",
            "-n",
            "shop",
            object,
            "-o",
            &format!("jsonpath={{{path}}}"),
        ])
    };
    eventually("the disruption budget counts them", || {
        (in_shop("pdb/web", ".status.currentHealthy") == "3").then_some(())
    });
    eventually("the Service has its endpoints", || {
        let slices = in_shop("endpointslices", ".items[*].endpoints[*].addresses[0]");
        (slices.split_whitespace().count() == 3).then_some(())
    });

    kubectl.ok(&["scale", "-n", "shop", "deployment/web", "--replicas=5"]);
    rolled_out();
    assert_eq!(bound().len(), 5);
    kubectl.ok(&["set", "image", "-n", "shop", "deployment/web", "web=web:2"]);
    rolled_out();
    eventually("only the new ones are left", || {
        let images = in_shop("pods", ".items[*].spec.containers[0].image");
        (images == ["web:2"; 5].join(" ")).then_some(())
    });
    kubectl.ok(&["rollout", "undo", "-n", "shop", "deployment/web"]);
    rolled_out();
    assert_eq!(
        in_shop("deployment/web", ".spec.template.spec.containers[0].image"),
        "web:1"
    );
    kubectl.ok(&["scale", "-n", "shop", "deployment/web", "--replicas=1"]);
    eventually("one is left", || (bound().len() == 1).then_some(()));

    kubectl.ok(&["delete", "namespace", "shop", "--timeout=120s"]);
    let left = kubectl.ok(&[
        "get",
        "pods,services,deployments,replicasets,endpointslices,configmaps,serviceaccounts",
        "-n",
        "shop",
        "-o",
        "name",
    ]);
    assert_eq!(left, "");
    controller_manager.still_runs();
    scheduler.still_runs();
    drop(nodes);
    cluster.stop();
}
