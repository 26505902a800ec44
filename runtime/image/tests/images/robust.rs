//! Pulls over bad links and through bad mirrors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::StatusCode;
use sampan_image::{Auth, Digest, ImageStore, wasm_artifact};

use crate::fixtures::*;

/// A registry of one artifact, `app:v1`, that fails as a test wants.
struct Flaky {
    documents: HashMap<String, Bytes>,
    layer: Digest,
    /// The layer's answers end after so many bytes.
    cut_after: usize,
    /// Whether it begins blobs in the middle.
    ranges: bool,
    /// What it was asked: path, range, whether with credentials.
    asked: Mutex<Vec<(String, Option<String>, bool)>>,
}

impl Flaky {
    fn new(module: &[u8]) -> Flaky {
        let artifact = wasm_artifact(module).unwrap();
        let layer = Digest::of(module);
        let manifest = Bytes::from(artifact.manifest.to_vec());
        let documents = HashMap::from([
            ("manifests/v1".to_owned(), manifest.clone()),
            (format!("manifests/{}", artifact.manifest_digest), manifest),
            (
                format!("blobs/{}", artifact.config_digest),
                artifact.config.to_vec().into(),
            ),
            (format!("blobs/{layer}"), module.to_vec().into()),
        ]);
        Flaky {
            documents,
            layer,
            cut_after: usize::MAX,
            ranges: true,
            asked: Mutex::default(),
        }
    }

    async fn serve(self) -> (Server, Arc<Flaky>) {
        let here = Arc::new(self);
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(here.clone());
        (serve(router).await, here)
    }

    fn ranges_of_layer(&self) -> Vec<Option<String>> {
        let layer = self.layer.to_string();
        let asked = self.asked.lock();
        let layers = asked.iter().filter(|(path, ..)| path.ends_with(&layer));
        layers.map(|(_, range, _)| range.clone()).collect()
    }
}

async fn answer(State(flaky): State<Arc<Flaky>>, request: Request) -> Response {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let path = request.uri().path().to_owned();
    let range = header("range");
    let signed = header("authorization").is_some();
    flaky
        .asked
        .lock()
        .push((path.clone(), range.clone(), signed));
    let document = path.split_once("/app/").map(|(_, document)| document);
    let Some(bytes) = document.and_then(|document| flaky.documents.get(document)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let start = range
        .filter(|_| flaky.ranges)
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        })
        .unwrap_or(0_usize);
    let rest = bytes.slice(start..);
    let mut response = Response::builder().header("content-length", rest.len());
    if start > 0 {
        let (last, size) = (bytes.len() - 1, bytes.len());
        response = response
            .status(206)
            .header("content-range", format!("bytes {start}-{last}/{size}"));
    }
    let is_layer = path.ends_with(flaky.layer.as_str());
    if !is_layer || rest.len() <= flaky.cut_after {
        return response.body(Body::from(rest)).unwrap();
    }
    let broken = std::io::Error::other("cut");
    let parts = [Ok(rest.slice(..flaky.cut_after)), Err(broken)];
    response
        .body(Body::from_stream(futures::stream::iter(parts)))
        .unwrap()
}

/// A module of some megabytes.
fn large_module() -> Vec<u8> {
    let mut wasm = module("large");
    // One custom section, so that it stays a module.
    wasm.extend([0, 0x80, 0x80, 0xc0, 1, 1, b'z']);
    wasm.extend((0..(3 << 20) - 2).map(|n| (n % 251) as u8));
    wasm
}

#[tokio::test]
async fn a_layer_that_breaks_off_is_resumed() {
    let wasm = large_module();
    for (ranges, resumed) in [(true, true), (false, false)] {
        let mut flaky = Flaky::new(&wasm);
        flaky.cut_after = 1 << 20;
        flaky.ranges = ranges;
        let (server, flaky) = flaky.serve().await;
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(impatient(dir.path())).unwrap();
        let name = format!("{}/app:v1", server.address);
        let pulled = store.pull(&name, None).await;
        let asked = flaky.ranges_of_layer();
        assert_eq!(asked[0], None);
        assert!(
            asked[1]
                .as_ref()
                .is_some_and(|range| range == "bytes=1048576-"),
            "{asked:?}"
        );
        match resumed {
            true => {
                let path = pulled.unwrap().module(None).unwrap().path;
                assert_eq!(std::fs::read(path).unwrap(), wasm);
                assert_eq!(asked.len(), 4, "{asked:?}");
            }
            // It cuts again at the same place, and three such attempts are enough.
            false => assert_eq!(variant(&pulled.unwrap_err()), "Unavailable"),
        }
    }
}

#[tokio::test]
async fn the_next_pull_goes_on_where_the_last_one_ended() {
    let wasm = large_module();
    let mut flaky = Flaky::new(&wasm);
    flaky.cut_after = 1 << 19;
    let (server, flaky) = flaky.serve().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = impatient(dir.path());
    config.limits.attempts = 1;
    let store = ImageStore::open(config).unwrap();
    let name = format!("{}/app:v1", server.address);
    let mut pulls = 0;
    while let Err(error) = store.pull(&name, None).await {
        assert_eq!(variant(&error), "Unavailable", "{error}");
        pulls += 1;
        assert!(pulls < 10);
    }
    assert!(pulls > 1, "one attempt was not enough");
    assert_eq!(flaky.ranges_of_layer().len(), pulls + 1);
    let left = tree(dir.path());
    assert!(
        !left.iter().any(|path| path.starts_with("ingest")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_busy_registry_is_left_alone_as_long_as_it_asks() {
    for (wait, tries) in [("1", 2), ("3600", 1)] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let router = axum::Router::new().fallback(move || async move {
            seen.lock().push(std::time::Instant::now());
            let headers = [("retry-after", wait)];
            (StatusCode::TOO_MANY_REQUESTS, headers).into_response()
        });
        let server = serve(router).await;
        let dir = tempfile::tempdir().unwrap();
        let mut config = impatient(dir.path());
        config.limits.attempts = 2;
        let store = ImageStore::open(config).unwrap();
        let name = format!("{}/app:v1", server.address);
        let error = store.pull(&name, None).await.unwrap_err();
        assert_eq!(variant(&error), "Unavailable", "{error}");
        let asked = asked.lock();
        assert_eq!(asked.len(), tries);
        if let [first, second] = asked[..] {
            assert!(second - first >= Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn a_registry_that_drips_holds_nobody_up() {
    let router = axum::Router::new().fallback(|| async {
        let drips = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        Body::from_stream(drips)
    });
    let server = serve(router).await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = impatient(dir.path());
    config.limits.slow_window = Duration::from_millis(100);
    let store = ImageStore::open(config).unwrap();
    let name = format!("{}/app:v1", server.address);
    let error = store.pull(&name, None).await.unwrap_err();
    assert_eq!(variant(&error), "Unavailable");
    assert!(error.to_string().contains("no whole answer"), "{error}");
}

#[tokio::test]
async fn the_whole_pull_has_a_deadline() {
    let router = axum::Router::new().fallback(std::future::pending::<Response>);
    let server = serve(router).await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = impatient(dir.path());
    config.limits.pull_time = Duration::from_millis(50);
    let store = ImageStore::open(config).unwrap();
    let name = format!("{}/app:v1", server.address);
    let error = store.pull(&name, None).await.unwrap_err();
    assert_eq!(variant(&error), "Unavailable");
    assert!(error.to_string().contains("took longer"), "{error}");
}

/// Pulls `REGISTRY/app:v1` with a password, the registry being mirrored by `mirror`.
async fn pull_mirrored(registry: Flaky, mirror: Flaky) -> (Arc<Flaky>, Arc<Flaky>, Vec<u8>) {
    let (registry_server, registry) = registry.serve().await;
    let (mirror_server, mirror) = mirror.serve().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = impatient(dir.path());
    let host = registry_server.address.to_string();
    let address = format!("http://{}/copies", mirror_server.address);
    config
        .mirrors
        .insert(host.clone(), vec![address.parse().unwrap()]);
    let store = ImageStore::open(config).unwrap();
    let auth = Auth::RegistryToken("secret".into());
    let name = format!("{host}/app:v1");
    let image = store.pull(&name, Some(auth)).await.unwrap();
    assert_eq!(image.repo_tags, [name]);
    let bytes = std::fs::read(image.module(None).unwrap().path).unwrap();
    (registry, mirror, bytes)
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_never_sees_credentials() {
    let wasm = module("mirrored");
    let (registry, mirror, got) = pull_mirrored(Flaky::new(&wasm), Flaky::new(&wasm)).await;
    assert_eq!(got, wasm);
    assert!(registry.asked.lock().is_empty());
    let asked = mirror.asked.lock();
    assert!(asked.iter().all(|(_, _, signed)| !signed));
    assert!(
        asked
            .iter()
            .all(|(path, ..)| path.starts_with("/v2/copies/app/"))
    );
}

#[tokio::test]
async fn a_mirror_that_lies_or_breaks_off_costs_nothing_but_time() {
    let wasm = large_module();
    let mut lying = Flaky::new(&wasm);
    let layer = format!("blobs/{}", lying.layer);
    lying
        .documents
        .insert(layer.clone(), vec![7; wasm.len()].into());
    let mut broken = Flaky::new(&wasm);
    broken.documents.remove(&layer);
    let mut cut = Flaky::new(&wasm);
    cut.cut_after = 1 << 19;
    cut.ranges = false;
    // Its first half is wrong, and the registry itself continues it.
    let mut poisoned = Flaky::new(&wasm);
    poisoned.documents.insert(layer, vec![7; wasm.len()].into());
    poisoned.cut_after = 1 << 19;
    poisoned.ranges = false;
    for (mirror, what) in [
        (lying, "lying"),
        (broken, "broken"),
        (cut, "cut"),
        (poisoned, "poisoned"),
    ] {
        let (registry, _, got) = pull_mirrored(Flaky::new(&wasm), mirror).await;
        assert!(got == wasm, "{what}");
        let asked = registry.asked.lock();
        assert!(asked.iter().all(|(_, _, signed)| *signed), "{what}");
    }
}
