//! Images with a root filesystem: a pod's command is looked up in it as in a container, links and all.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::{Cluster, Kubectl, PodSpec, eventually, repository};

/// A cluster with `box:v1`: the wbox sample under some of its names, and a file.
fn start() -> Option<(Cluster, Kubectl)> {
    let cluster = Cluster::start();
    let kubectl = cluster.kubectl()?;
    let root = cluster.folder.path().join("root");
    for folder in ["bin", "etc", "opt/tools"] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    let module = repository().join("samples/wbox/wbox.wasm");
    std::fs::copy(module, root.join("bin/wbox")).expect("copy");
    std::fs::write(root.join("etc/motd"), "one\ntwo words\n").expect("write");
    for name in [
        "cat", "echo", "env", "false", "ls", "seq", "test", "true", "wc", "printf", "head",
    ] {
        symlink("wbox", root.join("bin").join(name)).expect("link");
    }
    symlink("/bin/cat", root.join("opt/tools/cat")).expect("link");
    symlink("../../etc", root.join("opt/tools/config")).expect("link");
    let output = cluster
        .sampan("push")
        .arg(&root)
        .args([
            "box:v1",
            "--entrypoint",
            "/bin/wbox",
            "--cmd",
            "echo",
            "--cmd",
            "by default",
        ])
        .args([
            "--env",
            "PATH=/bin",
            "--env",
            "FROM=image",
            "--workdir",
            "/opt",
        ])
        .output()
        .expect("sampan runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some((cluster, kubectl))
}

/// Runs a pod to its end; gives the terminated state of its container.
fn run(kubectl: &Kubectl, pod: &PodSpec) -> Value {
    let name = pod.json()["metadata"]["name"].as_str().expect("a name");
    kubectl.apply(&pod.to_string());
    eventually("it ends", || {
        let path = ".status.containerStatuses[0].state.terminated";
        serde_json::from_str(&kubectl.field(&format!("pod/{name}"), path)).ok()
    })
}

#[test]
fn one_module_is_many_programs() {
    let Some((cluster, kubectl)) = start() else {
        return;
    };
    // name, command, args, working folder, exit code, output
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a str, i32, &'a str);
    let motd = "one\ntwo words\n";
    let cases: [Case; 11] = [
        ("default", &[], &[], "", 0, "by default\n"),
        ("args", &[], &["seq", "3"], "", 0, "1\n2\n3\n"),
        ("path", &["cat"], &["/etc/motd"], "", 0, motd),
        ("absolute", &["/bin/echo", "-n"], &["a", "b"], "", 0, "a b"),
        (
            "links",
            &["/opt/tools/cat"],
            &["/opt/tools/config/motd"],
            "",
            0,
            motd,
        ),
        ("false", &["false"], &[], "", 1, ""),
        (
            "relative",
            &["./wbox", "echo"],
            &["here"],
            "/bin",
            0,
            "here\n",
        ),
        (
            "workdir",
            &["tools/../../bin/wc"],
            &["-l", "/etc/motd"],
            "",
            0,
            "2 /etc/motd\n",
        ),
        ("list", &["ls", "/opt"], &[], "", 0, "tools\n"),
        (
            "failing",
            &["cat", "/etc/none"],
            &[],
            "",
            1,
            "cat: /etc/none: No such file or directory\n",
        ),
        ("condition", &["test", "-f", "/etc/motd"], &[], "", 0, ""),
    ];
    for (name, command, args, folder, code, output) in cases {
        let mut pod = PodSpec::new(name, "box:v1");
        for (field, words) in [("command", command), ("args", args)] {
            if !words.is_empty() {
                pod = pod.container(field, json!(words));
            }
        }
        if !folder.is_empty() {
            pod = pod.container("workingDir", json!(folder));
        }
        let ended = run(&kubectl, &pod);
        assert_eq!(ended["exitCode"], code, "{name}: {ended}");
        let logs = kubectl.ok(&["logs", name]);
        assert_eq!(logs, output, "{name}");
    }
    cluster.stop();
}

#[test]
fn a_command_that_is_not_there_is_told_as_upstream_tells_it() {
    let Some((cluster, kubectl)) = start() else {
        return;
    };
    for (name, command, why) in [
        (
            "name",
            "bash",
            "exec: \"bash\": executable file not found in $PATH",
        ),
        (
            "file",
            "/bin/bash",
            "exec: \"/bin/bash\": stat /bin/bash: no such file or directory",
        ),
        ("folder", "/etc", "exec: \"/etc\": is a directory"),
        (
            "text",
            "/etc/motd",
            "exec: \"/etc/motd\": exec format error",
        ),
    ] {
        let pod = PodSpec::new(name, "box:v1").container("command", json!([command]));
        let ended = run(&kubectl, &pod);
        assert_eq!(
            (&ended["exitCode"], &ended["reason"]),
            (&json!(128), &json!("StartError")),
            "{ended}"
        );
        assert!(
            ended["message"]
                .as_str()
                .is_some_and(|text| text.contains(why)),
            "{ended}"
        );
        let described = eventually("an event", || {
            let text = kubectl.ok(&["describe", "pod", name]);
            text.contains("Warning").then_some(text)
        });
        assert!(described.contains(why), "{described}");
        let phase = kubectl.field(&format!("pod/{name}"), ".status.phase");
        assert_eq!(phase, "Failed");
    }
    cluster.stop();
}

#[test]
fn a_module_runs_whatever_the_command_says() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let module = repository().join("samples/wbox/wbox.wasm");
    cluster.push_file(&module, "box:v1");
    let pod = PodSpec::new("called", "box:v1")
        .container("command", json!(["/usr/bin/echo", "-n"]))
        .container("args", json!(["by", "its name"]));
    assert_eq!(run(&kubectl, &pod)["exitCode"], 0);
    assert_eq!(kubectl.ok(&["logs", "called"]), "by its name");
    let refused = cluster
        .sampan("push")
        .arg(&module)
        .args(["x:v1", "--entrypoint", "x"])
        .output()
        .expect("sampan runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("for a folder"),
        "{said}"
    );
    cluster.stop();
}
