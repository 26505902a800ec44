//! Where the content of volumes lies: in the pod's folder, in a folder of the host that the operator allows, in a
//! folder that outlives the pod, or in an image.

mod claim;
mod host_path;

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Pod, Volume};
use sampan_api::ephemeral;

use super::NodeFacts;
use super::volumes::{VolumeError, is_rendered};
use crate::config::HostFolder;
use crate::plan::all_containers;
use crate::quantity;

pub(crate) use claim::{is_here, local_folder};

/// What a node does for volumes.
#[derive(Clone, Default)]
pub(crate) struct VolumePolicy {
    /// Folders that hostPath volumes and `local` PersistentVolumes may lie in.
    pub(crate) host_folders: Vec<HostFolder>,
    /// A folder in memory for emptyDirs of that medium.
    pub(crate) memory_dir: Option<PathBuf>,
    /// Some volumes are on some nodes only, and an emptyDir in memory holds no more than the node has.
    pub(crate) node: NodeFacts,
    /// Where PersistentVolumes that this node provides lie.
    pub(crate) local_dir: PathBuf,
}

/// Where a volume's content is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
    /// Bytes it may hold.
    pub(crate) limit: Option<u64>,
    /// The operator's folders inside it, each with a word of its own on what may be written.
    pub(crate) inside: Vec<HostFolder>,
}

impl Place {
    fn new(path: PathBuf) -> Place {
        Place {
            path,
            read_only: false,
            limit: None,
            inside: Vec::new(),
        }
    }

    /// Whatever the operator says, this one is only read.
    fn only_read(&mut self) {
        self.read_only = true;
        self.inside.clear();
    }

    /// The operator's word on a path in it.
    pub(super) fn is_read_only_at(&self, path: &Path) -> bool {
        match HostFolder::innermost(&self.inside, path) {
            Some(folder) => folder.read_only,
            None => self.read_only,
        }
    }

    /// A folder at or below a path in it that may only be read.
    pub(super) fn fixed_below(&self, path: &Path) -> Option<&Path> {
        let mut fixed = self.inside.iter().filter(|folder| folder.read_only);
        let found = fixed.find(|folder| folder.path.starts_with(path))?;
        Some(&found.path)
    }
}

/// Whether folders are made and types are checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The pod starts.
    Prepare,
    /// A container of it starts.
    Mount,
}

/// Where a volume's content is. `Prepare` makes what the volume's definition says is to be made.
pub(super) async fn place(
    pod: &Pod,
    volume: &Volume,
    pod_dir: &Path,
    policy: &VolumePolicy,
    client: &kube::Client,
    step: Step,
) -> Result<Place, VolumeError> {
    if is_rendered(volume) {
        return Ok(Place {
            read_only: true,
            ..Place::new(volume_dir(pod_dir, volume))
        });
    }
    if volume.empty_dir.is_some() {
        let place = empty_dir(pod, volume, pod_dir, policy);
        if step == Step::Prepare {
            make_folder(&place.path).await?;
        }
        return Ok(place);
    }
    if let Some(source) = &volume.host_path {
        let kind = source.type_.clone().unwrap_or_default();
        return host_path::place(&source.path, &kind, &policy.host_folders, step).await;
    }
    if let Some(source) = &volume.persistent_volume_claim {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let named = claim::Named {
            namespace,
            name: &source.claim_name,
            made_for: None,
        };
        let mut place = claim::place(client, named, policy, step).await?;
        if source.read_only == Some(true) {
            place.only_read();
        }
        return Ok(place);
    }
    if let Some(source) = &volume.ephemeral
        && source.volume_claim_template.is_some()
    {
        let metadata = &pod.metadata;
        let pod_name = metadata.name.as_deref().unwrap_or_default();
        let named = claim::Named {
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: &ephemeral::claim_name(pod_name, &volume.name),
            made_for: Some(pod),
        };
        return claim::place(client, named, policy, step).await;
    }
    Err(VolumeError::Unsupported(type_name(volume)))
}

/// Where a volume of a pod lives below the pod's folder.
pub(super) fn volume_dir(pod_dir: &Path, volume: &Volume) -> PathBuf {
    let plugin = if volume.config_map.is_some() {
        "kubernetes.io~configmap"
    } else if volume.secret.is_some() {
        "kubernetes.io~secret"
    } else if volume.downward_api.is_some() {
        "kubernetes.io~downward-api"
    } else if volume.projected.is_some() {
        "kubernetes.io~projected"
    } else {
        "kubernetes.io~empty-dir"
    };
    pod_dir.join("volumes").join(plugin).join(&volume.name)
}

/// The folder of a pod's emptyDirs in memory.
pub(crate) fn memory_dir(policy: &VolumePolicy, uid: &str) -> Option<PathBuf> {
    Some(policy.memory_dir.as_ref()?.join(uid))
}

/// Whether a pod asks for an emptyDir in memory.
pub(crate) fn wants_memory(pod: &Pod) -> Option<&str> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
    let wants = |volume: &&Volume| {
        let medium = volume
            .empty_dir
            .as_ref()
            .and_then(|dir| dir.medium.as_deref());
        medium == Some("Memory")
    };
    let found = volumes.unwrap_or_default().iter().find(wants)?;
    Some(&found.name)
}

fn empty_dir(pod: &Pod, volume: &Volume, pod_dir: &Path, policy: &VolumePolicy) -> Place {
    let source = volume.empty_dir.clone().unwrap_or_default();
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let wanted = source.size_limit.as_ref().and_then(quantity::whole);
    let mut limit = wanted.filter(|limit| *limit > 0);
    let in_memory = source.medium.as_deref() == Some("Memory");
    if in_memory {
        // Never more than the pod's containers may use, or the node has, as upstream.
        let bounds = [
            limit,
            memory_limit(pod),
            Some(policy.node.allocatable("memory")),
        ];
        limit = bounds.into_iter().flatten().filter(|most| *most > 0).min();
    }
    let path = match memory_dir(policy, uid).filter(|_| in_memory) {
        Some(dir) => dir.join(&volume.name),
        None => volume_dir(pod_dir, volume),
    };
    Place {
        limit: limit.and_then(|limit| u64::try_from(limit).ok()),
        ..Place::new(path)
    }
}

/// The pod's memory limit, or the sum of its containers' if each has one.
fn memory_limit(pod: &Pod) -> Option<i64> {
    let resources = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    if let Some(whole) = limits.and_then(|limits| limits.get("memory")) {
        return quantity::whole(whole);
    }
    all_containers(pod)
        .map(|(container, _)| {
            let limits = container.resources.as_ref()?.limits.as_ref()?;
            limits.get("memory").and_then(quantity::whole)
        })
        .try_fold(0, |sum: i64, limit| Some(sum.saturating_add(limit?)))
}

/// The field that says what a volume is, such as `nfs`.
fn type_name(volume: &Volume) -> String {
    let fields = serde_json::to_value(volume).unwrap_or_default();
    let named = fields
        .as_object()
        .and_then(|map| map.keys().find(|key| *key != "name").cloned());
    named.unwrap_or_else(|| "emptyDir".into())
}

async fn make_folder(path: &Path) -> Result<(), VolumeError> {
    let made = tokio::fs::create_dir_all(path).await;
    made.map_err(|source| VolumeError::Io {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn unsupported_types_are_named() {
        let volume: Volume =
            serde_json::from_value(json!({"name": "v", "nfs": {"path": "/", "server": "s"}}))
                .unwrap();
        assert_eq!(type_name(&volume), "nfs");
    }

    #[test]
    fn limits_that_are_more_than_a_number_holds() {
        let container = |name: &str, limit: &str| json!({"name": name, "resources": {"limits": {"memory": limit}}});
        let limit = |containers: serde_json::Value| {
            let resources = json!({"limits": {"cpu": "1"}});
            let spec = json!({"containers": containers, "resources": resources});
            let pod = json!({"metadata": {}, "spec": spec});
            memory_limit(&serde_json::from_value(pod).unwrap())
        };
        let two = json!([container("a", "1Mi"), container("b", "1Mi")]);
        assert_eq!(limit(two), Some(2 << 20));
        let most = json!([container("a", "7Ei"), container("b", "7Ei")]);
        assert_eq!(limit(most), Some(i64::MAX));
        let one = json!([container("a", "1Mi"), {"name": "b"}]);
        assert_eq!(limit(one), None);
        let spec =
            json!({"containers": [{"name": "b"}], "resources": {"limits": {"memory": "1Ki"}}});
        let pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        assert_eq!(memory_limit(&pod), Some(1024));
    }

    #[test]
    fn empty_dirs_and_their_limits() {
        let has = |memory: &str| [("memory".to_owned(), Quantity(memory.to_owned()))].into();
        let node = NodeFacts {
            room: Arc::new(Room::new(&has("1Gi"))),
            ..NodeFacts::default()
        };
        let policy = |memory_dir: Option<&str>| VolumePolicy {
            memory_dir: memory_dir.map(PathBuf::from),
            node: node.clone(),
            ..VolumePolicy::default()
        };
        let check = |source: serde_json::Value, limit: Option<&str>, memory_dir, expect| {
            let resources = limit.map(|limit| json!({"limits": {"memory": limit}}));
            let volume: Volume =
                serde_json::from_value(json!({"name": "e", "emptyDir": source})).unwrap();
            let pod: Pod = serde_json::from_value(json!({"metadata": {"uid": "u"},
                "spec": {"containers": [{"name": "c", "resources": resources}]}}))
            .unwrap();
            let place = empty_dir(&pod, &volume, Path::new("/pods/u"), &policy(memory_dir));
            let path = place.path.display().to_string();
            assert_eq!((path.as_str(), place.limit), expect, "{source}");
        };
        let disk = "/pods/u/volumes/kubernetes.io~empty-dir/e";
        let shm = Some("/dev/shm/x");
        check(json!({}), None, shm, (disk, None));
        check(
            json!({"sizeLimit": "1Mi"}),
            None,
            shm,
            (disk, Some(1 << 20)),
        );
        let memory = json!({"medium": "Memory"});
        check(memory.clone(), None, shm, ("/dev/shm/x/u/e", Some(1 << 30)));
        check(
            memory.clone(),
            Some("1Mi"),
            shm,
            ("/dev/shm/x/u/e", Some(1 << 20)),
        );
        check(memory.clone(), None, None, (disk, Some(1 << 30)));
        // No more than the node has, whatever the containers may use.
        for limit in ["2Gi", "8Ei"] {
            check(
                memory.clone(),
                Some(limit),
                shm,
                ("/dev/shm/x/u/e", Some(1 << 30)),
            );
        }
        let both = json!({"medium": "Memory", "sizeLimit": "1Ki"});
        check(both, Some("1Mi"), shm, ("/dev/shm/x/u/e", Some(1 << 10)));
        // The machine got more.
        node.room.set_whole(&has("2Gi"));
        check(memory, None, shm, ("/dev/shm/x/u/e", Some(2 << 30)));
    }
}
