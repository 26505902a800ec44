//! One container: what was asked for, where it stands, and how the outside sees it.

mod view;

use std::sync::Arc;

use parking_lot::Mutex;
use sampan_engine::{GuestFile, HostInterfaces, Module, Mount, VolumeLimit};
use sampan_proto::{CONFIG_MAPS, CriError, v1};
use tokio::sync::watch;

use crate::capabilities;
use crate::hosts::Hosts;
use crate::id::Id;
use crate::log::ContainerLog;
use crate::phase::{Phase, Refused};
use crate::resources;
use crate::workload::Workload;

pub(crate) struct Container {
    pub(crate) id: Id,
    pub(crate) sandbox: Id,
    /// As requested, but without arguments, environment and settings, which are in `launch`, and resources, which change.
    pub(crate) config: v1::ContainerConfig,
    pub(crate) image_id: String,
    /// The name people know the image by.
    pub(crate) image_name: String,
    pub(crate) created_at: i64,
    /// What its module can reach: names separated by commas. None without a module.
    pub(crate) capabilities: Option<String>,
    pub(crate) log: Arc<ContainerLog>,
    resources: Mutex<v1::LinuxContainerResources>,
    /// What it is started with, or why it cannot be; taken by the one start.
    launch: Mutex<Option<Result<Launch, CriError>>>,
    phase: watch::Sender<Phase>,
}

/// Everything checked and ready to be started.
pub(crate) struct Launch {
    pub(crate) module: Module,
    pub(crate) workload: Workload,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) files: Vec<GuestFile>,
    pub(crate) hosts: Hosts,
    pub(crate) volume_limits: Vec<VolumeLimit>,
    pub(crate) ports: Vec<u16>,
    pub(crate) host: HostInterfaces,
}

/// What a container is made of.
pub(crate) struct NewContainer {
    pub(crate) sandbox: Id,
    pub(crate) config: v1::ContainerConfig,
    pub(crate) image_id: String,
    pub(crate) image_name: String,
    pub(crate) log: Arc<ContainerLog>,
    pub(crate) launch: Result<Launch, CriError>,
}

impl Container {
    pub(crate) fn new(new: NewContainer) -> Container {
        let mut config = new.config;
        config.envs = Vec::new();
        config.command = Vec::new();
        config.args = Vec::new();
        config.annotations.remove(CONFIG_MAPS);
        let linux = config.linux.as_mut();
        let resources = linux.and_then(|linux| linux.resources.take());
        Container {
            id: crate::id::new(),
            sandbox: new.sandbox,
            config,
            image_id: new.image_id,
            image_name: new.image_name,
            created_at: crate::time::now_nanos(),
            capabilities: new
                .launch
                .as_ref()
                .ok()
                .map(|launch| capabilities::names(&launch.module)),
            log: new.log,
            resources: Mutex::new(resources.unwrap_or_default()),
            launch: Mutex::new(Some(new.launch)),
            phase: watch::channel(Phase::Created).0,
        }
    }

    /// What no two containers of a sandbox may share.
    pub(crate) fn metadata(&self) -> v1::ContainerMetadata {
        self.config.metadata.clone().unwrap_or_default()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Goes one step on, if the present phase allows it. Called under the lock of the table, which
    /// makes steps and events one order.
    pub(crate) fn step(
        &self,
        step: impl FnOnce(&Phase) -> Result<Phase, Refused>,
    ) -> Result<(), Refused> {
        let next = step(&self.phase.borrow())?;
        self.phase.send_replace(next);
        Ok(())
    }

    pub(crate) fn take_launch(&self) -> Option<Result<Launch, CriError>> {
        self.launch.lock().take()
    }

    /// The limits asked for last.
    pub(crate) fn resources(&self) -> v1::LinuxContainerResources {
        self.resources.lock().clone()
    }

    pub(crate) fn change_resources(&self, update: v1::LinuxContainerResources) {
        resources::merge(&mut self.resources.lock(), update);
        self.apply_resources();
    }

    /// Tells a running guest its limits. Under the lock, so that the last change is told last.
    pub(crate) fn apply_resources(&self) {
        let resources = self.resources.lock();
        if let Some(guest) = self.phase().guest() {
            guest.update(
                Some(resources::cpu(&resources)),
                resources::memory_limit(&resources),
            );
        }
    }

    /// The phase, once it is not on its way from created to running.
    pub(crate) async fn settled(&self) -> Phase {
        self.wait_for(|phase| !phase.is_starting()).await
    }

    /// Returns when the container has ended.
    pub(crate) async fn exited(&self) {
        self.wait_for(Phase::is_exited).await;
    }

    async fn wait_for(&self, mut condition: impl FnMut(&Phase) -> bool) -> Phase {
        let mut phase = self.phase.subscribe();
        let reached = phase.wait_for(|phase| condition(phase)).await;
        reached.expect("the sender lives as long as self").clone()
    }
}
