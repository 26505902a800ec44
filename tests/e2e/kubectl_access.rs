//! Who may do what, asked and tried with kubectl: reviews, impersonation, tokens and certificates.

use std::process::Command;

use crate::support::{Cluster, have, which};

#[test]
fn impersonation_and_reviews() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let whoami = kubectl.ok(&[
        "auth",
        "whoami",
        "-o",
        "jsonpath={.status.userInfo.username}",
    ]);
    assert_eq!(whoami, "kubernetes-admin");
    let other = kubectl.ok(&["auth", "whoami", "--as=jane", "--as-group=team"]);
    assert!(other.contains("jane") && other.contains("team"), "{other}");
    assert_eq!(
        kubectl.ok(&["auth", "can-i", "create", "pods"]).trim(),
        "yes"
    );
    let may = |verb: &str, what: &str| {
        let ran = kubectl.run(&["auth", "can-i", verb, what, "--as=jane"]);
        ran.stdout.trim().to_owned()
    };
    assert_eq!(may("list", "pods"), "no");
    let refused = kubectl.fails(&["get", "pods", "--as=jane"]);
    let why = "User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
    assert!(
        refused.contains("Forbidden") && refused.contains(why),
        "{refused}"
    );
    kubectl.ok(&[
        "create",
        "role",
        "reader",
        "--verb=get,list",
        "--resource=pods",
    ]);
    kubectl.ok(&[
        "create",
        "rolebinding",
        "jane",
        "--role=reader",
        "--user=jane",
    ]);
    assert_eq!(may("list", "pods"), "yes");
    assert_eq!(may("delete", "pods"), "no");
    kubectl.ok(&["get", "pods", "--as=jane"]);
    assert!(
        kubectl
            .fails(&["get", "pods", "-A", "--as=jane"])
            .contains("at the cluster scope")
    );
    let list = kubectl.ok(&["auth", "can-i", "--list", "--as=jane"]);
    let pods = list
        .lines()
        .find(|line| line.starts_with("pods "))
        .expect(&list);
    assert!(pods.contains("[get list]"), "{list}");
    // Nobody gives away more than they have.
    kubectl.ok(&[
        "create",
        "role",
        "binder",
        "--verb=create",
        "--resource=roles.rbac.authorization.k8s.io",
    ]);
    kubectl.ok(&[
        "create",
        "rolebinding",
        "binder",
        "--role=binder",
        "--user=jane",
    ]);
    let more = [
        "create",
        "role",
        "all",
        "--verb=*",
        "--resource=secrets",
        "--as=jane",
    ];
    assert!(
        kubectl
            .fails(&more)
            .contains("attempting to grant RBAC permissions not currently held")
    );
    cluster.stop();
}

#[test]
fn a_token_is_its_service_account() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["create", "serviceaccount", "robot"]);
    let token = kubectl.ok(&["create", "token", "robot"]);
    let token = format!("--token={}", token.trim());
    // Without the certificate the kubeconfig has for the administrator.
    let server = format!("--server={}", cluster.url);
    let empty = cluster.folder.path().join("empty");
    let mut call = kubectl.command(&[
        "auth",
        "whoami",
        &server,
        "--insecure-skip-tls-verify",
        &token,
    ]);
    call.env("KUBECONFIG", &empty);
    let whoami = kubectl.run_command(call, &["auth", "whoami"]).ok();
    assert!(
        whoami.contains("system:serviceaccount:default:robot"),
        "{whoami}"
    );
    cluster.stop();
}

#[test]
fn certificates_are_approved_or_denied() {
    if !have("openssl", which("openssl").is_some()) {
        return;
    }
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let made = Command::new("openssl")
        .args([
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=jane",
        ])
        .args(["-keyout", "key.pem", "-out", "-"])
        .current_dir(cluster.folder.path())
        .output()
        .expect("openssl runs");
    let encoded = Command::new("base64")
        .arg("-w0")
        .arg({
            let file = cluster.folder.path().join("csr.pem");
            std::fs::write(&file, &made.stdout).expect("written");
            file
        })
        .output()
        .expect("base64 runs");
    let request = String::from_utf8(encoded.stdout).expect("text");
    for name in ["good", "bad"] {
        kubectl.apply(&format!(
            "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {{name: {name}}}\n\
             spec: {{request: {request}, signerName: example.com/signer, usages: [client auth]}}\n"
        ));
    }
    kubectl.ok(&["certificate", "approve", "good"]);
    kubectl.ok(&["certificate", "deny", "bad"]);
    let table = kubectl.ok(&["get", "csr"]);
    let condition = |name: &str| {
        let row = table
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a row");
        row.split_whitespace().last().expect("a cell").to_owned()
    };
    assert_eq!(
        (condition("good"), condition("bad")),
        ("Approved".into(), "Denied".into())
    );
    let twice = kubectl.fails(&["certificate", "deny", "good"]);
    assert!(twice.contains("Approved"), "{twice}");
    cluster.stop();
}
