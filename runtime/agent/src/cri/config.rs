//! Sandbox and container configurations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sampan_proto::v1;

use super::names;
use crate::plan::{all_containers, container_hash};
use crate::quantity;

/// CPU time is handed out in periods of this length (the kernel's and upstream's default).
const CPU_PERIOD_MICROS: i64 = 100_000;
/// The least CPU shares and quota the kernel accepts.
const MIN_SHARES: i64 = 2;
const MIN_QUOTA_MICROS: i64 = 1_000;

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
pub(crate) fn sandbox_config(pod: &Pod, logs: &Path, attempt: u32) -> v1::PodSandboxConfig {
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
fn hostname(pod: &Pod) -> String {
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
    pub(crate) mounts: Vec<v1::Mount>,
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
        mounts: parts.mounts,
        labels,
        annotations: annotations(pod, container, parts.attempt),
        log_path: container_log_path(&container.name, parts.attempt),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(linux_resources(container)),
            security_context: Some(security_context(pod, container)),
        }),
        ..Default::default()
    }
}

fn annotations(pod: &Pod, container: &Container, attempt: u32) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    let mut put = |key: &str, value: String| {
        annotations.insert(key.to_owned(), value);
    };
    put(names::CONTAINER_HASH, container_hash(container));
    put(names::RESTART_COUNT, attempt.to_string());
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

/// CPU and memory of a container. Zero means no limit, as in the contract.
fn linux_resources(container: &Container) -> v1::LinuxContainerResources {
    let resources = container.resources.as_ref();
    let requests = resources.and_then(|r| r.requests.as_ref());
    let limits = resources.and_then(|r| r.limits.as_ref());
    let cpu_limit = milli(limits, "cpu");
    // Without a request the limit is the request, as the API server defaults it.
    let cpu_request = milli(requests, "cpu").or(cpu_limit).unwrap_or(0);
    let memory = limits
        .and_then(|l| l.get("memory"))
        .and_then(quantity::whole)
        .unwrap_or(0);
    v1::LinuxContainerResources {
        cpu_shares: (cpu_request.saturating_mul(1024) / 1000).max(MIN_SHARES),
        cpu_period: CPU_PERIOD_MICROS,
        cpu_quota: cpu_limit.map_or(0, |limit| {
            (limit.saturating_mul(CPU_PERIOD_MICROS) / 1000).max(MIN_QUOTA_MICROS)
        }),
        memory_limit_in_bytes: memory,
        ..Default::default()
    }
}

fn milli(list: Option<&BTreeMap<String, Quantity>>, name: &str) -> Option<i64> {
    list?.get(name).and_then(quantity::milli)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn resources_follow_requests_and_limits() {
        let check = |resources: serde_json::Value, expect: (i64, i64, i64)| {
            let container: Container =
                serde_json::from_value(json!({ "name": "c", "resources": resources })).unwrap();
            let got = linux_resources(&container);
            assert_eq!(
                (got.cpu_shares, got.cpu_quota, got.memory_limit_in_bytes),
                expect,
                "{resources}"
            );
        };
        check(json!({}), (2, 0, 0));
        check(json!({"requests": {"cpu": "500m"}}), (512, 0, 0));
        check(
            json!({"limits": {"cpu": "2", "memory": "64Mi"}}),
            (2048, 200_000, 64 << 20),
        );
        check(json!({"limits": {"cpu": "1m"}}), (2, 1_000, 0));
        check(json!({"limits": {"memory": "1.5Gi"}}), (2, 0, 3 << 29));
    }

    #[test]
    fn container_carries_the_conventions() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [
                {"name": "c", "image": "app:v1", "ports": [{"containerPort": 80}]}]}
        }))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let parts = ContainerParts {
            attempt: 3,
            image_id: "sha256:1".into(),
            command: vec![],
            args: vec!["a".into()],
            env: vec![("K".into(), "V".into())],
            mounts: vec![],
        };
        let config = container_config(&pod, container, parts);
        assert_eq!(config.log_path, "c/3.log");
        assert_eq!(config.labels[names::POD_UID], "u");
        assert_eq!(config.labels[names::CONTAINER_NAME], "c");
        assert_eq!(config.annotations[names::RESTART_COUNT], "3");
        assert_eq!(
            config.annotations[names::PORTS],
            r#"[{"containerPort":80}]"#
        );
        assert_eq!(config.annotations[names::POD_GRACE], "5");
        assert_eq!(config.image.unwrap().user_specified_image, "app:v1");
        let sandbox = sandbox_config(&pod, Path::new("/logs"), 1);
        assert_eq!(sandbox.log_directory, "/logs/n_p_u");
        assert_eq!(sandbox.hostname, "p");
    }
}
