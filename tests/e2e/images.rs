//! Images: pushed to the cluster's own registry, run from the command line, listed, and pulled from elsewhere.

use std::process::Command;

use serde_json::json;

use crate::support::{
    Cluster, Guest, PodSpec, Program, eventually, have, repository, sampan, which,
};

#[test]
fn run_streams_output_and_returns_the_exit_code() {
    let cluster = Cluster::start();
    let module = repository().join("samples/hello/hello.wasm");
    let output = cluster
        .sampan("run")
        .arg(module)
        .args(["--env", "WHO=tester", "--", "one"])
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        text,
        "Hello, tester!\nargument 1: one\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success());
    let seven = Guest::Exit(7).write(cluster.folder.path());
    let output = cluster.sampan("run").arg(seven).output().expect("runs");
    assert_eq!(
        output.status.code(),
        Some(7),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stranger = Guest::Stranger.write(cluster.folder.path());
    let output = cluster.sampan("run").arg(stranger).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && text.contains("nowhere"),
        "{text}"
    );
    if let Some(kubectl) = cluster.kubectl() {
        let left = kubectl.ok(&["get", "pods", "-o", "name"]);
        assert_eq!(left, "", "run leaves no pod behind");
    }
    cluster.stop();
}

#[test]
fn run_says_what_the_server_says_and_takes_annotations() {
    let cluster = Cluster::start();
    let module = Guest::Hello.write(cluster.folder.path());
    let refused = |args: &[&str], expected: &str| {
        let output = cluster.sampan("run").arg(&module).args(args).output();
        let output = output.expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with(expected), "{text}");
    };
    refused(
        &["--namespace", "nowhere"],
        "Error from server (NotFound): namespaces \"nowhere\" not found",
    );
    refused(
        &["--name", "Bad_Name"],
        "Error from server (Invalid): Pod \"Bad_Name\" is invalid: metadata.name: Invalid value",
    );
    refused(
        &["--annotations", "a b=c"],
        "Error from server (Invalid): Pod ",
    );
    let kept = [
        "--annotations",
        "example.com/a=b c",
        "--keep",
        "--name",
        "kept",
    ];
    let output = cluster.sampan("run").arg(&module).args(kept).output();
    assert!(output.expect("runs").status.success());
    if let Some(kubectl) = cluster.kubectl() {
        let found = kubectl.field("pod/kept", ".metadata.annotations.example\\.com/a");
        assert_eq!(found, "b c");
    }
    cluster.stop();
}

/// By its address, which clients push to, as by no address.
#[test]
fn images_of_the_own_registry_by_its_address() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    cluster.push(Guest::Hello, "team/hello:v1");
    let port = cluster.url.rsplit(':').next().expect("a port");
    for (name, host) in [("address", "127.0.0.1"), ("name", "localhost")] {
        let image = format!("{host}:{port}/team/hello:v1");
        kubectl.apply(&PodSpec::new(name, &image).to_string());
        kubectl.ok(&[
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            &format!("pod/{name}"),
            "--timeout=90s",
        ]);
        assert_eq!(kubectl.ok(&["logs", name]), "hello guest\n");
    }
    cluster.stop();
}

#[test]
fn run_that_is_told_to_stop_removes_its_pod() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let module = Guest::Sleep.write(cluster.folder.path());
    for signal in ["TERM", "INT"] {
        let program = Program::start(cluster.sampan("run").arg(&module));
        eventually("the pod runs", || {
            let phases = kubectl.ok(&["get", "pods", "-o", "jsonpath={.items[*].status.phase}"]);
            (phases == "Running").then_some(())
        });
        program.signal(signal);
        let (status, text) = program.finish();
        assert_eq!(status.code(), Some(130), "{signal}: {text}");
        assert_eq!(kubectl.ok(&["get", "pods", "-o", "name"]), "", "{signal}");
    }
    cluster.stop();
}

#[test]
fn images_are_listed() {
    let cluster = Cluster::start();
    cluster.push(Guest::Hello, "team/hello:v1");
    cluster.push(Guest::Exit(1), "one");
    let table = cluster.sampan("images").output().expect("runs");
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        table.contains("team/hello:v1") && table.contains("one:latest"),
        "{table}"
    );
    let list = cluster
        .sampan("images")
        .args(["--output", "json"])
        .output()
        .expect("runs");
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|image| {
        image["digest"]
            .as_str()
            .is_some_and(|d| d.starts_with("sha256:"))
    }));
    cluster.stop();
}

#[test]
fn what_is_no_module_is_refused() {
    let cluster = Cluster::start();
    let text = cluster.folder.path().join("notes.txt");
    std::fs::write(&text, "hello").expect("write");
    let output = cluster
        .sampan("push")
        .arg(&text)
        .arg("x")
        .output()
        .expect("runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not a Wasm module"));
    let folder = tempfile::tempdir().expect("temp dir");
    let module = Guest::Hello.write(folder.path());
    let output = cluster
        .sampan("push")
        .arg(&module)
        .arg("Not An Image")
        .output()
        .expect("runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not an image name"));
    cluster.stop();
    let output = sampan()
        .arg("push")
        .arg(&module)
        .args(["x", "--data-dir", "/does/not/exist"])
        .output()
        .expect("runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Start one with `sampan up`"));
}

/// Debian's registry on loopback, with a user and a password.
struct ForeignRegistry {
    _program: Program,
    address: String,
}

impl ForeignRegistry {
    fn start(folder: &std::path::Path) -> Option<Self> {
        if !have("docker-registry", which("docker-registry").is_some()) {
            return None;
        }
        // bcrypt of "secret", which is what htpasswd files hold.
        let passwords = folder.join("htpasswd");
        std::fs::write(
            &passwords,
            "user:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n",
        )
        .expect("write");
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
            listener.local_addr().expect("address").port()
        };
        let address = format!("127.0.0.1:{port}");
        let config = json!({
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": folder.join("registry")}},
            "http": {"addr": address},
            "auth": {"htpasswd": {"realm": "test", "path": passwords}},
        });
        let path = folder.join("registry.yaml");
        std::fs::write(&path, config.to_string()).expect("write");
        let program = Program::start(Command::new("docker-registry").arg("serve").arg(path));
        eventually("the registry listens", || {
            std::net::TcpStream::connect(&address).ok()
        });
        Some(Self {
            _program: program,
            address,
        })
    }

    /// Puts a module there with curl, so that nothing of ours is both sides.
    fn push(&self, folder: &std::path::Path, module: &std::path::Path, name: &str) {
        use sha2::{Digest, Sha256};
        let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let bytes = std::fs::read(module).expect("read");
        let config =
            json!({"architecture": "wasm", "os": "wasip1", "layerDigests": [digest(&bytes)]})
                .to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.wasm.config.v0+json", "size": config.len(), "digest": digest(config.as_bytes())},
            "layers": [{"mediaType": "application/wasm", "size": bytes.len(), "digest": digest(&bytes)}],
        });
        for blob in [config.as_bytes(), &bytes] {
            let start = self.curl(
                &[
                    "-X",
                    "POST",
                    "-D",
                    "-",
                    &format!("/v2/{name}/blobs/uploads/"),
                ],
                folder,
                None,
            );
            let location = start
                .lines()
                .find_map(|line| line.strip_prefix("Location: "))
                .expect("an upload");
            let path = location
                .trim()
                .split_once(&self.address)
                .map_or(location.trim(), |(_, path)| path);
            self.curl(
                &[
                    "-X",
                    "PUT",
                    "-H",
                    "Content-Type: application/octet-stream",
                    &format!("{path}&digest={}", digest(blob)),
                ],
                folder,
                Some(blob),
            );
        }
        let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json";
        self.curl(
            &["-X", "PUT", "-H", kind, &format!("/v2/{name}/manifests/v1")],
            folder,
            Some(manifest.to_string().as_bytes()),
        );
    }

    fn curl(&self, args: &[&str], folder: &std::path::Path, body: Option<&[u8]>) -> String {
        let (path, options) = args.split_last().expect("a path");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--max-time", "20", "-u", "user:secret"])
            .args(options);
        if let Some(body) = body {
            let file = folder.join("body");
            std::fs::write(&file, body).expect("write");
            curl.arg("--data-binary")
                .arg(format!("@{}", file.display()));
        }
        let output = curl
            .arg(format!("http://{}{path}", self.address))
            .output()
            .expect("curl runs");
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn a_foreign_registry_with_a_pull_secret() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let folder = cluster.folder.path();
    let Some(registry) = ForeignRegistry::start(folder) else {
        return;
    };
    registry.push(folder, &Guest::Hello.write(folder), "team/hello");
    let image = format!("{}/team/hello:v1", registry.address);
    let pod =
        PodSpec::new("foreign", &image).with("/spec/imagePullSecrets", json!([{"name": "pull"}]));
    kubectl.apply(&pod.to_string());
    eventually("the pull is refused", || {
        let reason = kubectl.field(
            "pod/foreign",
            ".status.containerStatuses[0].state.waiting.reason",
        );
        matches!(reason.as_str(), "ErrImagePull" | "ImagePullBackOff").then_some(())
    });
    let server = format!("--docker-server={}", registry.address);
    kubectl.ok(&[
        "create",
        "secret",
        "docker-registry",
        "pull",
        &server,
        "--docker-username=user",
        "--docker-password=secret",
    ]);
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/foreign",
        "--timeout=90s",
    ]);
    assert_eq!(kubectl.ok(&["logs", "foreign"]), "hello guest\n");
    cluster.stop();
}

#[test]
fn files_and_layouts_below_an_allowed_folder() {
    let images = tempfile::tempdir().expect("temp dir");
    let module = Guest::Hello.write(images.path());
    let cluster = Cluster::start_with(&["--image-dir", images.path().to_str().expect("UTF-8")]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.apply(&PodSpec::new("file", &format!("file://{}", module.display())).to_string());
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/file",
        "--timeout=60s",
    ]);
    let elsewhere = Guest::Hello.write(cluster.folder.path());
    kubectl.apply(&PodSpec::new("outside", &format!("file://{}", elsewhere.display())).to_string());
    eventually("refused", || {
        let waiting = kubectl.field("pod/outside", ".status.containerStatuses[0].state.waiting");
        (waiting.contains("ErrImagePull")
            || waiting.contains("ImagePullBackOff")
            || waiting.contains("InvalidImageName"))
        .then_some(())
    });
    cluster.stop();
}
