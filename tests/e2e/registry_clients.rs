//! The cluster's own registry as other programs meet it: skopeo with a client certificate, oras and wkg with a token.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use serde_json::{Value, json};

use crate::support::{Cluster, Guest, Kubectl, PodSpec, have, which};

/// A cluster, and what a client of its registry needs.
struct Shop {
    cluster: Cluster,
    kubectl: Kubectl,
    /// `HOST:PORT`.
    host: String,
    /// Holds `ca.crt`, `client.cert` and `client.key`, as skopeo looks for them.
    certificates: PathBuf,
}

impl Shop {
    fn open(client: &str) -> Option<Shop> {
        if !have(client, which(client).is_some()) {
            return None;
        }
        let cluster = Cluster::start();
        let kubectl = cluster.kubectl()?;
        let certificates = cluster.folder.path().join("certificates");
        std::fs::create_dir(&certificates).expect("a folder");
        let text = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig");
        let kubeconfig: Value = serde_saphyr::from_str(&text).expect("YAML");
        for (name, pointer) in [
            ("ca.crt", "/clusters/0/cluster/certificate-authority-data"),
            ("client.cert", "/users/0/user/client-certificate-data"),
            ("client.key", "/users/0/user/client-key-data"),
        ] {
            let data = kubeconfig.pointer(pointer).and_then(Value::as_str);
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(data.expect(pointer))
                .expect("base64");
            std::fs::write(certificates.join(name), bytes).expect("write");
        }
        let host = cluster.url.trim_start_matches("https://").to_owned();
        Some(Shop {
            cluster,
            kubectl,
            host,
            certificates,
        })
    }

    fn folder(&self) -> &Path {
        self.cluster.folder.path()
    }

    /// The token of a ServiceAccount that may do everything.
    fn token(&self) -> String {
        let kubectl = &self.kubectl;
        kubectl.ok(&["create", "serviceaccount", "ci"]);
        kubectl.ok(&[
            "create",
            "clusterrolebinding",
            "ci",
            "--clusterrole=cluster-admin",
            "--serviceaccount=default:ci",
        ]);
        kubectl.ok(&["create", "token", "ci"]).trim().to_owned()
    }

    /// Runs a client in the folder; gives its output, which it must have succeeded to make.
    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> Vec<u8> {
        let output = Command::new(program)
            .args(args)
            .current_dir(self.folder())
            .env("HOME", self.folder())
            .env("SSL_CERT_FILE", self.certificates.join("ca.crt"))
            .output()
            .expect("it runs");
        assert!(
            output.status.success(),
            "{program} {args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// A pod of this image ends well, having printed this.
    #[track_caller]
    fn prints(&self, name: &str, image: &str, text: &str) {
        self.kubectl.apply(&PodSpec::new(name, image).to_string());
        self.kubectl.ok(&[
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            &format!("pod/{name}"),
            "--timeout=60s",
        ]);
        assert_eq!(self.kubectl.ok(&["logs", name]), text);
    }
}

#[test]
fn skopeo_copies_in_and_out_byte_for_byte() {
    let Some(shop) = Shop::open("skopeo") else {
        return;
    };
    let module = Guest::Hello.write(shop.folder());
    shop.cluster.push_file(&module, "team/hello:v1");
    let certificates = shop.certificates.to_str().expect("UTF-8");
    let name = |image: &str| format!("docker://{}/{image}", shop.host);
    let with = |option: &str| format!("--{option}cert-dir={certificates}");
    let raw = |image: &str| {
        let args = ["inspect", "--raw", &with(""), &name(image)];
        shop.run("skopeo", &args)
    };
    let original = raw("team/hello:v1");
    let manifest: Value = serde_json::from_slice(&original).expect("JSON");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");

    let (out, back) = (with("src-"), with("dest-"));
    let copy = |args: &[&str]| {
        let all = [&["copy", "--preserve-digests"][..], args].concat();
        shop.run("skopeo", &all)
    };
    copy(&[&out, &name("team/hello:v1"), "oci:layout:v1"]);
    copy(&[&back, "oci:layout:v1", &name("copies/hello:v2")]);
    copy(&[
        &out,
        &back,
        &name("copies/hello:v2"),
        &name("copies/again:v3"),
    ]);
    assert_eq!(raw("copies/hello:v2"), original);
    assert_eq!(raw("copies/again:v3"), original);
    copy(&[&out, &name("copies/again:v3"), "dir:files"]);
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let file = digest.trim_start_matches("sha256:");
    let got = std::fs::read(shop.folder().join("files").join(file)).expect("the layer");
    assert_eq!(got, std::fs::read(&module).expect("the module"));
    shop.prints("copied", "copies/again:v3", "hello guest\n");

    let tags = || {
        let args = ["list-tags", &with(""), &name("copies/hello")];
        let answer: Value = serde_json::from_slice(&shop.run("skopeo", &args)).expect("JSON");
        answer["Tags"].clone()
    };
    copy(&[&back, "oci:layout:v1", &name("copies/hello:v4")]);
    assert_eq!(tags(), json!(["v2", "v4"]));
    // skopeo deletes the manifest, and with it all its tags.
    shop.run("skopeo", &["delete", &with(""), &name("copies/hello:v2")]);
    let catalog = shop.kubectl.ok(&["get", "--raw", "/v2/_catalog"]);
    assert!(!catalog.contains("copies/hello"), "{catalog}");
    assert_eq!(raw("copies/again:v3"), original);
    shop.cluster.stop();
}

#[test]
fn oras_pushes_pulls_attaches_and_deletes() {
    let Some(shop) = Shop::open("oras") else {
        return;
    };
    let token = shop.token();
    let authority = shop.certificates.join("ca.crt");
    let access = format!("--ca-file={}", authority.display());
    let oras = |args: &[&str]| {
        let password = format!("--password={token}");
        let access = [access.as_str(), "--username=token", &password];
        shop.run("oras", &[args, &access].concat())
    };
    let text = |args: &[&str]| String::from_utf8(oras(args)).expect("UTF-8");
    let name = |image: &str| format!("{}/{image}", shop.host);
    let folder = shop.folder();
    let module = Guest::Hello.write(folder);
    let file = module
        .file_name()
        .and_then(|file| file.to_str())
        .expect("UTF-8");
    std::fs::write(folder.join("notes.txt"), "some notes\n").expect("write");
    std::fs::write(folder.join("large.bin"), vec![7; 5 << 20]).expect("write");

    // A module with the CNCF's config is an image like one of ours.
    std::fs::write(
        folder.join("config.json"),
        r#"{"architecture":"wasm","os":"wasip1"}"#,
    )
    .expect("write");
    let layer = format!("{file}:application/wasm");
    let config = "--config=config.json:application/vnd.wasm.config.v0+json";
    oras(&["push", &name("team/hello:v1"), config, &layer]);
    shop.prints("pushed", "team/hello:v1", "hello guest\n");

    let artifact = ["push", "--artifact-type=application/x.files"];
    let files = ["notes.txt:text/plain", "large.bin"];
    oras(&[&artifact[..], &[name("files:v1").as_str()], &files].concat());
    oras(&["pull", &name("files:v1"), "--output", "pulled"]);
    for file in ["notes.txt", "large.bin"] {
        let read = |path: PathBuf| std::fs::read(path).expect("read");
        let (sent, got) = (folder.join(file), folder.join("pulled").join(file));
        assert!(read(sent) == read(got), "{file}");
    }
    let sbom = "--artifact-type=application/x.sbom";
    oras(&["attach", sbom, &name("files:v1"), "notes.txt:text/plain"]);
    let sign = "--artifact-type=application/x.sign";
    oras(&["attach", sign, &name("files:v1"), "notes.txt:text/plain"]);
    let found = text(&["discover", "--format=json", sbom, &name("files:v1")]);
    assert!(found.contains("application/x.sbom"), "{found}");
    assert!(!found.contains("application/x.sign"), "{found}");
    let tags = text(&["repo", "tags", &name("files")]);
    assert_eq!(tags, "v1\n", "no list of referrers as a tag");

    oras(&["tag", &name("files:v1"), "v2"]);
    // Each side has its own access.
    let sides = ["from", "to"].map(|side| {
        let authority = authority.display();
        [
            format!("--{side}-ca-file={authority}"),
            format!("--{side}-username=token"),
            format!("--{side}-password={token}"),
        ]
    });
    let sides = sides.concat();
    let sides: Vec<&str> = sides.iter().map(String::as_str).collect();
    let (from, to) = (name("files:v1"), name("mounted:v1"));
    let copy = ["cp", "-r", &from, &to];
    shop.run("oras", &[&copy[..], &sides].concat());
    let repositories = text(&["repo", "ls", &shop.host]);
    assert_eq!(repositories, "files\nmounted\nteam/hello\n");
    oras(&["manifest", "delete", "--force", &name("files:v2")]);
    let left = shop.kubectl.ok(&["get", "--raw", "/v2/_catalog"]);
    assert!(left.contains("mounted"), "{left}");
    let copied = text(&["discover", "--format=json", &name("mounted:v1")]);
    assert!(
        copied.contains("application/x.sign"),
        "referrers were copied too: {copied}"
    );
    shop.cluster.stop();
}

#[test]
fn the_registry_asks_who_is_there() {
    let Some(shop) = Shop::open("skopeo") else {
        return;
    };
    shop.cluster.push(Guest::Hello, "hello:v1");
    let image = format!("docker://{}/hello:v1", shop.host);
    let authority = shop.folder().join("authority");
    std::fs::create_dir(&authority).expect("a folder");
    std::fs::copy(shop.certificates.join("ca.crt"), authority.join("ca.crt")).expect("copy");
    let certificates = format!("--cert-dir={}", authority.display());
    let ask = |verb: &str, credentials: &str| {
        let output = Command::new("skopeo")
            .args([verb, &certificates, credentials, &image])
            .env("HOME", shop.folder())
            .output()
            .expect("skopeo runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for credentials in ["--no-creds", "--creds=token:wrong"] {
        let refused = ask("inspect", credentials);
        assert!(
            refused.contains("unauthorized") || refused.contains("authentication required"),
            "{credentials}: {refused}"
        );
    }
    shop.kubectl.ok(&["create", "serviceaccount", "weak"]);
    let token = shop.kubectl.ok(&["create", "token", "weak"]);
    // Everybody known may pull, and nothing more.
    let weak = ask("delete", &format!("--creds=token:{}", token.trim()));
    assert!(
        weak.contains("cannot delete path") || weak.contains("denied"),
        "{weak}"
    );
    shop.cluster.stop();
}

#[test]
fn images_that_no_tag_leads_to_are_pruned() {
    let cluster = Cluster::start();
    cluster.push(Guest::Hello, "app:v1");
    cluster.push(Guest::Exit(1), "app:v1");
    let prune = |age: &str| {
        let output = cluster
            .sampan("images")
            .args(["--output", "json", "prune", "--older-than", age])
            .output()
            .expect("runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    assert_eq!(prune("1h")["manifests"], 0);
    let pruned = prune("0s");
    assert_eq!(
        (&pruned["manifests"], &pruned["blobs"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(prune("0s")["manifests"], 0);
    cluster.stop();
}

#[test]
fn wkg_pushes_pulls_publishes_and_gets() {
    let Some(shop) = Shop::open("wkg") else {
        return;
    };
    let (token, folder, host) = (shop.token(), shop.folder(), &shop.host);
    let read = |file: &str| std::fs::read(folder.join(file)).expect(file);
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).expect(file);

    let module = Guest::Hello.write(folder);
    let (module, image) = (
        module.to_str().expect("UTF-8"),
        format!("{host}/team/hello:v1"),
    );
    let access = ["-u", "token", "-p", &token, &image];
    shop.run("wkg", &[&["oci", "push"][..], &access, &[module]].concat());
    let back = ["--output", "back.wasm"];
    shop.run("wkg", &[&["oci", "pull"][..], &access, &back].concat());
    assert!(std::fs::read(module).expect("the module") == read("back.wasm"));
    shop.prints("pushed", "team/hello:v1", "hello guest\n");

    // Packages of interfaces, by name and version.
    let protocol = format!(
        r#"{{ preferredProtocol = "oci", oci = {{ registry = "{host}", namespacePrefix = "wasm/" }} }}"#
    );
    write(
        "registries.toml",
        &format!(
            "[namespace_registries]\nteam = {{ registry = \"{host}\", metadata = {protocol} }}\n\
             [registry.\"{host}\".oci]\nauth = {{ username = \"token\", password = \"{token}\" }}\n"
        ),
    );
    let package = |args: &[&str]| {
        let places = ["--config=registries.toml", "--cache=wkg-cache"];
        shop.run("wkg", &[args, &places].concat())
    };
    for version in ["1.0.0", "1.1.0"] {
        let source = format!("wit-{version}");
        std::fs::create_dir(folder.join(&source)).expect("a folder");
        let text = format!(
            "package team:kit@{version};\ninterface greet {{ hello: func() -> string; }}\n"
        );
        write(&format!("{source}/kit.wit"), &text);
        package(&["publish", &source]);
    }
    package(&["get", "team:kit@1.0.0", "--output=./old.wasm"]);
    // The newest is found among the tags.
    package(&["get", "team:kit", "--output=./new.wasm"]);
    package(&["get", "team:kit@1.1.0", "--output=./named.wasm"]);
    assert!(read("new.wasm") == read("named.wasm"));
    assert!(read("new.wasm") != read("old.wasm"));
    shop.cluster.stop();
}
