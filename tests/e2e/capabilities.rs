//! What pods can reach, told by `kubectl describe` and forbidden by labels of their namespace.

use crate::support::{Cluster, Guest, PodSpec, eventually};

#[test]
fn capabilities_are_shown_and_can_be_forbidden() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Sleep, "sleep");
    kubectl.ok(&["create", "namespace", "strict"]);
    kubectl.ok(&[
        "label",
        "namespace",
        "strict",
        "forbid.sampan.dev/filesystem=true",
    ]);

    for namespace in ["default", "strict"] {
        let pod = PodSpec::new("early", "sleep").with("/metadata/namespace", namespace.into());
        kubectl.apply(&pod.to_string());
    }
    // Every guest of these tests imports the same functions, files among them.
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/early",
        "--timeout=60s",
    ]);
    let described = kubectl.ok(&["describe", "pod", "early"]);
    let told = "sampan.dev/capabilities: main=stdio,filesystem,clocks";
    assert!(described.contains(told), "{described}");

    let described = eventually("the refusal is told", || {
        let described = kubectl.ok(&["describe", "pod", "early", "-n", "strict"]);
        described
            .contains("Error: the module imports")
            .then_some(described)
    });
    let why = "imports wasi_snapshot_preview1.path_open, which needs the capability \"filesystem\"; \
               the label forbid.sampan.dev/filesystem of the namespace forbids it";
    assert!(described.contains(why), "{described}");
    assert!(
        described.contains("CreateContainerConfigError"),
        "{described}"
    );

    // What was made before a label came runs on; what is made after it went runs.
    kubectl.ok(&[
        "label",
        "namespace",
        "default",
        "forbid.sampan.dev/filesystem=true",
    ]);
    kubectl.ok(&[
        "label",
        "namespace",
        "strict",
        "forbid.sampan.dev/filesystem-",
    ]);
    let pod = PodSpec::new("late", "sleep").with("/metadata/namespace", "strict".into());
    kubectl.apply(&pod.to_string());
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pod/late",
        "-n",
        "strict",
        "--timeout=60s",
    ]);
    assert_eq!(kubectl.field("pod/early", ".status.phase"), "Running");

    // No waiting mends that, so `sampan run` does not wait.
    let module = Guest::Sleep.write(cluster.folder.path());
    let ran = cluster.sampan("run").arg(module).output().expect("runs");
    let text = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success() && text.contains(why), "{text}");
}
