//! What the kubelet API shows of the pods: each worker publishes its pod here, readers subscribe.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use parking_lot::RwLock;
use tokio::sync::watch;

/// One pod as its worker sees it.
#[derive(Clone, Debug)]
pub(crate) struct PodView {
    pub(crate) pod: Arc<Pod>,
    pub(crate) status: Arc<PodStatus>,
    pub(crate) log_dir: PathBuf,
    /// Containers that have run at least once.
    pub(crate) containers: BTreeMap<String, ContainerView>,
}

/// The newest instance of a container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ContainerView {
    pub(crate) id: String,
    pub(crate) attempt: u32,
    pub(crate) running: bool,
}

/// All pods of this node, by UID.
#[derive(Default)]
pub(crate) struct Registry {
    pods: RwLock<HashMap<String, watch::Sender<PodView>>>,
}

impl Registry {
    /// Publishes a pod's newest view.
    pub(crate) fn publish(&self, uid: &str, view: PodView) {
        if let Some(sender) = self.pods.read().get(uid) {
            sender.send_replace(view);
            return;
        }
        self.pods
            .write()
            .insert(uid.to_owned(), watch::Sender::new(view));
    }

    /// Forgets a pod; its subscribers see the channel close.
    pub(crate) fn remove(&self, uid: &str) {
        self.pods.write().remove(uid);
    }

    /// The pod of this name. When one of several instances of a name is still stopping, the one
    /// made last wins.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<watch::Receiver<PodView>> {
        let pods = self.pods.read();
        pods.values()
            .filter(|sender| {
                let view = sender.borrow();
                view.pod.metadata.namespace.as_deref() == Some(namespace)
                    && view.pod.metadata.name.as_deref() == Some(name)
            })
            .max_by_key(|sender| {
                let created = sender.borrow().pod.metadata.creation_timestamp.clone();
                created.map(|time| time.0)
            })
            .map(watch::Sender::subscribe)
    }

    /// All pods with their present status, by namespace and name.
    pub(crate) fn pods(&self) -> Vec<Pod> {
        let mut pods: Vec<Pod> = self
            .pods
            .read()
            .values()
            .map(|sender| {
                let view = sender.borrow();
                Pod {
                    status: Some((*view.status).clone()),
                    ..(*view.pod).clone()
                }
            })
            .collect();
        let key = |pod: &Pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        pods.sort_by_key(key);
        pods
    }

    /// Running containers: id and log file.
    pub(crate) fn running_logs(&self) -> Vec<(String, PathBuf)> {
        let pods = self.pods.read();
        let mut logs = Vec::new();
        for sender in pods.values() {
            let view = sender.borrow();
            for (name, container) in &view.containers {
                if container.running {
                    let path = crate::cri::container_log_path(name, container.attempt);
                    logs.push((container.id.clone(), view.log_dir.join(path)));
                }
            }
        }
        logs
    }
}
