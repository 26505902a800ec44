//! kubectl's generators: each sends what it makes in protobuf, and each kind is stored as it was meant.

use std::process::Command;

use crate::support::{Cluster, have, which};

/// Arguments of `create`, the object, and a field that shows it was understood.
const GENERATED: [(&[&str], &str, &str, &str); 24] = [
    (
        &[
            "deployment",
            "x",
            "--image=app:v1",
            "--replicas=2",
            "--port=80",
        ],
        "deployment/x",
        ".spec.template.spec.containers[0].ports[0].containerPort",
        "80",
    ),
    (
        &["job", "x", "--image=app:v1"],
        "job/x",
        ".spec.template.spec.restartPolicy",
        "Never",
    ),
    (
        &["cronjob", "x", "--image=app:v1", "--schedule=*/5 * * * *"],
        "cronjob/x",
        ".spec.schedule",
        "*/5 * * * *",
    ),
    (
        &["job", "copy", "--from=cronjob/x"],
        "job/copy",
        ".metadata.ownerReferences[0].name",
        "x",
    ),
    (
        &["quota", "x", "--hard=pods=30"],
        "quota/x",
        ".spec.hard.pods",
        "30",
    ),
    (
        &["role", "x", "--verb=get", "--resource=pods"],
        "role/x",
        ".rules[0].resources[0]",
        "pods",
    ),
    (
        &["clusterrole", "x", "--verb=get", "--non-resource-url=/logs"],
        "clusterrole/x",
        ".rules[0].nonResourceURLs[0]",
        "/logs",
    ),
    (
        &["rolebinding", "x", "--role=x", "--user=jane"],
        "rolebinding/x",
        ".subjects[0].name",
        "jane",
    ),
    (
        &["clusterrolebinding", "x", "--clusterrole=x", "--group=g"],
        "clusterrolebinding/x",
        ".subjects[0].kind",
        "Group",
    ),
    (
        &["secret", "generic", "x", "--from-literal=a=b"],
        "secret/x",
        ".data.a",
        "Yg==",
    ),
    (
        &[
            "secret",
            "docker-registry",
            "pull",
            "--docker-username=u",
            "--docker-password=p",
            "--docker-server=s",
        ],
        "secret/pull",
        ".type",
        "kubernetes.io/dockerconfigjson",
    ),
    (
        &["service", "clusterip", "x", "--tcp=80:8080"],
        "service/x",
        ".spec.ports[0].targetPort",
        "8080",
    ),
    (
        &["service", "nodeport", "np", "--tcp=80"],
        "service/np",
        ".spec.type",
        "NodePort",
    ),
    (
        &["service", "loadbalancer", "lb", "--tcp=80"],
        "service/lb",
        ".spec.type",
        "LoadBalancer",
    ),
    (
        &["service", "externalname", "en", "--external-name=a.b"],
        "service/en",
        ".spec.externalName",
        "a.b",
    ),
    (
        &["ingress", "x", "--rule=a.b/path*=x:80", "--class=c"],
        "ingress/x",
        ".spec.rules[0].http.paths[0].pathType",
        "Prefix",
    ),
    (
        &["pdb", "x", "--selector=app=web", "--min-available=50%"],
        "pdb/x",
        ".spec.minAvailable",
        "50%",
    ),
    (
        &["priorityclass", "x", "--value=100"],
        "priorityclass/x",
        ".value",
        "100",
    ),
    (
        &["serviceaccount", "x"],
        "serviceaccount/x",
        ".metadata.name",
        "x",
    ),
    (
        &["namespace", "x"],
        "namespace/x",
        ".spec.finalizers[0]",
        "kubernetes",
    ),
    (
        &["configmap", "x", "--from-literal=a=b"],
        "configmap/x",
        ".data.a",
        "b",
    ),
    (
        &["deployment", "cmd", "--image=i", "--", "echo", "hi"],
        "deployment/cmd",
        ".spec.template.spec.containers[0].command[1]",
        "hi",
    ),
    (
        &[
            "secret",
            "generic",
            "ssh",
            "--type=kubernetes.io/ssh-auth",
            "--from-literal=ssh-privatekey=k",
        ],
        "secret/ssh",
        ".type",
        "kubernetes.io/ssh-auth",
    ),
    (
        &[
            "service",
            "clusterip",
            "headless",
            "--clusterip=None",
            "--tcp=80",
        ],
        "service/headless",
        ".spec.clusterIP",
        "None",
    ),
];

#[test]
fn generators() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    // The other kubectl makes them in a namespace of their own.
    kubectl.ok(&["create", "namespace", "newer"]);
    let others = kubectl.newer().map(|newer| (newer, "newer"));
    for (kubectl, namespace) in std::iter::once((kubectl.clone(), "default")).chain(others) {
        let call = |args: &[&str]| {
            let mut all = vec!["-n", namespace];
            all.extend(args);
            kubectl.ok(&all)
        };
        for (args, object, path, expect) in GENERATED {
            let mut create = vec!["create"];
            create.extend(args);
            if namespace == "newer" && !namespaced(object) {
                call(&["delete", object]);
            }
            let created = call(&create);
            assert!(created.contains(" created"), "{created}");
            let field = format!("jsonpath={{{path}}}");
            assert_eq!(call(&["get", object, "-o", &field]), expect, "{object}");
        }
        let token = call(&[
            "create",
            "token",
            "x",
            "--duration=1h",
            "--audience=someone",
        ]);
        assert_eq!(token.matches('.').count(), 2, "{token}");
        call(&[
            "run",
            "one",
            "--image=app:v1",
            "--restart=Never",
            "--env=A=1",
            "--labels=a=b",
        ]);
        let env = call(&[
            "get",
            "pod",
            "one",
            "-o",
            "jsonpath={.spec.containers[0].env[0].value}",
        ]);
        assert_eq!(env, "1");
        call(&["expose", "deployment", "x", "--name=exposed", "--port=80"]);
        let selector = call(&[
            "get",
            "svc",
            "exposed",
            "-o",
            "jsonpath={.spec.selector.app}",
        ]);
        assert_eq!(selector, "x");
        call(&[
            "autoscale",
            "deployment",
            "x",
            "--min=1",
            "--max=3",
            "--cpu-percent=80",
        ]);
        let scaler = call(&["get", "hpa", "x", "-o", "jsonpath={.spec.maxReplicas}"]);
        assert_eq!(scaler, "3");
    }
    cluster.stop();
}

fn namespaced(object: &str) -> bool {
    let cluster_wide = [
        "clusterrole",
        "clusterrolebinding",
        "priorityclass",
        "namespace",
    ];
    !cluster_wide
        .iter()
        .any(|kind| object.split('/').next() == Some(kind))
}

#[test]
fn a_tls_secret_holds_a_pair() {
    if !have("openssl", which("openssl").is_some()) {
        return;
    }
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let folder = cluster.folder.path();
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(made.status.success());
    let option = |name: &str, file: &str| format!("--{name}={}", folder.join(file).display());
    let (cert, key) = (option("cert", "cert.pem"), option("key", "key.pem"));
    kubectl.ok(&["create", "secret", "tls", "pair", &cert, &key]);
    assert_eq!(kubectl.field("secret/pair", ".type"), "kubernetes.io/tls");
    let half = [
        "create",
        "secret",
        "generic",
        "half",
        "--type=kubernetes.io/tls",
        "--from-literal=tls.crt=x",
    ];
    let refused = kubectl.fails(&half);
    assert!(
        refused.contains("data[tls.key]: Required value"),
        "{refused}"
    );
    cluster.stop();
}

#[test]
fn dry_runs_and_validation() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let dry = [
        "create",
        "deployment",
        "x",
        "--image=i",
        "--dry-run=server",
        "-o",
        "yaml",
    ];
    let shown = kubectl.ok(&dry);
    assert!(
        shown.contains("uid:") && shown.contains("image: i"),
        "{shown}"
    );
    assert!(
        kubectl
            .fails(&["get", "deployment", "x"])
            .contains("not found")
    );
    let typo = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndatta: {}\n";
    let create = |flag: &str| kubectl.with_input(&["create", "-f", "-", flag], typo);
    let strict = create("--validate=strict");
    assert!(
        !strict.success && strict.stderr.contains("unknown field \"datta\""),
        "{strict:?}"
    );
    let warned = create("--validate=warn");
    assert!(
        warned.success && warned.stderr.contains("Warning: unknown field"),
        "{warned:?}"
    );
    kubectl.ok(&["delete", "configmap", "c"]);
    let ignored = create("--validate=ignore");
    assert!(ignored.success && ignored.stderr.is_empty(), "{ignored:?}");
    cluster.stop();
}
