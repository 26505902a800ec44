//! `sampan up`: the first command a user types.

use std::process::{Command, Stdio};

use crate::support::{
    Cluster, Guest, PodSpec, Program, eventually, have, repository, sampan, which,
};

#[test]
fn the_quickstart_runs_shows_its_output_and_answers() {
    let quickstart = repository().join("samples/quickstart");
    let mut cluster = Cluster::start_with(&["--apply", quickstart.to_str().expect("UTF-8")]);
    cluster.program.wait_for("[hello] Hello, Kubernetes!");
    let url = cluster.program.wait_for("Try it: curl ");
    cluster.program.wait_for("export KUBECONFIG=");
    if have("curl", which("curl").is_some()) {
        let url = url.rsplit(' ').next().expect("a URL");
        let answer = Command::new("curl")
            .args(["-sS", "--max-time", "10", url])
            .output()
            .expect("curl");
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(
            text.contains("Hello from WebAssembly!"),
            "{text}{}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
    cluster.stop();
}

#[test]
fn once_ends_by_itself_and_again_changes_nothing() {
    let folder = tempfile::tempdir().expect("temp dir");
    let run = || {
        let mut command = sampan();
        command
            .args(["up", "--once", "--port", "0", "--data-dir"])
            .arg(folder.path().join("data"));
        let program = Program::start(
            command
                .arg("--apply")
                .arg(repository().join("samples/quickstart")),
        );
        let (status, output) = program.finish();
        assert!(status.success(), "{output}");
        output
    };
    let first = run();
    for expected in [
        "pod/hello created",
        "pod/hello  Completed",
        "pod/ticker  Ready",
        "pod/http-hello  Ready",
    ] {
        assert!(first.contains(expected), "no {expected:?} in:\n{first}");
    }
    let second = run();
    assert!(second.contains("pod/ticker unchanged"), "{second}");
}

#[test]
fn it_does_not_end_when_nobody_reads_what_it_says() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut command = sampan();
    command
        .args(["up", "--once", "--port", "0", "--data-dir"])
        .arg(folder.path().join("data"))
        .arg("--apply")
        .arg(repository().join("samples/quickstart"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop((child.stdout.take(), child.stderr.take()));
    let status = eventually("it ends by itself", || child.try_wait().expect("waits"));
    assert!(status.success(), "{status}");
}

#[test]
fn once_fails_with_the_reason() {
    let folder = tempfile::tempdir().expect("temp dir");
    Guest::Exit(7).write(folder.path());
    let pod = PodSpec::new("seven", "exit-7.wasm").to_string();
    std::fs::write(folder.path().join("pod.json"), pod).expect("write");
    let mut command = sampan();
    command
        .args(["up", "--once", "--port", "0", "--data-dir"])
        .arg(folder.path().join("data"));
    let (status, output) =
        Program::start(command.arg("--apply").arg(folder.path().join("pod.json"))).finish();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(
        output.contains("pod/seven: Failed: container main Error, exit code 7"),
        "{output}"
    );
}

#[test]
fn fields_that_nobody_knows_are_refused_as_by_kubectl() {
    let folder = tempfile::tempdir().expect("temp dir");
    let map = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "dta": {"a": "b"}}"#;
    std::fs::write(folder.path().join("map.json"), map).expect("write");
    let mut command = sampan();
    command
        .args(["up", "--once", "--port", "0", "--data-dir"])
        .arg(folder.path().join("data"));
    let (status, output) =
        Program::start(command.arg("--apply").arg(folder.path().join("map.json"))).finish();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(
        output.contains("strict decoding error: unknown field \"dta\""),
        "{output}"
    );
}

#[test]
fn a_second_up_is_told_who_holds_the_folder() {
    let cluster = Cluster::start();
    let output = sampan()
        .args(["up", "--port", "0", "--data-dir"])
        .arg(cluster.data())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is in use by sampan, process "), "{text}");
    cluster.stop();
}

#[test]
fn mistakes_are_told_before_anything_starts() {
    let folder = tempfile::tempdir().expect("temp dir");
    let check = |args: &[&str], expected: &str| {
        let mut command = sampan();
        command
            .args(["up", "--port", "0", "--data-dir"])
            .arg(folder.path().join("data"))
            .args(args);
        let output = command.output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains(expected),
            "{text}"
        );
        assert!(!folder.path().join("data").exists(), "nothing was started");
    };
    check(
        &["--apply", "/does/not/exist"],
        "cannot read /does/not/exist",
    );
    let bad = folder.path().join("bad.yaml");
    std::fs::write(&bad, "kind: Pod").expect("write");
    check(
        &["--apply", bad.to_str().expect("UTF-8")],
        "an object has no apiVersion",
    );
    check(
        &["--node-name", "Bad_Name"],
        "invalid value 'Bad_Name' for '--node-name <NAME>'",
    );
    check(
        &["--node-label", "a b=c"],
        "invalid value 'a b=c' for '--node-label <KEY=VALUE>'",
    );
}

#[test]
fn a_taken_port_and_an_unwritable_folder_are_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port().to_string();
    let folder = tempfile::tempdir().expect("temp dir");
    let up = |port: &str, data: &std::path::Path| {
        let output = sampan()
            .args(["up", "--port", port, "--data-dir"])
            .arg(data)
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = up(&port, &folder.path().join("data"));
    assert!(text.contains(&port) && text.contains("--port"), "{text}");
    // A file where the folder should be stops root as well.
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("write");
    let text = up("0", &file.join("data"));
    assert!(text.contains("cannot create the data folder"), "{text}");
}

#[test]
fn a_corrupt_database_is_named_and_left_alone() {
    let cluster = Cluster::start();
    let data = cluster.data();
    let folder = {
        let Cluster {
            program, folder, ..
        } = cluster;
        program.signal("TERM");
        assert!(program.finish().0.success());
        folder
    };
    let database = data.join("state.db");
    let garbage = vec![b'x'; 8192];
    std::fs::write(&database, &garbage).expect("write");
    let output = sampan()
        .args(["up", "--port", "0", "--data-dir"])
        .arg(&data)
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("state.db"), "{text}");
    assert_eq!(
        std::fs::read(&database).expect("read"),
        garbage,
        "the file is as it was"
    );
    drop(folder);
}
