//! Upstream's conformance tests that need no containers, by feature: `conformance.tsv` lists them.
//!
//! `CONFORMANCE` names the features to run (`1-10,18`), or `all`; without it nothing runs, since it takes minutes.
//! `CONFORMANCE_FOCUS` narrows them to tests whose name holds a text.

mod list;
mod report;

use std::path::PathBuf;
use std::process::Command;

use crate::hollow::HollowNodes;
use crate::programs::{self, Daemon};
use crate::support::{Cluster, have};

use list::Features;

/// Tests mostly wait; so many at a time keep two cores busy.
const PROCESSES: usize = 6;

/// kube-controller-manager does what ours do not yet.
const CONTROLLERS: &str = "*,-ephemeral-volume-controller,-garbage-collector-controller,-namespace-controller,-node-lifecycle-controller,\
    -pod-garbage-collector-controller,-root-ca-certificate-publisher-controller,-serviceaccount-controller";

#[test]
fn conformance() {
    let asked = std::env::var("CONFORMANCE").unwrap_or_default();
    if !have(
        "CONFORMANCE=all, or =1-10,18: the features to run",
        !asked.is_empty(),
    ) {
        return;
    }
    let programs = [
        "e2e.test",
        "ginkgo",
        "kube-controller-manager",
        "kubectl-1.36",
    ];
    let Some([suite, ginkgo, controller_manager, kubectl]) = programs::find(programs) else {
        return;
    };
    let mut tests = list::read(&Features::parse(&asked));
    if let Ok(text) = std::env::var("CONFORMANCE_FOCUS") {
        tests.retain(|test| test.name.contains(&text));
    }
    assert!(!tests.is_empty(), "no test is that narrow");

    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    std::fs::create_dir_all(&out).expect("a folder");
    let report = out.join("report.json");
    let _ = std::fs::remove_file(&report);

    let cluster = Cluster::serve(&[]);
    let mut manager =
        programs::controller_manager(&controller_manager, &cluster, CONTROLLERS, &out);
    let _nodes = HollowNodes::start(&["hollow-1", "hollow-2"], &cluster);
    let mut command = Command::new(&ginkgo);
    command
        .args(["--no-color", "--timeout=2h", "--json-report=report.json"])
        .arg(format!("--procs={}", PROCESSES.min(tests.len())))
        .arg(format!("--output-dir={}", out.display()))
        .arg(format!("--focus={}", list::focus(&tests)))
        .arg(&suite)
        .arg("--")
        .args([
            "--provider=skeleton",
            "--num-nodes=2",
            "--minStartupPods=-1",
        ])
        .args(["--disable-log-dump", "--dump-logs-on-failure=false"])
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
        .arg(format!("--kubectl-path={}", kubectl.display()));
    Daemon::start(&mut command, &out).wait(&mut manager);

    let outcomes = report::read(&report);
    println!("{}", report::table(&tests, &outcomes));
    let failed = report::failures(&tests, &outcomes);
    cluster.stop();
    assert!(
        failed.is_empty(),
        "{}\nlogs: {}",
        failed.join("\n"),
        out.display()
    );
}
