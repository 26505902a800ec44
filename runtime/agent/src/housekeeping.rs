//! Removes what no pod of this node owns any more: sandboxes and folders left by an earlier
//! process. Once, after the first list of pods; from then on every worker cleans up after itself.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sampan_proto::v1;

use crate::cri::Inventory;
use crate::worker::Shared;

/// What is to be removed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Orphans {
    sandboxes: Vec<String>,
    folders: Vec<PathBuf>,
}

/// Finds orphans. Called before any pod beyond `pods` (UIDs) can have made a folder.
pub(crate) fn orphans(shared: &Shared, inventory: &Inventory, pods: &HashSet<String>) -> Orphans {
    let sandboxes = inventory
        .sandboxes
        .iter()
        .filter(|(id, uid)| !pods.contains(uid) || !inventory.adopted.contains(id))
        .map(|(id, _)| id.clone())
        .collect();
    let mut folders = orphan_folders(&shared.pods_dir, pods, |name| Some(name));
    folders.extend(orphan_folders(&shared.log_dir, pods, uid_of_log_folder));
    if let Some(memory) = &shared.volumes.memory_dir {
        folders.extend(orphan_folders(memory, pods, |name| Some(name)));
    }
    Orphans { sandboxes, folders }
}

/// NAMESPACE_NAME_UID: none of the three has an underscore.
fn uid_of_log_folder(name: &str) -> Option<&str> {
    let mut parts = name.split('_');
    parts
        .next()
        .and(parts.next())
        .and(parts.next())
        .filter(|_| parts.next().is_none())
}

/// Folders in `dir` that belong to a pod by their name, and to none of `pods`.
fn orphan_folders(
    dir: &Path,
    pods: &HashSet<String>,
    uid_of: impl for<'a> Fn(&'a str) -> Option<&'a str>,
) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let uid = name.to_str().and_then(&uid_of);
            uid.is_some_and(|uid| !pods.contains(uid))
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
        })
        .map(|entry| entry.path())
        .collect()
}

/// Removes them; what cannot be removed is told and left for the next start.
pub(crate) async fn remove(shared: Arc<Shared>, orphans: Orphans) {
    for id in orphans.sandboxes {
        let stop = v1::StopPodSandboxRequest {
            pod_sandbox_id: id.clone(),
        };
        let remove = v1::RemovePodSandboxRequest {
            pod_sandbox_id: id.clone(),
        };
        let stopped = shared.runtime.stop_pod_sandbox(stop).await.map(|_| ());
        let removed = shared.runtime.remove_pod_sandbox(remove).await.map(|_| ());
        if let Err(error) = stopped.and(removed) {
            tracing::warn!(sandbox = id, %error, "orphaned sandbox not removed");
        }
    }
    for folder in orphans.folders {
        if let Err(error) = tokio::fs::remove_dir_all(&folder).await {
            tracing::warn!(folder = %folder.display(), %error, "orphaned folder not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_gone_pods_are_orphans() {
        let temp = tempfile::tempdir().unwrap();
        for name in ["n_p_u1", "n_p_u2", "other", "a_b", "a_b_c_d"] {
            std::fs::create_dir(temp.path().join(name)).unwrap();
        }
        std::fs::write(temp.path().join("n_p_u3"), "a file").unwrap();
        let pods = HashSet::from(["u1".to_owned()]);
        let found = orphan_folders(temp.path(), &pods, uid_of_log_folder);
        assert_eq!(found, [temp.path().join("n_p_u2")]);
    }
}
