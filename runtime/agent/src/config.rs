//! What the composition root tells the agent. Plain data; nothing is read from files or the
//! environment here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Configuration of one node.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The name of the Node object, also its hostname label.
    pub node_name: String,
    /// Pods' folders live below `data_dir/pods`.
    pub data_dir: PathBuf,
    /// Log files live below `log_dir/NAMESPACE_NAME_UID/CONTAINER/`.
    pub log_dir: PathBuf,
    /// The range pod IPs come from, published as `spec.podCIDR`.
    pub pod_cidr: Option<String>,
    /// Where the kubelet API listens (HTTPS). Port 0 picks one; the Node tells which.
    pub listen: SocketAddr,
    /// The address other machines reach this node at; `listen`'s address when absent.
    pub node_ip: Option<IpAddr>,
    /// Certificates of the kubelet API.
    pub serving: ServingIdentity,
    /// Overrides of what is measured: `cpu`, `memory`, `ephemeral-storage`, `pods`.
    pub capacity: BTreeMap<String, String>,
    /// Devices and other countable things pods may ask for, such as `example.com/gpu`.
    pub extended_resources: BTreeMap<String, String>,
    /// Further labels of the Node.
    pub labels: BTreeMap<String, String>,
    /// Folders of this machine that pods may use as hostPath volumes; none unless given.
    pub host_folders: Vec<HostFolder>,
    /// A folder on a file system in memory, for emptyDirs of medium Memory. Without it they lie on disk, and an event
    /// says so.
    pub memory_dir: Option<PathBuf>,
    /// When images that no container uses are removed.
    pub image_collection: ImageCollection,
}

/// A folder of this machine that pods may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFolder {
    /// Absolute, without symbolic links.
    pub path: PathBuf,
    /// Whether they may only read it.
    pub read_only: bool,
}

impl HostFolder {
    /// The innermost of the folders that `path` is in.
    pub(crate) fn innermost<'a>(folders: &'a [HostFolder], path: &Path) -> Option<&'a HostFolder> {
        let around = folders
            .iter()
            .filter(|folder| path.starts_with(&folder.path));
        around.max_by_key(|folder| folder.path.as_os_str().len())
    }
}

/// The kubelet's `imageGCHighThresholdPercent`, `imageGCLowThresholdPercent` and `imageMinimumGCAge`, with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageCollection {
    /// At this part of the disk, in percent, removing begins; at 100 it never does.
    pub high_percent: u8,
    /// And at this one it ends.
    pub low_percent: u8,
    /// An image is left alone for so long after it was first seen.
    pub min_age: Duration,
}

impl Default for ImageCollection {
    fn default() -> ImageCollection {
        ImageCollection {
            high_percent: 85,
            low_percent: 80,
            min_age: Duration::from_secs(120),
        }
    }
}

/// The kubelet API's certificate, and whom it answers.
#[derive(Clone)]
pub struct ServingIdentity {
    /// PEM, leaf first.
    pub certificate_pem: String,
    /// PEM, PKCS#8 or SEC1 or PKCS#1.
    pub key_pem: String,
    /// PEM of the CA that signs client certificates.
    pub client_ca_pem: String,
    /// Organisations (groups) whose members may call: `system:masters` unless told otherwise.
    pub allowed_groups: Vec<String>,
    /// Common names (users) who may call.
    pub allowed_users: Vec<String>,
}

impl std::fmt::Debug for ServingIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs.
        f.debug_struct("ServingIdentity")
            .field("allowed_groups", &self.allowed_groups)
            .field("allowed_users", &self.allowed_users)
            .finish_non_exhaustive()
    }
}

impl ServingIdentity {
    /// Answers the API server: members of `system:masters` and the usual kubelet client's name.
    pub fn new(
        certificate_pem: impl Into<String>,
        key_pem: impl Into<String>,
        client_ca_pem: impl Into<String>,
    ) -> ServingIdentity {
        ServingIdentity {
            certificate_pem: certificate_pem.into(),
            key_pem: key_pem.into(),
            client_ca_pem: client_ca_pem.into(),
            allowed_groups: vec!["system:masters".into()],
            allowed_users: vec!["kube-apiserver-kubelet-client".into()],
        }
    }
}

impl AgentConfig {
    /// A configuration with the defaults for everything that has one.
    pub fn new(
        node_name: impl Into<String>,
        data_dir: impl Into<PathBuf>,
        log_dir: impl Into<PathBuf>,
        listen: SocketAddr,
        serving: ServingIdentity,
    ) -> AgentConfig {
        AgentConfig {
            node_name: node_name.into(),
            data_dir: data_dir.into(),
            log_dir: log_dir.into(),
            pod_cidr: None,
            listen,
            node_ip: None,
            serving,
            capacity: BTreeMap::new(),
            extended_resources: BTreeMap::new(),
            labels: BTreeMap::new(),
            host_folders: Vec::new(),
            memory_dir: None,
            image_collection: ImageCollection::default(),
        }
    }
}
