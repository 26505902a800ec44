//! PersistentVolumes that are folders of this node: when one is deleted, its folder goes (reclaim policy Delete) or stays
//! (Retain), and then its finalizer, which has kept the object until now.

use std::io;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::content::{is_here, local_folder};
use crate::limits::API_RETRY;
use crate::plan::Backoff;
use crate::worker::Shared;

/// Keeps a PersistentVolume until its node has dealt with the folder.
const FINALIZER: &str = "sampan.dev/local-volume";
/// Keeps it while a claim is bound to it; the control plane takes it away.
const IN_USE: &str = "kubernetes.io/pv-protection";

/// Watches until shutdown.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let api: Api<PersistentVolume> = Api::all(shared.client.clone());
    let config = watcher::Config::default();
    let mut events = std::pin::pin!(watcher::watcher(api.clone(), config).default_backoff());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = shutdown.cancelled() => return,
        };
        let volume = match event {
            Some(Ok(Event::Apply(volume) | Event::InitApply(volume))) => volume,
            Some(Ok(Event::Init | Event::InitDone | Event::Delete(_))) => continue,
            Some(Err(error)) => {
                tracing::debug!(%error, "watch of persistent volumes failed; trying again");
                continue;
            }
            None => return,
        };
        if is_due(&volume, &shared.facts.name) {
            tokio::select! {
                () = reclaim(&shared, &api, volume) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}

fn is_due(volume: &PersistentVolume, node: &str) -> bool {
    let finalizers = volume.metadata.finalizers.as_deref().unwrap_or_default();
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    let here = volume.spec.as_ref().is_some_and(|spec| is_here(spec, node));
    volume.metadata.deletion_timestamp.is_some() && has(FINALIZER) && !has(IN_USE) && here
}

async fn reclaim(shared: &Shared, api: &Api<PersistentVolume>, volume: PersistentVolume) {
    let name = volume.metadata.name.clone().unwrap_or_default();
    let spec = volume.spec.clone().unwrap_or_default();
    let delete = spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete");
    if let Some(folder) = local_folder(&spec, &shared.volumes).filter(|_| delete) {
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // The object stays, so that somebody sees to it.
                let folder = folder.display();
                tracing::warn!(volume = name, %folder, %error, "folder of a volume not removed");
                return;
            }
            _ => {}
        }
    }
    let mut retry = Backoff::default();
    loop {
        match release(api, &name).await {
            Ok(()) => return,
            Err(error) => {
                tracing::debug!(volume = name, %error, "volume not released; trying again")
            }
        }
        retry.fail(Timestamp::now(), API_RETRY);
        tokio::time::sleep(retry.delay()).await;
    }
}

/// Takes the finalizer away from the newest state of the object.
async fn release(api: &Api<PersistentVolume>, name: &str) -> Result<(), kube::Error> {
    let Some(volume) = api.get_opt(name).await? else {
        return Ok(());
    };
    let mut finalizers = volume.metadata.finalizers.unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if finalizers.len() == before {
        return Ok(());
    }
    let metadata = json!({
        "resourceVersion": volume.metadata.resource_version,
        "finalizers": finalizers,
    });
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    match api.patch(name, &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => answer.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_deleted_volumes_of_this_node_that_nobody_uses() {
        let volume = |deleted: bool, finalizers: &[&str], node: &str| -> PersistentVolume {
            let expression =
                json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
            let terms = json!([{"matchExpressions": [expression]}]);
            serde_json::from_value(json!({
                "metadata": {"finalizers": finalizers,
                    "deletionTimestamp": deleted.then_some("2026-01-01T00:00:00Z")},
                "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
            }))
            .unwrap()
        };
        for (deleted, finalizers, node, due) in [
            (true, &[FINALIZER][..], "here", true),
            (false, &[FINALIZER][..], "here", false),
            (true, &[FINALIZER, IN_USE][..], "here", false),
            (true, &[][..], "here", false),
            (true, &[FINALIZER][..], "there", false),
        ] {
            let volume = volume(deleted, finalizers, node);
            assert_eq!(is_due(&volume, "here"), due, "{volume:?}");
        }
    }
}
