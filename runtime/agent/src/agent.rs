//! The agent as a whole: what it is made of and how its loops live and end together.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use sampan_proto::{CriError, ImageService, RuntimeService, v1};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::AgentConfig;
use crate::content::{NodeFacts, Objects, Services, Sources, VolumePolicy};
use crate::cri::inventory;
use crate::events::recorder;
use crate::images::{Collector, Known, PullRecords, Puller};
use crate::kubelet_api::{BindError, KubeletApi};
use crate::limits::{API_CALL, CONCURRENT_RENDERS, CONCURRENT_STARTS};
use crate::logs::{FolderWatch, rotate_loop};
use crate::namespace_data::NamespaceData;
use crate::node::{HostSource, Identity, NodeLoop, capacity, renew_loop};
use crate::registry::Registry;
use crate::room::Room;
use crate::worker::Shared;
use crate::{ends, local_volumes, namespace_data, pods};

/// Why the agent could not start. Once it runs only a bug ends it before its time.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("cannot make the folder {path}")]
    Folder {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the kubelet API cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the kubelet API's certificates cannot be used: {reason}")]
    Certificates { reason: String },
    #[error("the container runtime does not answer")]
    Runtime(#[source] CriError),
    #[error("a loop of the agent panicked: this is a bug")]
    Panicked(#[source] tokio::task::JoinError),
}

/// One node's agent.
pub struct Agent {
    client: kube::Client,
    runtime: Arc<dyn RuntimeService>,
    images: Arc<dyn ImageService>,
    config: AgentConfig,
    namespace_data: Option<Arc<dyn NamespaceData>>,
}

impl Agent {
    pub fn new(
        client: kube::Client,
        runtime: Arc<dyn RuntimeService>,
        images: Arc<dyn ImageService>,
        config: AgentConfig,
    ) -> Agent {
        Agent {
            client,
            runtime,
            images,
            config,
            namespace_data: None,
        }
    }

    /// Removes from `data` what namespaces left that are gone.
    #[must_use]
    pub fn with_namespace_data(mut self, data: Arc<dyn NamespaceData>) -> Agent {
        self.namespace_data = Some(data);
        self
    }

    /// Runs until `shutdown`. Containers are left as they are: they belong to the runtime.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), AgentError> {
        let Agent {
            client,
            runtime,
            images,
            config,
            namespace_data,
        } = self;
        let pods_dir = config.data_dir.join("pods");
        let local_dir = config.data_dir.join("volumes");
        let folders = [&pods_dir, &config.log_dir, &local_dir];
        for folder in folders.into_iter().chain(&config.memory_dir) {
            make_folder(folder).await?;
        }
        let api = bind(&config).await?;
        let identity = identity(&config, &api, runtime.as_ref()).await?;
        let host = HostSource {
            folder: config.data_dir.clone(),
        };
        let capacity = capacity(&identity, &host.read().await);
        let room = Arc::new(Room::new(&capacity));
        let facts = NodeFacts {
            name: identity.name.clone(),
            host_ip: identity.ip.clone(),
            room: room.clone(),
        };
        let volumes = VolumePolicy {
            host_folders: config.host_folders.clone(),
            memory_dir: config.memory_dir.clone(),
            node: facts.clone(),
            local_dir,
        };
        let ends = ends::take(&config.data_dir).await;
        let found = inventory(runtime.as_ref(), ends)
            .await
            .map_err(AgentError::Runtime)?;
        let records = PullRecords::open(config.data_dir.join("image-pulls.json")).await;
        // The collector tries again.
        if let Err(error) = records.settle(images.as_ref()).await {
            tracing::warn!(%error, "images not listed");
        }
        let records = Arc::new(records);
        let (recorder, sender) = recorder(client.clone(), &config.node_name);
        let objects = Objects::new(client.clone());
        let shared = Arc::new(Shared {
            client: client.clone(),
            runtime: runtime.clone(),
            puller: Puller::new(images.clone(), objects.clone(), records.clone()),
            sources: Sources::new(objects.clone()),
            services: Services::default(),
            volumes,
            objects,
            recorder,
            registry: Registry::default(),
            room,
            facts,
            pods_dir,
            log_dir: config.log_dir.clone(),
            starts: Semaphore::new(CONCURRENT_STARTS),
            renders: Semaphore::new(CONCURRENT_RENDERS),
        });
        // Followers of logs fall back to looking every second where there are no file events.
        let watch = FolderWatch::new()
            .inspect_err(|error| tracing::warn!(%error, "no file events on this system"))
            .ok();
        let collector = Collector {
            images: images.clone(),
            runtime: runtime.clone(),
            host: host.clone(),
            policy: config.image_collection,
            known: Known::default(),
            records,
        };
        let (registered, on_registered) = tokio::sync::watch::channel(None);
        let node = NodeLoop {
            client: client.clone(),
            runtime,
            images,
            identity,
            host,
            room: shared.room.clone(),
        };

        let stop = shutdown.child_token();
        let mut loops = JoinSet::new();
        loops.spawn(node.run(registered, stop.clone()));
        loops.spawn(renew_loop(
            client,
            config.node_name,
            on_registered,
            stop.clone(),
        ));
        loops.spawn(shared.sources.clone().run(stop.clone()));
        let (node, stopped) = (shared.clone(), stop.clone());
        loops.spawn(async move { node.services.run(node.client.clone(), stopped).await });
        loops.spawn(local_volumes::run(shared.clone(), stop.clone()));
        loops.spawn(pods::run(shared.clone(), found, stop.clone()));
        loops.spawn(sender.run(stop.clone()));
        loops.spawn(rotate_loop(shared.clone(), stop.clone()));
        loops.spawn(collector.run(stop.clone()));
        if let Some(data) = namespace_data {
            let objects = shared.objects.clone();
            loops.spawn(namespace_data::run(data, objects, stop.clone()));
        }
        if let Some(watch) = &watch {
            loops.spawn(watch.clone().run(stop.clone()));
        }
        loops.spawn(api.run(shared, config.serving, watch, stop.clone()));
        ended(loops, &stop).await
    }
}

/// Waits for all loops. One that panics takes the others with it: a node that only half works is
/// worse than one that is down.
async fn ended(mut loops: JoinSet<()>, stop: &CancellationToken) -> Result<(), AgentError> {
    let mut result = Ok(());
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            stop.cancel();
            result = Err(AgentError::Panicked(error));
        }
    }
    result
}

async fn make_folder(path: &Path) -> Result<(), AgentError> {
    tokio::fs::create_dir_all(path)
        .await
        .map_err(|source| AgentError::Folder {
            path: path.display().to_string(),
            source,
        })
}

async fn bind(config: &AgentConfig) -> Result<KubeletApi, AgentError> {
    let address = config.listen;
    KubeletApi::bind(address, &config.serving)
        .await
        .map_err(|error| match error {
            BindError::Listen(source) => AgentError::Listen { address, source },
            BindError::Tls(error) => AgentError::Certificates {
                reason: with_causes(&error),
            },
        })
}

async fn identity(
    config: &AgentConfig,
    api: &KubeletApi,
    runtime: &dyn RuntimeService,
) -> Result<Identity, AgentError> {
    let address = config.listen;
    let bound = api
        .address()
        .map_err(|source| AgentError::Listen { address, source })?;
    let version = runtime
        .version(v1::VersionRequest {
            version: "0.1.0".into(),
        })
        .await
        .map_err(AgentError::Runtime)?;
    let status = runtime.status(v1::StatusRequest { verbose: false }).await;
    let handlers = status
        .map(|status| status.runtime_handlers)
        .unwrap_or_default();
    let ip = config.node_ip.unwrap_or_else(|| match bound.ip() {
        // Bound to everything: loopback is the one address that is certain to work here.
        ip if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        ip => ip,
    });
    Ok(Identity {
        name: config.node_name.clone(),
        ip: ip.to_string(),
        port: bound.port(),
        pod_cidr: config.pod_cidr.clone(),
        labels: config.labels.clone(),
        capacity: config.capacity.clone(),
        extended_resources: config.extended_resources.clone(),
        runtime_version: format!("{}://{}", version.runtime_name, version.runtime_version),
        runtime_handlers: handlers.into_iter().map(|handler| handler.name).collect(),
    })
}

/// A call to the API server, given up after [`API_CALL`].
pub(crate) async fn in_time<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let late = |_| {
        let error = std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "the API server did not answer in time",
        );
        Err(kube::Error::Service(error.into()))
    };
    tokio::time::timeout(API_CALL, call)
        .await
        .unwrap_or_else(late)
}

/// What an API error says, without its Debug text.
pub(crate) fn api_message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => with_causes(other),
    }
}

/// An error with its causes, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
