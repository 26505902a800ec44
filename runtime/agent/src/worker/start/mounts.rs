//! What a container finds in its file system besides its image: volumes, its message file, the pod's `/etc/hosts`.

use std::collections::{BTreeMap, HashSet};

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use sampan_proto::v1;

use super::{Start, failure};
use crate::agent::with_causes;
use crate::content::{self, Mounts, Source};
use crate::cri;
use crate::events::Severity;
use crate::images::Wanted;
use crate::plan::StartFailure;
use crate::worker::message::message_file;

const HOSTS: &str = "/etc/hosts";

impl Start {
    /// Pulls the images that the container mounts. By volume name: the id in the runtime and the pod's name of it.
    pub(super) async fn images(&self) -> Result<BTreeMap<String, Source>, StartFailure> {
        let mut images = BTreeMap::new();
        for volume in self.mounted() {
            let Some(source) = &volume.image else {
                continue;
            };
            let reference = source.reference.clone().unwrap_or_default();
            let wanted = Wanted {
                image: &reference,
                policy: source.pull_policy.as_deref(),
                container: None,
            };
            let (puller, recorder) = (&self.shared.puller, &self.recorder);
            let id = puller
                .ensure(&self.pod, wanted, recorder, &self.cancel)
                .await
                .inspect_err(|failure| {
                    let message = format!("Error: {}", failure.message);
                    let name = &self.container.name;
                    recorder.container(name, Severity::Warning, "Failed", &message);
                })?;
            images.insert(volume.name.clone(), Source::Image { id, reference });
        }
        Ok(images)
    }

    /// The pod's volumes that the container mounts.
    fn mounted(&self) -> impl Iterator<Item = &Volume> {
        let volumes = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.volumes.as_deref());
        let mounts: &[VolumeMount] = self.container.volume_mounts.as_deref().unwrap_or_default();
        let used: HashSet<&str> = mounts.iter().map(|mount| mount.name.as_str()).collect();
        let used = move |volume: &&Volume| used.contains(volume.name.as_str());
        volumes.unwrap_or_default().iter().filter(used)
    }

    /// All mounts. Little file work, within the starts' bound.
    pub(super) async fn mounts(
        &self,
        env: &[(String, String)],
        mut sources: BTreeMap<String, Source>,
    ) -> Result<Mounts, StartFailure> {
        // The runtime follows no link in a mount's path: the ones above the pod's folder are the
        // administrator's, and resolved here.
        let made = tokio::fs::create_dir_all(&self.pod_dir).await;
        let pod_dir = match made {
            Ok(()) => tokio::fs::canonicalize(&self.pod_dir).await,
            Err(error) => Err(error),
        };
        let pod_dir = pod_dir.map_err(|error| self.bad_config(&error.to_string()))?;
        for volume in self.mounted().filter(|volume| volume.image.is_none()) {
            let (policy, client) = (&self.shared.volumes, &self.shared.client);
            let place = content::place_of(&self.pod, volume, &pod_dir, policy, client).await;
            let place = place.map_err(|error| self.bad_config(&with_causes(&error)))?;
            sources.insert(volume.name.clone(), Source::Place(place));
        }
        let (pod, container) = (self.pod.clone(), self.container.clone());
        let values: BTreeMap<String, String> = env.iter().cloned().collect();
        let (attempt, ips) = (self.attempt, self.ips.clone());
        let log_dir = cri::log_directory(&self.shared.log_dir, &pod).join(&container.name);
        let made = tokio::task::spawn_blocking(move || {
            let mut made = content::mounts(&container, &sources, &values)
                .map_err(|error| with_causes(&error))?;
            let (message, limit) =
                message_file(&container, &pod_dir, attempt).map_err(|e| e.to_string())?;
            made.mounts.push(message);
            made.limits.push(limit);
            if wants_hosts(container.volume_mounts.as_deref().unwrap_or_default()) {
                let file = content::write_hosts(&pod, &cri::hostname(&pod), &ips, &pod_dir);
                let file = file.map_err(|error| error.to_string())?;
                made.mounts.push(v1::Mount {
                    container_path: HOSTS.to_owned(),
                    host_path: file.to_string_lossy().into_owned(),
                    readonly: true,
                    ..v1::Mount::default()
                });
            }
            std::fs::create_dir_all(log_dir).map_err(|error| error.to_string())?;
            Ok(made)
        })
        .await;
        let made = made.unwrap_or_else(|error| Err(error.to_string()));
        made.map_err(|message: String| self.bad_config(&message))
    }

    pub(super) fn bad_config(&self, message: &str) -> StartFailure {
        let name = &self.container.name;
        let error = format!("Error: {message}");
        self.recorder
            .container(name, Severity::Warning, "Failed", &error);
        failure("CreateContainerConfigError", message)
    }
}

/// Not where a container mounts something of its own there.
fn wants_hosts(mounts: &[VolumeMount]) -> bool {
    !mounts.iter().any(|mount| {
        let path = mount.mount_path.trim_end_matches('/');
        path == HOSTS || path == "/etc"
    })
}
