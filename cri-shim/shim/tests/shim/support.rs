//! A node of its own for each test: its folders, its images, its addresses. Only the engine is
//! shared, because it holds no state of a test.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt;
use sampan_engine::{Engine, EngineConfig};
use sampan_image::{ImageConfig, ImageStore};
use sampan_net::{PodNetwork, PodNetworkConfig};
use sampan_proto::{CriError, ImageService, RuntimeService, v1};
use sampan_shim::{Shim, ShimConfig};
use tempfile::TempDir;

/// A condition that takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn wat(name: &str) -> Vec<u8> {
    wat_with(name, "", "")
}

/// The guest with one placeholder replaced.
pub(crate) fn wat_with(name: &str, placeholder: &str, value: &str) -> Vec<u8> {
    let text = match name {
        "exit" => include_str!("guests/exit.wat"),
        "spin" => include_str!("guests/spin.wat"),
        "flood" => include_str!("guests/flood.wat"),
        "hungry" => include_str!("guests/hungry.wat"),
        "patient" => include_str!("guests/patient.wat"),
        "trap" => include_str!("guests/trap.wat"),
        "file" => include_str!("guests/file.wat"),
        "http" => include_str!("guests/http.wat"),
        other => panic!("no guest {other}"),
    };
    let text = if placeholder.is_empty() {
        text.to_string()
    } else {
        text.replace(placeholder, value)
    };
    wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn engine() -> Engine {
    static ENGINE: OnceLock<(Engine, TempDir)> = OnceLock::new();
    let (engine, _cache) = ENGINE.get_or_init(|| {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let config = EngineConfig {
            pool_instances: 20,
            ..EngineConfig::new(cache.path())
        };
        (Engine::new(config).expect("an engine"), cache)
    });
    engine.clone()
}

pub(crate) struct Node {
    pub(crate) shim: Arc<Shim>,
    dir: TempDir,
}

impl Node {
    pub(crate) fn new() -> Node {
        Node::with(ShimConfig::default())
    }

    pub(crate) fn with(config: ShimConfig) -> Node {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().canonicalize().expect("it exists");
        std::fs::create_dir(root.join("modules")).expect("made");
        let images = ImageConfig {
            file_roots: vec![root.join("modules")],
            ..ImageConfig::new(root.join("images"))
        };
        let images = ImageStore::open(images).expect("an image store");
        let network = PodNetwork::claim(PodNetworkConfig::default()).expect("a free block");
        let shim = Arc::new(Shim::new(engine(), images, Arc::new(network), config));
        Node { shim, dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir
            .path()
            .canonicalize()
            .expect("it exists")
            .join(name)
    }

    /// Puts a module on the node. Returns its image id.
    pub(crate) async fn image(&self, name: &str, module: &[u8]) -> String {
        let path = self.path("modules").join(format!("{name}.wasm"));
        std::fs::write(&path, module).expect("written");
        let image = v1::ImageSpec {
            image: format!("file://{}", path.display()),
            ..Default::default()
        };
        let request = v1::PullImageRequest {
            image: Some(image),
            ..Default::default()
        };
        self.shim
            .pull_image(request)
            .await
            .expect("pulled")
            .image_ref
    }

    pub(crate) async fn guest(&self, name: &str) -> String {
        self.image(name, &wat(name)).await
    }

    pub(crate) async fn sandbox(&self, name: &str) -> String {
        let request = v1::RunPodSandboxRequest {
            config: Some(self.pod(name)),
            runtime_handler: String::new(),
        };
        self.shim
            .run_pod_sandbox(request)
            .await
            .expect("a sandbox")
            .pod_sandbox_id
    }

    pub(crate) fn pod(&self, name: &str) -> v1::PodSandboxConfig {
        v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: name.into(),
                uid: format!("uid-{name}"),
                namespace: "default".into(),
                attempt: 0,
            }),
            hostname: name.into(),
            log_directory: self.path("logs").join(name).display().to_string(),
            labels: [("pod".to_string(), name.to_string())].into(),
            ..Default::default()
        }
    }

    pub(crate) async fn create(
        &self,
        sandbox: &str,
        config: v1::ContainerConfig,
    ) -> Result<String, CriError> {
        let request = v1::CreateContainerRequest {
            pod_sandbox_id: sandbox.into(),
            config: Some(config),
            sandbox_config: None,
        };
        self.shim
            .create_container(request)
            .await
            .map(|response| response.container_id)
    }

    pub(crate) async fn start(&self, id: &str) -> Result<(), CriError> {
        self.shim
            .start_container(v1::StartContainerRequest {
                container_id: id.into(),
            })
            .await
            .map(drop)
    }

    pub(crate) async fn stop(&self, id: &str, timeout: i64) -> Result<(), CriError> {
        let request = v1::StopContainerRequest {
            container_id: id.into(),
            timeout,
        };
        self.shim.stop_container(request).await.map(drop)
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), CriError> {
        self.shim
            .remove_container(v1::RemoveContainerRequest {
                container_id: id.into(),
            })
            .await
            .map(drop)
    }

    /// Creates and starts.
    pub(crate) async fn run(&self, sandbox: &str, config: v1::ContainerConfig) -> String {
        let id = self.create(sandbox, config).await.expect("created");
        self.start(&id).await.expect("started");
        id
    }

    pub(crate) async fn status(&self, id: &str) -> Result<v1::ContainerStatus, CriError> {
        let request = v1::ContainerStatusRequest {
            container_id: id.into(),
            verbose: false,
        };
        let response = self.shim.container_status(request).await?;
        Ok(response.status.expect("a status"))
    }

    pub(crate) async fn sandbox_status(&self, id: &str) -> Result<v1::PodSandboxStatus, CriError> {
        let request = v1::PodSandboxStatusRequest {
            pod_sandbox_id: id.into(),
            verbose: false,
        };
        let response = self.shim.pod_sandbox_status(request).await?;
        Ok(response.status.expect("a status"))
    }

    /// The ids of all sandboxes, oldest first.
    pub(crate) async fn sandboxes(&self) -> Vec<String> {
        let response = self
            .shim
            .list_pod_sandbox(v1::ListPodSandboxRequest::default())
            .await;
        response
            .expect("a list")
            .items
            .into_iter()
            .map(|item| item.id)
            .collect()
    }

    pub(crate) async fn ip(&self, sandbox: &str) -> String {
        self.sandbox_status(sandbox)
            .await
            .expect("known")
            .network
            .expect("a network")
            .ip
    }

    /// Waits until the container has ended.
    pub(crate) async fn exited(&self, id: &str) -> v1::ContainerStatus {
        let mut events = self
            .shim
            .get_container_events(v1::GetEventsRequest {})
            .await
            .expect("a stream");
        let exited = async {
            loop {
                let status = self.status(id).await.expect("known");
                if status.state() == v1::ContainerState::ContainerExited {
                    return status;
                }
                events.next().await.expect("the stream goes on");
            }
        };
        tokio::time::timeout(PATIENCE, exited)
            .await
            .expect("the container ends")
    }

    /// Runs a container in a pod of its own to its end. Returns its status and its log.
    pub(crate) async fn finish(
        &self,
        config: v1::ContainerConfig,
    ) -> (v1::ContainerStatus, Vec<String>) {
        let name = config.metadata.clone().expect("metadata").name;
        let sandbox = self.sandbox(&name).await;
        let id = self.run(&sandbox, config).await;
        let status = self.exited(&id).await;
        let log = log(Path::new(&status.log_path));
        (status, log)
    }
}

pub(crate) fn container(name: &str, image: &str) -> v1::ContainerConfig {
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: name.into(),
            attempt: 0,
        }),
        image: Some(v1::ImageSpec {
            image: image.into(),
            user_specified_image: format!("{name}:v1"),
            ..Default::default()
        }),
        log_path: format!("{name}/0.log"),
        ..Default::default()
    }
}

/// The lines of a log without their times.
pub(crate) fn log(path: &Path) -> Vec<String> {
    let text = std::fs::read(path).expect("a log");
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .map(|line| line.split_once(' ').expect("a time").1.to_string())
        .collect()
}

/// Waits for something that only looking again can tell.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let reached = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !condition() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached)
        .await
        .unwrap_or_else(|_| panic!("{what}: did not come"));
}
