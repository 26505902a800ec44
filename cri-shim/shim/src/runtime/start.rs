//! Starting a container, and the task that sees it through to its end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use sampan_engine::{ContainerSpec, Engine, Module};
use sampan_proto::v1::ContainerEventType;
use sampan_proto::{Code, CriError};
use tokio::sync::oneshot;

use crate::container::{Container, Launch};
use crate::error::{chain, from_start};
use crate::log::{LogSink, Stream};
use crate::peers;
use crate::pods::Pods;
use crate::resources;
use crate::sandbox::{Home, Network};
use crate::shim::Shim;
use crate::signal;
use crate::time::now_nanos;

impl Shim {
    /// Returns when the guest runs (an HTTP handler: listens) and its log file exists.
    pub(super) async fn start(&self, id: &str) -> Result<(), CriError> {
        let container = self.known(id)?;
        let home = self.pods.begin_start(&container)?;
        let launch = container
            .take_launch()
            .expect("only the one step out of Created takes it");
        let launch = match launch {
            Ok(launch) => launch,
            Err(error) => return Err(self.never_started(&container, error)),
        };
        let (module, spec) = self.spec(&container, launch, home);
        let (tell, told) = oneshot::channel();
        // A task of its own, so that a caller who gives up does not leave a container half started.
        let life = Life {
            pods: self.pods.clone(),
            container,
            engine: self.engine.clone(),
        };
        self.tasks.spawn(life.run(module, spec, tell));
        told.await
            .map_err(|_| CriError::new(Code::Unavailable, "the runtime is shutting down"))?
    }

    /// Ends a container whose program is not in its image, as container runtimes do: it ended, and was never started.
    fn never_started(&self, container: &Arc<Container>, error: CriError) -> CriError {
        // Its log is there to be read, and empty. Why it failed matters more than a disk that is full too.
        let _unheard = container.log.open();
        container.log.finish();
        let message = error.message.clone();
        let failed = self.pods.step(
            container,
            ContainerEventType::ContainerStoppedEvent,
            |phase| phase.fail(now_nanos(), message),
        );
        debug_assert!(failed.is_ok(), "it was taken to Starting just now");
        error
    }

    fn spec(&self, container: &Container, launch: Launch, home: Home) -> (Module, ContainerSpec) {
        let Home {
            network,
            hostname,
            group,
        } = home;
        let Launch {
            module,
            workload,
            args,
            env,
            mounts,
            files,
            hosts,
            volume_limits,
            ports,
            host,
        } = launch;
        let stderr = if container.config.tty {
            Stream::Stdout
        } else {
            Stream::Stderr
        };
        let name = format!("{}/{}", container.metadata().name, container.id);
        let stdout = LogSink::new(&container.log, Stream::Stdout);
        let mut spec = ContainerSpec::new(name, stdout, LogSink::new(&container.log, stderr));
        spec.args = args;
        spec.env = env;
        spec.mounts = mounts;
        spec.files = files;
        spec.volume_limits = volume_limits;
        let resources = container.resources();
        spec.memory_limit = resources::memory_limit(&resources);
        spec.cpu = resources::cpu(&resources);
        spec.group = Some(group);
        spec.open_stdin = container.config.stdin;
        if let Some(number) = signal::number(container.config.stop_signal) {
            spec.stop_signal = number;
        }
        spec.host = host;
        spec.max_open_files = self.config.max_open_files;
        spec.max_sockets = self.config.max_sockets;
        spec.http = self.config.http.clone();
        workload.http.apply(&mut spec.http);
        spec.entry = workload.entry;
        spec.listen = listen(network, &ports);
        spec.network = peers::network(&self.network, network, hostname, hosts);
        (module, spec)
    }
}

fn listen(network: Network, ports: &[u16]) -> Vec<SocketAddr> {
    let address = match network {
        Network::Pod(address) => IpAddr::V4(address),
        Network::Host => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        // A stopped sandbox starts nothing.
        Network::Released => return Vec::new(),
    };
    ports
        .iter()
        .map(|&port| SocketAddr::new(address, port))
        .collect()
}

/// One container from its start to its end.
struct Life {
    pods: Arc<Pods>,
    container: Arc<Container>,
    engine: Engine,
}

impl Life {
    async fn run(
        self,
        module: Module,
        spec: ContainerSpec,
        tell: oneshot::Sender<Result<(), CriError>>,
    ) {
        let Life {
            pods,
            container,
            engine,
        } = self;
        let guest = match launch(&engine, &container, &module, spec).await {
            Ok(guest) => guest,
            Err(error) => {
                container.log.finish();
                let message = error.message.clone();
                let failed = pods.step(
                    &container,
                    ContainerEventType::ContainerStoppedEvent,
                    |phase| phase.fail(now_nanos(), message),
                );
                debug_assert!(
                    failed.is_ok(),
                    "only this task takes a container out of Starting"
                );
                // The caller may have given up; the container's status tells it too.
                let _unheard = tell.send(Err(error));
                return;
            }
        };
        // Loaded code and handles are the guest's now: nothing here may keep them for its lifetime.
        drop((module, engine));
        let running = pods.step(
            &container,
            ContainerEventType::ContainerStartedEvent,
            |phase| phase.run(now_nanos(), guest.clone()),
        );
        debug_assert!(
            running.is_ok(),
            "only this task takes a container out of Starting"
        );
        // Limits may have been changed since the guest was given the ones it started with.
        container.apply_resources();
        let _unheard = tell.send(Ok(()));

        let exit = guest.wait().await;
        // The last lines are in the file before anyone can see that the container ended.
        let lost = container.log.finish();
        let exited = pods.step(
            &container,
            ContainerEventType::ContainerStoppedEvent,
            |phase| phase.exit(now_nanos(), exit, lost),
        );
        debug_assert!(
            exited.is_ok(),
            "only this task takes a container out of Running"
        );
    }
}

async fn launch(
    engine: &Engine,
    container: &Container,
    module: &Module,
    spec: ContainerSpec,
) -> Result<sampan_engine::Container, CriError> {
    container.log.open().map_err(|error| {
        let path = container
            .log
            .path()
            .unwrap_or(std::path::Path::new(""))
            .display();
        CriError::internal(format!("cannot open log file {path}: {}", chain(&error)))
    })?;
    engine
        .start(module, spec)
        .await
        .map_err(|error| from_start(&error))
}
