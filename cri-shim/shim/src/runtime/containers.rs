//! Creating and showing containers. Everything that can be wrong with a container is found here,
//! before it is started: its image, its module, its mounts. That its program is missing is told by the start, as
//! container runtimes do it: the pod's author sees a container that ended, with the reason.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sampan_engine::{GuestFile, ModuleSource, VolumeLimit};
use sampan_image::{Content, Image, ModuleFile, Program};
use sampan_proto::{Code, CriError, v1};

use super::sandboxes::{check_maps, check_name};
use crate::annotations::Annotations;
use crate::capabilities::Forbidden;
use crate::container::{Container, Launch, NewContainer};
use crate::error::{from_load, from_module, unknown_container, unknown_image};
use crate::host::Grants;
use crate::hosts::Hosts;
use crate::id::Id;
use crate::log::ContainerLog;
use crate::mounts::Links;
use crate::pods::check_room;
use crate::sandbox::Sandbox;
use crate::shim::Shim;
use crate::workload::workload;
use crate::{etc, filter, launch, mounts, ports};

/// What is read from disk to create a container.
struct Prepared {
    /// Or why the image holds no such program.
    source: Result<ModuleSource, CriError>,
    mounts: Vec<sampan_engine::Mount>,
    files: Vec<GuestFile>,
    volume_limits: Vec<VolumeLimit>,
    hosts: Hosts,
}

/// What a container takes from its sandbox.
struct Place {
    sandbox: Id,
    config: v1::PodSandboxConfig,
    log_path: Option<PathBuf>,
    /// The pod's.
    annotations: BTreeMap<String, String>,
    forbidden: Forbidden,
    grants: Grants,
}

impl Place {
    fn of(sandbox: &Sandbox, config: &v1::ContainerConfig) -> Result<Place, CriError> {
        let name = config.metadata.as_ref().map(|m| m.name.as_str());
        Ok(Place {
            sandbox: sandbox.id.clone(),
            config: sandbox.config.clone(),
            log_path: sandbox.log_path(&config.log_path),
            annotations: sandbox.config.annotations.clone(),
            forbidden: Forbidden::of(&sandbox.config.annotations)?,
            grants: Grants::of(sandbox, &config.annotations, name.unwrap_or_default())?,
        })
    }
}

impl Shim {
    pub(super) async fn create(
        &self,
        request: v1::CreateContainerRequest,
    ) -> Result<String, CriError> {
        let config = request
            .config
            .ok_or_else(|| CriError::invalid_argument("config is missing"))?;
        check_config(&config)?;
        let metadata = config.metadata.clone().unwrap_or_default();
        let place = self.pods.sandbox(&request.pod_sandbox_id, |sandbox| {
            check_room(sandbox, &metadata).and_then(|()| Place::of(sandbox, &config))
        })??;
        let asked = config
            .image
            .as_ref()
            .map(|spec| spec.image.as_str())
            .unwrap_or_default();
        let image = self.images.get(asked).ok_or_else(|| unknown_image(asked))?;
        let args = launch::argv(&config, &image);
        let env = launch::env(&config, &image.config, &place.config.hostname)?;
        launch::check_size(&args, &env)?;
        let ports = ports::listen_ports(&config.annotations)?;
        let annotations = Annotations {
            pod: &place.annotations,
            container: &config.annotations,
            name: &metadata.name,
        };
        let is_module = matches!(image.content, Content::Module { .. });
        let workload = workload(&annotations, args.first().map(String::as_str), is_module)?;
        let program = launch::program(workload.program.clone(), &env, &config, &image.config);
        let prepared = self
            .prepare(image.clone(), program, &config, place.config)
            .await?;
        let module = match prepared.source {
            Ok(source) => {
                let load = self
                    .loading
                    .begin(place.sandbox.clone(), source.digest.clone());
                let loaded = self.engine.load(&source).await;
                drop(load);
                let module = loaded.map_err(|error| from_load(&error))?;
                let checked = module.check(&workload.entry);
                checked.map_err(|error| from_load(&error))?;
                place.forbidden.check(&module)?;
                place.grants.check(&module)?;
                let host = place
                    .grants
                    .interfaces(&module, &env, &config.annotations, &self.buckets)
                    .await?;
                Ok((module, host))
            }
            Err(missing) => Err(missing),
        };
        let container = Arc::new(Container::new(NewContainer {
            sandbox: place.sandbox,
            image_id: image.id.clone(),
            image_name: image_name(&config, &image),
            log: Arc::new(ContainerLog::new(place.log_path, self.config.log_rate)),
            launch: module.map(|(module, host)| Launch {
                module,
                workload,
                args,
                env,
                mounts: prepared.mounts,
                files: prepared.files,
                volume_limits: prepared.volume_limits,
                hosts: prepared.hosts,
                ports,
                host,
            }),
            config,
        }));
        self.pods.add_container(container.clone())?;
        Ok(container.id.to_string())
    }

    /// The parts that read files, off the async threads.
    async fn prepare(
        &self,
        image: Arc<Image>,
        program: Program,
        config: &v1::ContainerConfig,
        sandbox: v1::PodSandboxConfig,
    ) -> Result<Prepared, CriError> {
        let (mounts, links) = (config.mounts.clone(), Links::of(&config.annotations));
        let volume_limits = mounts::limits(&config.annotations)?;
        let images = self.images.clone();
        let work = tokio::task::spawn_blocking(move || {
            let source = match image.find(&program) {
                Ok(ModuleFile { digest, path }) => Ok(ModuleSource { digest, path }),
                Err(error) if error.is_missing() => Err(from_module(&error)),
                Err(error) => return Err(from_module(&error)),
            };
            let mut mounts = mounts::check(&mounts, links, &|name| images.get(name))?;
            add_root(&image, &mut mounts)?;
            Ok(Prepared {
                source,
                files: etc::files(&sandbox, &mounts),
                hosts: Hosts::of(&mounts),
                mounts,
                volume_limits,
            })
        });
        work.await
            .map_err(|_| CriError::new(Code::Unavailable, "the runtime is shutting down"))?
    }

    /// The container; NotFound if there is none.
    pub(super) fn known(&self, id: &str) -> Result<Arc<Container>, CriError> {
        self.pods.container(id).ok_or_else(|| unknown_container(id))
    }

    pub(super) fn list(&self, filter: Option<&v1::ContainerFilter>) -> v1::ListContainersResponse {
        let items = self
            .pods
            .containers()
            .into_iter()
            .map(|container| container.item());
        v1::ListContainersResponse {
            containers: items
                .filter(|item| filter::container(filter, item))
                .collect(),
        }
    }

    /// Of containers that have not ended; the last figures of others are told by ContainerStats.
    pub(super) fn list_stats(
        &self,
        filter: Option<&v1::ContainerStatsFilter>,
    ) -> v1::ListContainerStatsResponse {
        let mountpoint = self.mountpoint();
        let containers = self.pods.containers();
        let matching = containers.iter().filter(|container| {
            !container.phase().is_exited()
                && filter::stats(
                    filter,
                    &container.id,
                    &container.sandbox,
                    &container.config.labels,
                )
        });
        v1::ListContainerStatsResponse {
            stats: matching
                .map(|container| container.stats(&mountpoint))
                .collect(),
        }
    }

    /// Takes effect at once. One that has ended has nothing left to limit.
    pub(super) fn update(
        &self,
        request: v1::UpdateContainerResourcesRequest,
    ) -> Result<(), CriError> {
        let container = self.known(&request.container_id)?;
        let update = request.linux.unwrap_or_default();
        if container.phase().is_exited() {
            return Err(CriError::failed_precondition(format!(
                "container {} has exited",
                container.id
            )));
        }
        container.change_resources(update);
        Ok(())
    }

    pub(super) fn reopen_log(&self, id: &str) -> Result<(), CriError> {
        let container = self.known(id)?;
        if container.phase().guest().is_none() {
            return Err(CriError::failed_precondition(format!(
                "container {} is not running",
                container.id
            )));
        }
        container
            .log
            .reopen()
            .map_err(|error| CriError::internal(format!("cannot reopen the log: {error}")))
    }
}

/// A root filesystem is shared by all containers of its image, so it is read-only.
fn add_root(image: &Image, mounts: &mut Vec<sampan_engine::Mount>) -> Result<(), CriError> {
    if let Content::Rootfs { dir } = &image.content
        && !mounts.iter().any(|mount| mount.guest == "/")
    {
        let host = std::fs::canonicalize(dir).map_err(|error| {
            CriError::internal(format!("cannot open the image's root filesystem: {error}"))
        })?;
        mounts.push(sampan_engine::Mount {
            host,
            guest: "/".to_string(),
            read_only: true,
        });
    }
    Ok(())
}

/// As the pod names it, or else as the image is known.
fn image_name(config: &v1::ContainerConfig, image: &Image) -> String {
    let spec = config.image.clone().unwrap_or_default();
    let known = || {
        image
            .repo_tags
            .first()
            .or(image.repo_digests.first())
            .cloned()
    };
    match spec.user_specified_image.is_empty() {
        false => spec.user_specified_image,
        true => known().unwrap_or(spec.image),
    }
}

fn check_config(config: &v1::ContainerConfig) -> Result<(), CriError> {
    let metadata = config
        .metadata
        .as_ref()
        .filter(|metadata| !metadata.name.is_empty());
    let metadata =
        metadata.ok_or_else(|| CriError::invalid_argument("config.metadata.name is missing"))?;
    check_name(&metadata.name)?;
    check_maps(&config.labels, &config.annotations)?;
    check_log_path(&config.log_path)?;
    let context = config
        .linux
        .as_ref()
        .and_then(|linux| linux.security_context.as_ref());
    let group_alone = context.is_some_and(|context| {
        context.run_as_group.is_some()
            && context.run_as_user.is_none()
            && context.run_as_username.is_empty()
    });
    if group_alone {
        return Err(CriError::invalid_argument(
            "run_as_group is set without run_as_user or run_as_username",
        ));
    }
    Ok(())
}

/// A log stays below its sandbox's log folder.
fn check_log_path(path: &str) -> Result<(), CriError> {
    let below = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match below && !path.contains('\0') {
        true => Ok(()),
        false => Err(CriError::invalid_argument(format!(
            "log_path {path:?} must be relative and free of '..'"
        ))),
    }
}
