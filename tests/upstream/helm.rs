//! helm with a chart that has a Deployment, a ConfigMap and a hook; the containers are Wasm, the controllers upstream's.

use std::path::Path;
use std::process::Command;

use crate::programs;
use crate::support::{Cluster, Guest, Kubectl, eventually};

/// What kube-controller-manager adds to our own controllers.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,job-controller";

const CHART: &str = "{apiVersion: v2, name: shop, version: 0.1.0}";
const VALUES: &str = "{replicas: 1, colour: red}";
const TEMPLATES: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-colour}
data: {colour: {{ .Values.colour }}, revision: "{{ .Release.Revision }}"}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {app: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
      annotations: {colour: {{ .Values.colour }}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: server}]
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook-{{ .Release.Revision }}
  annotations: {"helm.sh/hook": "post-install,post-upgrade,post-rollback"}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: hello}]
"#;

struct Helm<'a> {
    program: &'a Path,
    cluster: &'a Cluster,
}

impl Helm<'_> {
    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = Command::new(self.program)
            .args(args)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("HOME", self.cluster.folder.path())
            .output()
            .expect("helm runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "helm {args:?}: {out}{err}");
        out
    }
}

fn write_chart(folder: &Path) -> String {
    let chart = folder.join("chart");
    std::fs::create_dir_all(chart.join("templates")).expect("a folder");
    std::fs::write(chart.join("Chart.yaml"), CHART).expect("write");
    std::fs::write(chart.join("values.yaml"), VALUES).expect("write");
    std::fs::write(chart.join("templates/all.yaml"), TEMPLATES).expect("write");
    chart.to_str().expect("UTF-8").to_string()
}

#[test]
fn a_chart_by_server_side_apply() {
    from_install_to_uninstall("--server-side=true");
}

/// As helm 3 does it.
#[test]
fn a_chart_by_patches() {
    from_install_to_uninstall("--server-side=false");
}

#[track_caller]
fn from_install_to_uninstall(way: &str) {
    let Some([helm, controller_manager]) = programs::find(["helm", "kube-controller-manager"])
    else {
        return;
    };
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let folder = cluster.folder.path();
    let _controllers =
        programs::controller_manager(&controller_manager, &cluster, CONTROLLERS, folder);
    cluster.push(Guest::Hello, "hello");
    cluster.push(Guest::Sleep, "server");
    let chart = write_chart(folder);
    let helm = Helm {
        program: &helm,
        cluster: &cluster,
    };

    let run = |args: &[&str]| helm.ok(&[args, &["--wait", "--timeout=120s"]].concat());
    run(&["install", "shop", &chart, way]);
    check(&kubectl, "red", "1");
    run(&[
        "upgrade",
        "shop",
        &chart,
        way,
        "--set=colour=blue,replicas=2",
    ]);
    check(&kubectl, "blue", "2");
    run(&["rollback", "shop", "1", way]);
    check(&kubectl, "red", "1");
    let history = helm.ok(&["history", "shop"]);
    assert!(history.contains("Rollback to 1"), "{history}");

    run(&["uninstall", "shop"]);
    eventually("nothing of it is left but its hooks", || {
        let kinds = "deployments,replicasets,pods,configmaps,secrets";
        let left = kubectl.ok(&["get", kinds, "-l", "app=shop", "-o", "name"]);
        left.is_empty().then_some(())
    });
    let releases = helm.ok(&["list", "--short"]);
    assert_eq!(releases.trim(), "");
    cluster.stop();
}

/// The chart's objects as revision 1 or 2 renders them.
#[track_caller]
fn check(kubectl: &Kubectl, colour: &str, revision: &str) {
    assert_eq!(
        kubectl.field("configmap/shop-colour", ".data.colour"),
        colour
    );
    assert_eq!(
        kubectl.field("configmap/shop-colour", ".data.revision"),
        revision
    );
    // Revision 1 has one replica, revision 2 two.
    assert_eq!(
        kubectl.field("deployment/shop", ".status.readyReplicas"),
        revision
    );
    assert_eq!(
        kubectl.field(&format!("job/shop-hook-{revision}"), ".status.succeeded"),
        "1"
    );
}
