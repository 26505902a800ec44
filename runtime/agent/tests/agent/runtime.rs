//! A runtime that follows a script: what a container does stands in its arguments.
//!
//! `run` runs until stopped, `exit N` ends with that code at once; further arguments are printed,
//! or written as termination message when they start with `message=`.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use async_trait::async_trait;
use futures::StreamExt as _;
use parking_lot::Mutex;
use sampan_proto::v1::*;
use sampan_proto::{Code, ContainerEvents, CriError, ImageService, RuntimeService};
use tokio::sync::{Semaphore, broadcast};

type Answer<T> = Result<T, CriError>;

#[derive(Default)]
struct Data {
    next: u64,
    sandboxes: BTreeMap<String, PodSandboxConfig>,
    containers: BTreeMap<String, (String, ContainerConfig, ContainerStatus)>,
    images: BTreeSet<String>,
    calls: Vec<String>,
    /// Sandboxes whose containers wait for the compiler.
    queued: BTreeSet<String>,
    auths: Vec<AuthConfig>,
    /// What every container uses.
    memory: u64,
    /// The next sandbox takes its caller down.
    panics: bool,
}

pub(crate) struct FakeRuntime {
    data: Mutex<Data>,
    events: broadcast::Sender<ContainerEventResponse>,
    /// One place for each module that may be compiled; there is none at first.
    compiler: Semaphore,
    /// One place for each look at what a sandbox is doing.
    looks: Semaphore,
}

fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap()
}

impl FakeRuntime {
    pub(crate) fn new(images: &[&str]) -> FakeRuntime {
        let data = Data {
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            ..Data::default()
        };
        FakeRuntime {
            data: Mutex::new(data),
            events: broadcast::channel(4096).0,
            compiler: Semaphore::new(0),
            looks: Semaphore::new(0),
        }
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.data.lock().memory = bytes;
    }

    pub(crate) fn panic_once(&self) {
        self.data.lock().panics = true;
    }

    /// Compiles all that waits for that.
    pub(crate) fn compile(&self) {
        self.compiler.add_permits(self.calls("queue "));
    }

    /// Ends a running container of this name, as if by itself.
    pub(crate) fn finish(&self, name: &str, code: i32) {
        let id = {
            let data = self.data.lock();
            let running = data.containers.iter().find(|(_, (_, config, status))| {
                config.labels["io.kubernetes.container.name"] == name
                    && status.state() == ContainerState::ContainerRunning
            });
            running.unwrap().0.clone()
        };
        self.end(&id, code);
    }

    /// Appends a line to the log of a running container.
    pub(crate) fn print(&self, name: &str, line: &str) {
        let data = self.data.lock();
        let (_, _, status) = data
            .containers
            .values()
            .find(|(_, config, _)| config.labels["io.kubernetes.container.name"] == name)
            .unwrap();
        append(&status.log_path, line);
    }

    fn end(&self, id: &str, code: i32) {
        let mut data = self.data.lock();
        let Some((sandbox, _, status)) = data.containers.get_mut(id) else {
            return;
        };
        if status.state() != ContainerState::ContainerRunning {
            return;
        }
        status.set_state(ContainerState::ContainerExited);
        status.exit_code = code;
        status.finished_at = now();
        let sandbox = sandbox.clone();
        let metadata = data
            .sandboxes
            .get(&sandbox)
            .and_then(|config| config.metadata.clone());
        let event = ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: ContainerEventType::ContainerStoppedEvent.into(),
            pod_sandbox_status: Some(PodSandboxStatus {
                metadata,
                ..Default::default()
            }),
            ..Default::default()
        };
        self.events.send(event).ok();
    }

    fn id(&self, call: &str, name: &str) -> String {
        let mut data = self.data.lock();
        data.calls.push(format!("{call} {name}"));
        data.next += 1;
        format!("{:064x}", data.next)
    }
}

fn on_host_network(config: &PodSandboxConfig) -> bool {
    let linux = config.linux.as_ref();
    let security = linux.and_then(|linux| linux.security_context.as_ref());
    let options = security.and_then(|security| security.namespace_options.as_ref());
    options.is_some_and(|options| options.network() == NamespaceMode::Node)
}

fn image(name: &str) -> Image {
    Image {
        id: format!("sha256:{name}"),
        repo_tags: vec![name.to_owned()],
        size: 7,
        ..Default::default()
    }
}

fn append(path: &str, line: &str) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%NZ");
    file.write_all(format!("{time} stdout F {line}\n").as_bytes())
        .unwrap();
}

#[async_trait]
impl RuntimeService for FakeRuntime {
    async fn version(&self, _: VersionRequest) -> Answer<VersionResponse> {
        Ok(VersionResponse {
            version: "0.1.0".into(),
            runtime_name: "sampan".into(),
            runtime_version: "1.2.3".into(),
            runtime_api_version: "v1".into(),
        })
    }
    async fn status(&self, _: StatusRequest) -> Answer<StatusResponse> {
        Ok(StatusResponse::default())
    }
    async fn update_runtime_config(
        &self,
        _: UpdateRuntimeConfigRequest,
    ) -> Answer<UpdateRuntimeConfigResponse> {
        Ok(UpdateRuntimeConfigResponse {})
    }
    async fn runtime_config(&self, _: RuntimeConfigRequest) -> Answer<RuntimeConfigResponse> {
        Ok(RuntimeConfigResponse::default())
    }
    async fn run_pod_sandbox(&self, r: RunPodSandboxRequest) -> Answer<RunPodSandboxResponse> {
        let config = r.config.unwrap();
        let id = self.id("run_sandbox", &config.metadata.as_ref().unwrap().name);
        if std::mem::take(&mut self.data.lock().panics) {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        self.data.lock().sandboxes.insert(id.clone(), config);
        Ok(RunPodSandboxResponse { pod_sandbox_id: id })
    }
    async fn stop_pod_sandbox(&self, r: StopPodSandboxRequest) -> Answer<StopPodSandboxResponse> {
        self.id("stop_sandbox", &r.pod_sandbox_id);
        Ok(StopPodSandboxResponse {})
    }
    async fn remove_pod_sandbox(
        &self,
        r: RemovePodSandboxRequest,
    ) -> Answer<RemovePodSandboxResponse> {
        let mut data = self.data.lock();
        data.sandboxes.remove(&r.pod_sandbox_id);
        data.containers
            .retain(|_, (sandbox, ..)| *sandbox != r.pod_sandbox_id);
        Ok(RemovePodSandboxResponse {})
    }
    async fn pod_sandbox_status(
        &self,
        r: PodSandboxStatusRequest,
    ) -> Answer<PodSandboxStatusResponse> {
        let data = self.data.lock();
        let config = data.sandboxes.get(&r.pod_sandbox_id);
        let config = config.ok_or_else(|| CriError::not_found("no such sandbox"))?;
        let id = r.pod_sandbox_id;
        self.looks.add_permits(usize::from(r.verbose));
        let number = u64::from_str_radix(&id, 16).unwrap();
        Ok(PodSandboxStatusResponse {
            status: Some(PodSandboxStatus {
                id: id.clone(),
                metadata: config.metadata.clone(),
                network: Some(PodSandboxNetworkStatus {
                    // A sandbox on the host's network has no address of its own.
                    ip: match on_host_network(config) {
                        true => String::new(),
                        false => format!("127.64.0.{}", number % 250 + 1),
                    },
                    additional_ips: vec![],
                }),
                ..Default::default()
            }),
            info: match data.queued.contains(&id) {
                true => [(sampan_proto::WAITING_TO_COMPILE.to_owned(), "1".to_owned())].into(),
                false => Default::default(),
            },
            ..Default::default()
        })
    }
    async fn update_pod_sandbox_resources(
        &self,
        r: UpdatePodSandboxResourcesRequest,
    ) -> Answer<UpdatePodSandboxResourcesResponse> {
        let mut data = self.data.lock();
        let found = data.sandboxes.get_mut(&r.pod_sandbox_id);
        let config = found.ok_or_else(|| CriError::not_found("no such sandbox"))?;
        config.linux.get_or_insert_default().resources = r.resources;
        data.calls
            .push(format!("update_sandbox {}", r.pod_sandbox_id));
        Ok(UpdatePodSandboxResourcesResponse {})
    }
    async fn list_pod_sandbox(&self, _: ListPodSandboxRequest) -> Answer<ListPodSandboxResponse> {
        let data = self.data.lock();
        let items = data.sandboxes.iter().map(|(id, config)| PodSandbox {
            id: id.clone(),
            metadata: config.metadata.clone(),
            ..Default::default()
        });
        Ok(ListPodSandboxResponse {
            items: items.collect(),
        })
    }
    async fn create_container(&self, r: CreateContainerRequest) -> Answer<CreateContainerResponse> {
        let config = r.config.unwrap();
        if config.args.first().is_some_and(|arg| arg == "forbidden") {
            return Err(CriError::new(Code::PermissionDenied, "not allowed"));
        }
        if config.args.first().is_some_and(|arg| arg == "uncreatable") {
            return Err(CriError::new(
                Code::InvalidArgument,
                "the module does not compile",
            ));
        }
        let queued = ["queued", "read and queued"];
        if config.args.first().is_some_and(|arg| arg == queued[1]) {
            // Its module is so large that somebody looks meanwhile.
            self.looks.acquire().await.unwrap().forget();
        }
        if config
            .args
            .first()
            .is_some_and(|arg| queued.contains(&arg.as_str()))
        {
            self.id("queue", &r.pod_sandbox_id);
            self.data.lock().queued.insert(r.pod_sandbox_id.clone());
            self.compiler.acquire().await.unwrap().forget();
            self.data.lock().queued.remove(&r.pod_sandbox_id);
        }
        let id = self.id("create", &config.labels["io.kubernetes.container.name"]);
        let logs = r.sandbox_config.unwrap().log_directory;
        let status = ContainerStatus {
            id: id.clone(),
            metadata: config.metadata.clone(),
            created_at: now(),
            image: config.image.clone(),
            image_ref: config.image.clone().unwrap().image,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            mounts: config.mounts.clone(),
            log_path: format!("{logs}/{}", config.log_path),
            resources: config.linux.clone().map(|linux| ContainerResources {
                linux: linux.resources,
                windows: None,
            }),
            ..Default::default()
        };
        self.data
            .lock()
            .containers
            .insert(id.clone(), (r.pod_sandbox_id, config, status));
        Ok(CreateContainerResponse { container_id: id })
    }
    async fn start_container(&self, r: StartContainerRequest) -> Answer<StartContainerResponse> {
        let args = {
            let mut data = self.data.lock();
            let (_, config, status) = data.containers.get_mut(&r.container_id).unwrap();
            status.set_state(ContainerState::ContainerRunning);
            status.started_at = now();
            std::fs::File::create(&status.log_path).unwrap();
            let printed = if config.args.first().is_some_and(|a| a == "exit") {
                2
            } else {
                1
            };
            for line in config.args.iter().skip(printed) {
                match line.strip_prefix("message=") {
                    Some(message) => {
                        let file = status
                            .mounts
                            .iter()
                            .find(|m| m.container_path.ends_with("-log"));
                        std::fs::write(&file.unwrap().host_path, message).unwrap();
                    }
                    None => append(&status.log_path, line),
                }
            }
            config.args.clone()
        };
        if args.first().is_some_and(|arg| arg == "exit") {
            self.end(&r.container_id, args[1].parse().unwrap());
        }
        Ok(StartContainerResponse {})
    }
    async fn stop_container(&self, r: StopContainerRequest) -> Answer<StopContainerResponse> {
        self.id("stop", &format!("{} {}", r.container_id, r.timeout));
        self.end(&r.container_id, 143);
        Ok(StopContainerResponse {})
    }
    async fn remove_container(&self, r: RemoveContainerRequest) -> Answer<RemoveContainerResponse> {
        self.data.lock().containers.remove(&r.container_id);
        Ok(RemoveContainerResponse {})
    }
    async fn list_containers(&self, _: ListContainersRequest) -> Answer<ListContainersResponse> {
        let data = self.data.lock();
        let containers = data
            .containers
            .iter()
            .map(|(id, (sandbox, config, status))| Container {
                id: id.clone(),
                pod_sandbox_id: sandbox.clone(),
                labels: config.labels.clone(),
                created_at: status.created_at,
                ..Default::default()
            });
        Ok(ListContainersResponse {
            containers: containers.collect(),
        })
    }
    async fn container_status(&self, r: ContainerStatusRequest) -> Answer<ContainerStatusResponse> {
        let data = self.data.lock();
        let found = data.containers.get(&r.container_id);
        let (_, _, status) = found.ok_or_else(|| CriError::not_found("no such container"))?;
        let told = ("capabilities".to_owned(), "environment,stdio".to_owned());
        Ok(ContainerStatusResponse {
            status: Some(status.clone()),
            info: r.verbose.then_some(told).into_iter().collect(),
        })
    }
    async fn reopen_container_log(
        &self,
        _: ReopenContainerLogRequest,
    ) -> Answer<ReopenContainerLogResponse> {
        Ok(ReopenContainerLogResponse {})
    }
    async fn update_container_resources(
        &self,
        r: UpdateContainerResourcesRequest,
    ) -> Answer<UpdateContainerResourcesResponse> {
        let mut data = self.data.lock();
        data.calls.push(format!("update {}", r.container_id));
        let found = data.containers.get_mut(&r.container_id);
        let (_, _, status) = found.ok_or_else(|| CriError::not_found("no such container"))?;
        status.resources = Some(ContainerResources {
            linux: r.linux,
            windows: None,
        });
        Ok(UpdateContainerResourcesResponse {})
    }
    async fn container_stats(&self, _: ContainerStatsRequest) -> Answer<ContainerStatsResponse> {
        Ok(ContainerStatsResponse::default())
    }
    /// Only of one sandbox's containers, which all use the same.
    async fn list_container_stats(
        &self,
        r: ListContainerStatsRequest,
    ) -> Answer<ListContainerStatsResponse> {
        let sandbox = r.filter.unwrap_or_default().pod_sandbox_id;
        let data = self.data.lock();
        let memory = MemoryUsage {
            usage_bytes: Some(UInt64Value { value: data.memory }),
            ..Default::default()
        };
        let own = data.containers.iter().filter(|(_, (home, _, status))| {
            *home == sandbox && status.state() == ContainerState::ContainerRunning
        });
        let stats = own.map(|(id, _)| ContainerStats {
            attributes: Some(ContainerAttributes {
                id: id.clone(),
                ..Default::default()
            }),
            memory: Some(memory),
            ..Default::default()
        });
        Ok(ListContainerStatsResponse {
            stats: stats.collect(),
        })
    }
    async fn get_container_events(&self, _: GetEventsRequest) -> Answer<ContainerEvents> {
        let stream = tokio_stream::wrappers::BroadcastStream::new(self.events.subscribe());
        Ok(stream.filter_map(|event| async { event.ok() }).boxed())
    }
}

#[async_trait]
impl ImageService for FakeRuntime {
    async fn list_images(&self, _: ListImagesRequest) -> Answer<ListImagesResponse> {
        let data = self.data.lock();
        Ok(ListImagesResponse {
            images: data.images.iter().map(|name| image(name)).collect(),
        })
    }
    async fn image_status(&self, r: ImageStatusRequest) -> Answer<ImageStatusResponse> {
        let name = r.image.unwrap().image;
        let present = self.data.lock().images.contains(&name);
        Ok(ImageStatusResponse {
            image: present.then(|| image(&name)),
            ..Default::default()
        })
    }
    async fn pull_image(&self, r: PullImageRequest) -> Answer<PullImageResponse> {
        let name = r.image.unwrap().image;
        let anonymous = r.auth.is_none();
        self.data.lock().auths.extend(r.auth);
        if name.contains("private") && anonymous {
            return Err(CriError::internal(format!(
                "{name}: no basic auth credentials"
            )));
        }
        if name.contains("missing") {
            return Err(CriError::not_found(format!("{name}: not found")));
        }
        self.data.lock().images.insert(name.clone());
        Ok(PullImageResponse {
            image_ref: format!("sha256:{name}"),
        })
    }
    async fn remove_image(&self, _: RemoveImageRequest) -> Answer<RemoveImageResponse> {
        Ok(RemoveImageResponse {})
    }
    async fn image_fs_info(&self, _: ImageFsInfoRequest) -> Answer<ImageFsInfoResponse> {
        Ok(ImageFsInfoResponse::default())
    }
}
