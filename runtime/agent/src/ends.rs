//! How containers ended that were stopped with the process that held their runtime: noted on disk at an orderly stop, so
//! that the next agent reports it instead of containers that nobody knows the end of.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ContainerStateTerminated;
use sampan_proto::{CriError, RuntimeService, v1};

use crate::cri::{names, observe};
use crate::plan::{Run, terminated};
use crate::worker::finished;

/// The ends of a pod's containers, by the runtime's id.
pub(crate) type Ends = BTreeMap<String, ContainerStateTerminated>;

/// Why ends could not be noted.
#[derive(Debug, thiserror::Error)]
pub enum EndsError {
    #[error("the runtime does not tell its containers")]
    Runtime(#[source] CriError),
    #[error("cannot write {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Notes in the agent's data folder how the runtime's containers ended. To be called when the agent and they have.
pub async fn keep_ends(runtime: &dyn RuntimeService, data_dir: &Path) -> Result<(), EndsError> {
    let listed = runtime.list_containers(v1::ListContainersRequest::default());
    let listed = listed.await.map_err(EndsError::Runtime)?.containers;
    let mut pods: BTreeMap<String, Ends> = BTreeMap::new();
    for container in listed {
        let Some(uid) = container.labels.get(names::POD_UID) else {
            continue;
        };
        let request = v1::ContainerStatusRequest {
            container_id: container.id.clone(),
            verbose: false,
        };
        // One that is gone by now has nobody who asks for its end.
        let Ok(response) = runtime.container_status(request).await else {
            continue;
        };
        let observed = finished(observe(&response.status.unwrap_or_default())).await;
        if let Some(Run::Exited(exit)) = &observed.run
            && let Some(end) = terminated(exit).terminated
        {
            let ends = pods.entry(uid.clone()).or_default();
            ends.insert(container.id, end);
        }
    }
    let path = file(data_dir);
    let failed = |source| EndsError::File {
        path: path.clone(),
        source,
    };
    let text = serde_json::to_vec(&pods).map_err(|error| failed(error.into()))?;
    tokio::fs::write(&path, text).await.map_err(failed)
}

/// What was noted, by pod UID. It is told once: it is of the stop before this start and of no other.
pub(crate) async fn take(data_dir: &Path) -> BTreeMap<String, Ends> {
    let path = file(data_dir);
    let read = match tokio::fs::read(&path).await {
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => Err(error),
    };
    if let Err(error) = tokio::fs::remove_file(&path).await {
        tracing::warn!(file = %path.display(), %error, "notes of ended containers not removed");
    }
    read.unwrap_or_else(|error| {
        tracing::warn!(file = %path.display(), %error, "notes of ended containers not read");
        BTreeMap::new()
    })
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("ends.json")
}
