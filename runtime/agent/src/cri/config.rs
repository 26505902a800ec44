//! Sandbox and container configurations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};
use sampan_proto::{RESOLVED_MOUNTS, VOLUME_LIMITS, v1};

use super::names;
use super::resources::{linux_resources, pod_resources};
use crate::content::Mounts;
use crate::plan::{all_containers, container_hash};

/// The folder of a pod's logs: `LOGS/NAMESPACE_NAME_UID`.
pub(crate) fn log_directory(logs: &Path, pod: &Pod) -> PathBuf {
    let metadata = &pod.metadata;
    logs.join(format!(
        "{}_{}_{}",
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
        metadata.uid.as_deref().unwrap_or_default()
    ))
}

/// A container's log below its pod's folder.
pub(crate) fn container_log_path(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}

/// The sandbox of a pod.
pub(crate) fn sandbox_config(
    pod: &Pod,
    logs: &Path,
    attempt: u32,
    dns: v1::DnsConfig,
) -> v1::PodSandboxConfig {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let host_network = spec.and_then(|spec| spec.host_network).unwrap_or(false);
    let mode = if host_network {
        v1::NamespaceMode::Node
    } else {
        v1::NamespaceMode::Pod
    };
    let mut labels = metadata.labels.clone().unwrap_or_default();
    labels.extend(pod_labels(pod));
    v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            attempt,
        }),
        hostname: hostname(pod),
        log_directory: log_directory(logs, pod).to_string_lossy().into_owned(),
        dns_config: Some(dns),
        port_mappings: port_mappings(pod),
        labels,
        annotations: metadata.annotations.clone().unwrap_or_default(),
        linux: Some(v1::LinuxPodSandboxConfig {
            security_context: Some(v1::LinuxSandboxSecurityContext {
                namespace_options: Some(v1::NamespaceOption {
                    network: mode.into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            resources: pod_resources(pod),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn pod_labels(pod: &Pod) -> BTreeMap<String, String> {
    let metadata = &pod.metadata;
    [
        (names::POD_NAME, &metadata.name),
        (names::POD_NAMESPACE, &metadata.namespace),
        (names::POD_UID, &metadata.uid),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.clone().unwrap_or_default()))
    .collect()
}

/// `spec.hostname`, else the pod's name, at most 63 characters as a host name may have.
pub(crate) fn hostname(pod: &Pod) -> String {
    let spec = pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
    let name = spec
        .or_else(|| pod.metadata.name.clone())
        .unwrap_or_default();
    let cut: String = name.chars().take(63).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

fn port_mappings(pod: &Pod) -> Vec<v1::PortMapping> {
    all_containers(pod)
        .flat_map(|(container, _)| container.ports.iter().flatten())
        .map(|port| v1::PortMapping {
            protocol: protocol(port).into(),
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or(0),
            host_ip: port.host_ip.clone().unwrap_or_default(),
        })
        .collect()
}

fn protocol(port: &ContainerPort) -> v1::Protocol {
    match port.protocol.as_deref() {
        Some("UDP") => v1::Protocol::Udp,
        Some("SCTP") => v1::Protocol::Sctp,
        _ => v1::Protocol::Tcp,
    }
}

/// What goes into a container's configuration besides pod and container.
pub(crate) struct ContainerParts {
    pub(crate) attempt: u32,
    /// The image's id, from the pull or the look-up.
    pub(crate) image_id: String,
    pub(crate) command: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) mounts: Mounts,
    /// Beside the ones every container has.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// One container of a pod.
pub(crate) fn container_config(
    pod: &Pod,
    container: &Container,
    parts: ContainerParts,
) -> v1::ContainerConfig {
    let mut labels = pod_labels(pod);
    labels.insert(names::CONTAINER_NAME.into(), container.name.clone());
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: container.name.clone(),
            attempt: parts.attempt,
        }),
        image: Some(v1::ImageSpec {
            image: parts.image_id,
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..Default::default()
        }),
        command: parts.command,
        args: parts.args,
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: parts
            .env
            .into_iter()
            .map(|(key, value)| v1::KeyValue {
                key,
                value: value.into_bytes(),
            })
            .collect(),
        annotations: {
            let mut all = annotations(pod, container, parts.attempt, &parts.mounts);
            all.extend(parts.annotations);
            all
        },
        mounts: parts.mounts.mounts,
        labels,
        log_path: container_log_path(&container.name, parts.attempt),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        stop_signal: stop_signal(container).into(),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(linux_resources(
                pod,
                &container.name,
                container.resources.as_ref(),
            )),
            security_context: Some(security_context(pod, container)),
        }),
        ..Default::default()
    }
}

/// Kubernetes writes `SIGRTMIN+1` where CRI has `SIGRTMINPLUS1`.
fn stop_signal(container: &Container) -> v1::Signal {
    let lifecycle = container.lifecycle.as_ref();
    let name = lifecycle.and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    name.map(|name| name.replace('+', "PLUS").replace('-', "MINUS"))
        .and_then(|name| v1::Signal::from_str_name(&name))
        .unwrap_or(v1::Signal::RuntimeDefault)
}

fn annotations(
    pod: &Pod,
    container: &Container,
    attempt: u32,
    mounts: &Mounts,
) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    let mut put = |key: &str, value: String| {
        annotations.insert(key.to_owned(), value);
    };
    put(names::CONTAINER_HASH, container_hash(container));
    put(names::RESTART_COUNT, attempt.to_string());
    put(RESOLVED_MOUNTS, "true".to_owned());
    if !mounts.limits.is_empty()
        && let Ok(limits) = serde_json::to_string(&mounts.limits)
    {
        put(VOLUME_LIMITS, limits);
    }
    let path = container
        .termination_message_path
        .as_deref()
        .unwrap_or("/dev/termination-log");
    put(names::MESSAGE_PATH, path.to_owned());
    let policy = container
        .termination_message_policy
        .as_deref()
        .unwrap_or("File");
    put(names::MESSAGE_POLICY, policy.to_owned());
    if let Some(ports) = container.ports.as_ref().filter(|ports| !ports.is_empty())
        && let Ok(ports) = serde_json::to_string(ports)
    {
        put(names::PORTS, ports);
    }
    if let Some(grace) = pod
        .spec
        .as_ref()
        .and_then(|s| s.termination_grace_period_seconds)
    {
        put(names::POD_GRACE, grace.to_string());
    }
    annotations
}

fn security_context(pod: &Pod, container: &Container) -> v1::LinuxContainerSecurityContext {
    let own = container.security_context.as_ref();
    let of_pod = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.as_ref());
    let int64 = |value: i64| v1::Int64Value { value };
    v1::LinuxContainerSecurityContext {
        run_as_user: own
            .and_then(|c| c.run_as_user)
            .or_else(|| of_pod?.run_as_user)
            .map(int64),
        run_as_group: own
            .and_then(|c| c.run_as_group)
            .or_else(|| of_pod?.run_as_group)
            .map(int64),
        readonly_rootfs: own
            .and_then(|c| c.read_only_root_filesystem)
            .unwrap_or(false),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn container_carries_the_conventions() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [
                {"name": "c", "image": "app:v1", "ports": [{"containerPort": 80}],
                 "lifecycle": {"stopSignal": "SIGRTMIN+1"}}]}
        }))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let parts = ContainerParts {
            attempt: 3,
            image_id: "sha256:1".into(),
            command: vec![],
            args: vec!["a".into()],
            env: vec![("K".into(), "V".into())],
            mounts: Mounts::default(),
            annotations: [("more".to_owned(), "m".to_owned())].into(),
        };
        let config = container_config(&pod, container, parts);
        assert_eq!(config.log_path, "c/3.log");
        assert_eq!(config.stop_signal(), v1::Signal::Sigrtminplus1);
        assert_eq!(config.labels[names::POD_UID], "u");
        assert_eq!(config.labels[names::CONTAINER_NAME], "c");
        assert_eq!(config.annotations[names::RESTART_COUNT], "3");
        assert_eq!(config.annotations[RESOLVED_MOUNTS], "true");
        assert_eq!(
            config.annotations[names::PORTS],
            r#"[{"containerPort":80}]"#
        );
        assert_eq!(config.annotations[names::POD_GRACE], "5");
        assert_eq!(config.annotations["more"], "m");
        assert_eq!(config.image.unwrap().user_specified_image, "app:v1");
        let sandbox = sandbox_config(&pod, Path::new("/logs"), 1, v1::DnsConfig::default());
        assert_eq!(sandbox.log_directory, "/logs/n_p_u");
        assert_eq!(sandbox.hostname, "p");
    }
}
