//! The Python client, and upstream's JSON schemas as an oracle for what the server gives out: `client.py`.

use std::process::Command;

use crate::programs;
use crate::support::{Cluster, have, repository};

#[test]
fn the_python_client() {
    let python = programs::cache().join("upstream/bin/python");
    if !have(
        "Python's kubernetes and kubernetes-validate (build.sh python)",
        python.is_file(),
    ) {
        return;
    }
    let cluster = Cluster::serve(&[]);
    let output = Command::new(python)
        .arg(repository().join("tests/upstream/client.py"))
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .expect("python runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    cluster.stop();
}
