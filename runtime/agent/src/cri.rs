//! From pods to CRI messages and back: the kubelet's conventions towards a runtime.

mod config;
mod found;
mod observe;
mod resources;

pub(crate) use config::{
    ContainerParts, container_config, container_log_path, hostname, log_directory, sandbox_config,
};
pub(crate) use found::{Inventory, inventory, sandbox_ips};
pub(crate) use observe::{Observed, observe, observe_verbose};
pub(crate) use resources::{pod_limits, resize_pod_request, resize_request, wanted_limits};

/// Labels and annotations kubelets put on sandboxes and containers. Runtimes, crictl and log
/// collectors read them.
pub(crate) mod names {
    pub(crate) const POD_NAME: &str = "io.kubernetes.pod.name";
    pub(crate) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
    pub(crate) const POD_UID: &str = "io.kubernetes.pod.uid";
    pub(crate) const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
    pub(crate) const CONTAINER_NAME: &str = "io.kubernetes.container.name";
    pub(crate) const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
    pub(crate) const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
    pub(crate) const PORTS: &str = "io.kubernetes.container.ports";
    pub(crate) const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
    pub(crate) const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
}
