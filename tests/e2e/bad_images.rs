//! Images that lie, explode or never end, from a registry that means harm: their pods say what happened, the node goes on.

mod neighbour;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Cluster, Guest, PodSpec, eventually};
use neighbour::Neighbour;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";

/// Bytes of the large module.
const LARGE: usize = 100_000_000;

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// What the registry has, by repository; each has one image, `v1`.
#[derive(Default)]
struct Lies {
    answers: HashMap<String, Vec<u8>>,
}

impl Lies {
    /// A blob, said to be what `descriptor` makes of the true one.
    fn blob(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        let path = format!("/v2/{name}/blobs/{digest}");
        self.answers.insert(path, bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn manifest(&mut self, name: &str, config: Value, layers: &[Value]) {
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let path = format!("/v2/{name}/manifests/v1");
        self.answers.insert(path, manifest.to_string().into_bytes());
    }

    /// An image of one archive.
    fn rootfs(&mut self, name: &str, archive: &[u8]) -> (Value, Value) {
        let config = json!({"config": {"Entrypoint": ["/app"]}, "rootfs": {"type": "layers", "diff_ids": [digest(archive)]}});
        let config = self.blob(name, CONFIG, config.to_string().as_bytes());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(archive).expect("in memory");
        let layer = gzip.finish().expect("in memory");
        let layer = self.blob(name, LAYER, &layer);
        (config, layer)
    }

    /// An image of one module.
    fn module(&mut self, name: &str, module: &[u8]) {
        let config =
            json!({"os": "wasip1", "architecture": "wasm", "layerDigests": [digest(module)]});
        let config = self.blob(name, WASM_CONFIG, config.to_string().as_bytes());
        let layer = self.blob(name, WASM, module);
        self.manifest(name, config, &[layer]);
    }

    /// Serves on loopback for as long as the test runs.
    fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let lies = Arc::new(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let lies = lies.clone();
                std::thread::spawn(move || lies.answer(stream));
            }
        });
        address
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            request.extend_from_slice(&buffer[..count]);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        if path.starts_with("/v2/endless/") {
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 65_536])?;
            }
        }
        let (status, body) = match self.answers.get(path) {
            Some(body) => ("200 OK", &body[..]),
            None => ("404 Not Found", &b""[..]),
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )?;
        stream.write_all(body)
    }
}

/// An archive of one entry.
fn archive(kind: tar::EntryType, link: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    if !link.is_empty() {
        header.set_link_name(link).expect("a link");
    }
    header.set_path("app").expect("a path");
    header.set_cksum();
    archive.append(&header, content).expect("in memory");
    archive.into_inner().expect("in memory")
}

/// A registry of one bad image per attack; and what their pods must tell.
fn attacks() -> (SocketAddr, Vec<(&'static str, &'static str)>) {
    let mut lies = Lies::default();
    let file = archive(tar::EntryType::Regular, "", b"\0asm\x01\0\0\0");

    let (config, layer) = lies.rootfs("layers", &file);
    lies.manifest("layers", config, &vec![layer; 10_000]);

    let (config, layer) = lies.rootfs("digest", &file);
    let path = format!(
        "/v2/digest/blobs/{}",
        layer["digest"].as_str().expect("text")
    );
    let other = lies.answers.get_mut(&path).expect("the layer");
    other.iter_mut().for_each(|byte| *byte ^= 1);
    lies.manifest("digest", config, &[layer]);

    let (config, mut layer) = lies.rootfs("size", &file);
    layer["size"] = json!(10);
    lies.manifest("size", config, &[layer]);

    let bomb = archive(tar::EntryType::Regular, "", &vec![0; 64 << 20]);
    let (config, layer) = lies.rootfs("bomb", &bomb);
    lies.manifest("bomb", config, &[layer]);

    let escape = archive(tar::EntryType::Link, "../../../../etc/passwd", b"");
    let (config, layer) = lies.rootfs("escape", &escape);
    lies.manifest("escape", config, &[layer]);

    let index: Vec<Value> = (0..5000)
        .map(|n: u32| json!({"mediaType": MANIFEST, "digest": digest(&n.to_be_bytes()), "size": 1}))
        .collect();
    let index = json!({"schemaVersion": 2, "manifests": index}).to_string();
    lies.answers
        .insert("/v2/index/manifests/v1".into(), index.into());

    let text: String = (0..10_000)
        .map(|number| format!("(import \"acme:flood/i{number}@1.0.0\" (instance))"))
        .collect();
    let imports = wat::parse_str(format!("(component {text})")).expect("valid");
    lies.module("imports", &imports);
    let pages = LARGE.div_ceil(65_536);
    let text = format!(
        r#"(module (memory {pages}) (func (export "_start")) (data (i32.const 0) "{}"))"#,
        "x".repeat(LARGE)
    );
    lies.module("large", &wat::parse_str(text).expect("valid"));

    let told = vec![
        ("layers", "10000 layers, at most 128 are allowed"),
        ("digest", "digest mismatch"),
        ("size", "the manifest says 10"),
        ("bomb", "unpacks to more than"),
        ("escape", "hard link to"),
        ("index", "the index has 5000 entries"),
        ("endless", "answer has more than"),
    ];
    (lies.serve(), told)
}

#[test]
fn bad_images_are_told_and_harm_nobody() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let neighbour = Neighbour::start(&cluster, &kubectl);
    let (registry, attacks) = attacks();
    let alone = neighbour.alone();
    let measuring = neighbour.measure();
    let names = attacks.iter().map(|(name, _)| *name);
    for name in names.chain(["imports", "large"]) {
        let image = format!("{registry}/{name}:v1");
        kubectl.apply(&PodSpec::new(name, &image).to_string());
    }
    for (name, why) in &attacks {
        let described = eventually(&format!("{name}: {why}"), || {
            let text = kubectl.ok(&["describe", "pod", name]);
            text.contains(why).then_some(text)
        });
        assert!(described.contains("ErrImagePull"), "{name}: {described}");
        let reason = ".status.containerStatuses[0].state.waiting.reason";
        let reason = kubectl.field(&format!("pod/{name}"), reason);
        assert!(
            matches!(reason.as_str(), "ErrImagePull" | "ImagePullBackOff"),
            "{name}: {reason}"
        );
    }
    eventually("what the component imports is told", || {
        let text = kubectl.ok(&["describe", "pod", "imports"]);
        text.contains("acme:flood/i0@1.0.0").then_some(())
    });
    let succeeded = "--for=jsonpath={.status.phase}=Succeeded";
    kubectl.ok(&["wait", succeeded, "pod/large", "--timeout=120s"]);
    measuring.end().compare(alone);
    let restarts = ".status.containerStatuses[0].restartCount";
    assert_eq!(kubectl.field("pod/neighbour", restarts), "0");
    cluster.push(Guest::Hello, "hello");
    kubectl.apply(&PodSpec::new("after", "hello").to_string());
    kubectl.ok(&["wait", succeeded, "pod/after", "--timeout=60s"]);
    // Nothing of them stayed.
    let store = cluster.data().join("node/images");
    let rootfs = std::fs::read_dir(store.join("rootfs")).expect("the store");
    assert_eq!(rootfs.count(), 0);
    cluster.stop();
}
