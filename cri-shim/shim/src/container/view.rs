//! A container as the messages of the contract show it.

use std::collections::BTreeMap;

use sampan_proto::{CAPABILITIES_INFO, v1};

use super::Container;
use crate::phase::{Ended, Phase, Running};
use crate::time::now_nanos;

impl Container {
    /// As a list shows it.
    pub(crate) fn item(&self) -> v1::Container {
        v1::Container {
            id: self.id.to_string(),
            pod_sandbox_id: self.sandbox.to_string(),
            metadata: self.config.metadata.clone(),
            image: Some(self.image_spec()),
            image_ref: self.image_id.clone(),
            state: self.phase().state().into(),
            created_at: self.created_at,
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
            image_id: self.image_id.clone(),
        }
    }

    /// As its own status call and the events show it.
    pub(crate) fn status(&self) -> v1::ContainerStatus {
        let phase = self.phase();
        let resources = self.resources();
        let resources = (resources != v1::LinuxContainerResources::default()).then_some(resources);
        let status = v1::ContainerStatus {
            id: self.id.to_string(),
            metadata: self.config.metadata.clone(),
            state: phase.state().into(),
            created_at: self.created_at,
            image: Some(self.image_spec()),
            image_ref: self.image_id.clone(),
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
            mounts: self.config.mounts.clone(),
            log_path: self
                .log
                .path()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            resources: resources.map(|linux| v1::ContainerResources {
                linux: Some(linux),
                windows: None,
            }),
            image_id: self.image_id.clone(),
            user: self.user(),
            stop_signal: self.config.stop_signal,
            ..Default::default()
        };
        match phase {
            Phase::Created | Phase::Starting => status,
            Phase::Running(Running { started_at, .. }) => v1::ContainerStatus {
                started_at,
                ..status
            },
            Phase::Exited(Ended {
                started_at,
                finished_at,
                exit_code,
                reason,
                message,
                ..
            }) => v1::ContainerStatus {
                started_at,
                finished_at,
                exit_code,
                reason: reason.as_str().to_string(),
                message,
                ..status
            },
        }
    }

    /// What a verbose status tells beyond the contract.
    pub(crate) fn info(&self) -> BTreeMap<String, String> {
        let names = self.capabilities.clone();
        let info = names.map(|names| (CAPABILITIES_INFO.to_string(), names));
        info.into_iter().collect()
    }

    pub(crate) fn stats(&self, mountpoint: &str) -> v1::ContainerStats {
        let stats = self.phase().stats();
        let timestamp = now_nanos();
        let count = |value| Some(v1::UInt64Value { value });
        v1::ContainerStats {
            attributes: Some(v1::ContainerAttributes {
                id: self.id.to_string(),
                metadata: self.config.metadata.clone(),
                labels: self.config.labels.clone(),
                annotations: self.config.annotations.clone(),
            }),
            cpu: Some(v1::CpuUsage {
                timestamp,
                usage_core_nano_seconds: count(stats.cpu_nanos),
                ..Default::default()
            }),
            memory: Some(v1::MemoryUsage {
                timestamp,
                working_set_bytes: count(stats.memory_bytes),
                usage_bytes: count(stats.memory_bytes),
                rss_bytes: count(stats.memory_bytes),
                ..Default::default()
            }),
            // A guest has no writable layer: it writes to mounts only.
            writable_layer: Some(v1::FilesystemUsage {
                timestamp,
                fs_id: Some(v1::FilesystemIdentifier {
                    mountpoint: mountpoint.to_string(),
                }),
                used_bytes: count(0),
                inodes_used: count(0),
            }),
            ..Default::default()
        }
    }

    fn image_spec(&self) -> v1::ImageSpec {
        let spec = self.config.image.clone().unwrap_or_default();
        v1::ImageSpec {
            image: self.image_name.clone(),
            ..spec
        }
    }

    /// The identity asked for. A guest has none of its own.
    fn user(&self) -> Option<v1::ContainerUser> {
        let context = self.config.linux.as_ref()?.security_context.as_ref()?;
        let uid = context.run_as_user?.value;
        Some(v1::ContainerUser {
            linux: Some(v1::LinuxContainerUser {
                uid,
                gid: context.run_as_group.unwrap_or_default().value,
                supplemental_groups: context.supplemental_groups.clone(),
            }),
        })
    }
}
