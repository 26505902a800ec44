//! Guests in C, Go, JavaScript and Python: the samples with their own manifests, by kubectl.
//!
//! `samples/languages.sh` builds them; CI keeps what it built in the cache folder, `$SAMPLES` names another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::{Cluster, Kubectl, PodSpec, eventually, have, repository, which};

/// Compiling the engine of a language takes a while, most of all on a busy machine.
const COMPILED: &str = "--timeout=300s";

/// The module of a sample.
fn module(sample: &str) -> Option<PathBuf> {
    let named = std::env::var_os("SAMPLES").map(PathBuf::from);
    let kept = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
        Some(cache?.join("sampan/samples-out"))
    };
    let file = named
        .or_else(kept)?
        .join(sample)
        .join(format!("{sample}.wasm"));
    have(&format!("the module of samples/{sample}"), file.is_file()).then_some(file)
}

/// A cluster with the sample's image, and its own manifest applied.
fn start(sample: &str) -> Option<(Cluster, Kubectl)> {
    let module = module(sample)?;
    let cluster = Cluster::start();
    let kubectl = cluster.kubectl()?;
    cluster.push_file(&module, &format!("{sample}.wasm"));
    let manifest = repository().join("samples").join(sample).join("pod.yaml");
    kubectl.ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    Some((cluster, kubectl))
}

/// Output, environment, arguments, a file of a volume, and the exit code, which is `failure` when it should be 7.
fn command(sample: &str, language: &str, failure: i32) {
    let Some((cluster, kubectl)) = start(sample) else {
        return;
    };
    let pod = format!("pod/{sample}");
    let succeeded = "--for=jsonpath={.status.phase}=Succeeded";
    kubectl.ok(&["wait", succeeded, &pod, COMPILED]);
    let logs = kubectl.ok(&["logs", sample]);
    assert_eq!(logs, format!("{language} says hello\na note\n"));
    let ended = ".status.containerStatuses[0].state.terminated.exitCode";
    let exits = |name: &str, args: &[&str], code: i32, reads: &str| {
        let note = json!([{"name": "notes", "configMap": {"name": sample}}]);
        let spec = PodSpec::new(name, &format!("{sample}.wasm"))
            .container("args", json!(args))
            .container(
                "volumeMounts",
                json!([{"name": "notes", "mountPath": "/notes"}]),
            )
            .with("/spec/volumes", note);
        kubectl.apply(&spec.to_string());
        let failed = "--for=jsonpath={.status.phase}=Failed";
        kubectl.ok(&["wait", failed, &format!("pod/{name}"), COMPILED]);
        assert_eq!(
            kubectl.field(&format!("pod/{name}"), ended),
            code.to_string()
        );
        let logs = kubectl.ok(&["logs", name]);
        assert!(logs.contains(reads), "{logs}");
    };
    exits("seven", &["/notes/today", "7"], failure, "a note\n");
    exits("absent", &["/notes/tomorrow"], 1, "says");
    cluster.stop();
}

/// The pod is Ready and answers.
fn http(sample: &str, answer: &str) {
    if !have("curl", which("curl").is_some()) {
        return;
    }
    let Some((cluster, kubectl)) = start(sample) else {
        return;
    };
    let pod = format!("pod/{sample}");
    kubectl.ok(&["wait", "--for=condition=Ready", &pod, COMPILED]);
    let address = kubectl.field(&pod, ".status.podIP");
    let text = eventually("it answers", || {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "30"])
            .arg(format!("http://{address}:8080/some/path"))
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (!text.is_empty()).then_some(text)
    });
    assert_eq!(text, answer);
    cluster.stop();
}

#[test]
fn a_command_in_c() {
    command("c-command", "C", 7);
}

#[test]
fn a_command_in_go() {
    command("go-command", "Go", 7);
}

/// Components of WASI 0.2 end well or not well.
#[test]
fn a_command_in_javascript() {
    command("js-command", "JavaScript", 1);
}

#[test]
fn a_command_in_python() {
    command("python-command", "Python", 1);
}

#[test]
fn a_server_in_go() {
    http("go-http", "Go answers /some/path\n");
}

#[test]
fn a_server_in_javascript() {
    http("js-http", "JavaScript answers GET /some/path\n");
}

#[test]
fn a_server_in_python() {
    http("python-http", "Python answers /some/path\n");
}
