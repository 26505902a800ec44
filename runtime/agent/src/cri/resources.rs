//! CPU and memory of a container in CRI's terms.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sampan_proto::v1;

use crate::plan::{Limits, all_containers, is_sidecar};
use crate::quantity;

/// CPU time is handed out in periods of this length (the kernel's and upstream's default).
const CPU_PERIOD_MICROS: i64 = 100_000;
/// The least CPU shares and quota the kernel accepts.
const MIN_SHARES: i64 = 2;
const MIN_QUOTA_MICROS: i64 = 1_000;

/// CPU and memory of the pod's container of this name, which was given `own`, as the pod was what it says. Zero means no
/// limit, as in the contract. A container has its pod's limits where it has none of its own, as with upstream's kubelet.
pub(super) fn linux_resources(
    pod: &Pod,
    container: &str,
    own: Option<&ResourceRequirements>,
) -> v1::LinuxContainerResources {
    let mut resources = in_kernel_terms(own);
    let whole = pod_limits(pod);
    if resources.cpu_quota == 0 {
        resources.cpu_quota = whole.cpu_quota;
    }
    if resources.memory_limit_in_bytes == 0 {
        resources.memory_limit_in_bytes = whole.memory_bytes;
    }
    if cpu_request(own).is_none()
        && let Some(part) = part_of_whole(pod, container)
    {
        resources.cpu_shares = shares(part);
    }
    resources
}

/// What a container that names no CPU request has of its pod's: an equal part of what the others leave. Those that run at
/// once share it, which in a kubelet's cgroup of the pod comes about by itself.
fn part_of_whole(pod: &Pod, container: &str) -> Option<i64> {
    let whole = cpu_request(pod.spec.as_ref()?.resources.as_ref())?;
    let (own, is_init) = all_containers(pod).find(|(one, _)| one.name == container)?;
    let ends = is_init && !is_sidecar(own);
    let beside = all_containers(pod).filter(|(one, is_init)| {
        let sidecar = *is_init && is_sidecar(one);
        one.name != container && (sidecar || !ends && !is_init)
    });
    let (mut left, mut parts) = (whole, 1);
    for (one, _) in beside {
        match cpu_request(one.resources.as_ref()) {
            Some(request) => left = left.saturating_sub(request),
            None => parts += 1,
        }
    }
    Some(left.max(0) / parts)
}

/// What the containers of a pod may use together; none if the pod says nothing of that.
pub(super) fn pod_resources(pod: &Pod) -> Option<v1::LinuxContainerResources> {
    let resources = pod.spec.as_ref()?.resources.as_ref()?;
    Some(in_kernel_terms(Some(resources)))
}

/// What of that may change while they run.
pub(crate) fn pod_limits(pod: &Pod) -> Limits {
    limits_of(&pod_resources(pod).unwrap_or_default())
}

fn in_kernel_terms(resources: Option<&ResourceRequirements>) -> v1::LinuxContainerResources {
    let limits = resources.and_then(|r| r.limits.as_ref());
    let cpu_limit = milli(limits, "cpu");
    let memory = limits
        .and_then(|l| l.get("memory"))
        .and_then(quantity::whole)
        .unwrap_or(0);
    v1::LinuxContainerResources {
        cpu_shares: shares(cpu_request(resources).unwrap_or(0)),
        cpu_period: CPU_PERIOD_MICROS,
        cpu_quota: cpu_limit.map_or(0, |limit| {
            (limit.saturating_mul(CPU_PERIOD_MICROS) / 1000).max(MIN_QUOTA_MICROS)
        }),
        memory_limit_in_bytes: memory,
        ..Default::default()
    }
}

/// Without a request the limit is the request, as the API server defaults it.
fn cpu_request(resources: Option<&ResourceRequirements>) -> Option<i64> {
    let requests = resources.and_then(|r| r.requests.as_ref());
    let limits = resources.and_then(|r| r.limits.as_ref());
    milli(requests, "cpu").or(milli(limits, "cpu"))
}

fn shares(request: i64) -> i64 {
    (request.saturating_mul(1024) / 1000).max(MIN_SHARES)
}

/// What of them may change while the container runs.
pub(super) fn limits_of(resources: &v1::LinuxContainerResources) -> Limits {
    Limits {
        cpu_shares: resources.cpu_shares,
        cpu_quota: resources.cpu_quota.max(0),
        memory_bytes: resources.memory_limit_in_bytes.max(0),
    }
}

/// The limits a container should have that was given `own`.
pub(crate) fn wanted_limits(
    pod: &Pod,
    container: &str,
    own: Option<&ResourceRequirements>,
) -> Limits {
    limits_of(&linux_resources(pod, container, own))
}

/// The request that gives a running container these limits.
pub(crate) fn resize_request(id: &str, limits: Limits) -> v1::UpdateContainerResourcesRequest {
    v1::UpdateContainerResourcesRequest {
        container_id: id.to_owned(),
        linux: Some(update(limits)),
        ..Default::default()
    }
}

/// The request that gives the containers of a sandbox together these limits.
pub(crate) fn resize_pod_request(
    sandbox: &str,
    limits: Limits,
) -> v1::UpdatePodSandboxResourcesRequest {
    v1::UpdatePodSandboxResourcesRequest {
        pod_sandbox_id: sandbox.to_owned(),
        resources: Some(update(limits)),
        ..Default::default()
    }
}

/// In an update zero leaves a limit as it is, and less lifts it.
fn update(limits: Limits) -> v1::LinuxContainerResources {
    let or_none = |limit: i64| if limit == 0 { -1 } else { limit };
    v1::LinuxContainerResources {
        cpu_shares: limits.cpu_shares,
        cpu_period: CPU_PERIOD_MICROS,
        cpu_quota: or_none(limits.cpu_quota),
        memory_limit_in_bytes: or_none(limits.memory_bytes),
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
            let own = serde_json::from_value(resources.clone()).unwrap();
            let got = linux_resources(&Pod::default(), "c", Some(&own));
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
        let of_pod = |resources: serde_json::Value| {
            let spec = json!({"containers": [], "resources": resources});
            let pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
            pod_resources(&pod).map(|got| (got.cpu_quota, got.memory_limit_in_bytes))
        };
        assert_eq!(of_pod(json!(null)), None);
        assert_eq!(of_pod(json!({"requests": {"cpu": "1"}})), Some((0, 0)));
        let limits = json!({"limits": {"cpu": "2", "memory": "64Mi"}});
        assert_eq!(of_pod(limits), Some((200_000, 64 << 20)));
    }

    #[test]
    fn a_container_has_its_pods_limits_where_it_has_none() {
        let check = |own: serde_json::Value, expect: (i64, i64)| {
            let whole = json!({"limits": {"cpu": "2", "memory": "64Mi"}});
            let spec = json!({"containers": [{"name": "c", "resources": own}], "resources": whole});
            let pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
            let own = serde_json::from_value(own).unwrap();
            let got = linux_resources(&pod, "c", Some(&own));
            assert_eq!((got.cpu_quota, got.memory_limit_in_bytes), expect);
        };
        check(json!({}), (200_000, 64 << 20));
        check(json!({"limits": {"cpu": "1"}}), (100_000, 64 << 20));
        check(json!({"limits": {"memory": "1Mi"}}), (200_000, 1 << 20));
    }

    #[test]
    fn a_pods_request_is_the_weight_of_those_without_one() {
        let cpu = |amount: &str| json!({"requests": {"cpu": amount}});
        let check = |whole: serde_json::Value, expect: &[(&str, i64)]| {
            let spec = json!({
                "initContainers": [{"name": "first"}, {"name": "side", "restartPolicy": "Always", "resources": cpu("500m")}],
                "containers": [{"name": "a"}, {"name": "b", "resources": cpu("1")}, {"name": "c"}],
                "resources": whole,
            });
            let pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
            let of = |name: &str| {
                let mut all = all_containers(&pod);
                let (own, _) = all.find(|(one, _)| one.name == name).unwrap();
                linux_resources(&pod, name, own.resources.as_ref()).cpu_shares
            };
            let got: Vec<_> = expect.iter().map(|(name, _)| (*name, of(name))).collect();
            assert_eq!(got, expect, "{whole}");
        };
        let named = [("b", 1024), ("side", 512)];
        check(json!(null), &[("first", 2), ("a", 2), ("c", 2)]);
        check(cpu("3500m"), &[("first", 3072), ("a", 1024), ("c", 1024)]);
        check(cpu("3500m"), &named);
        check(json!({"limits": {"cpu": "3500m"}}), &[("a", 1024)]);
        check(cpu("1500m"), &[("first", 1024), ("a", 2)]);
        // A debug container is none of those it was reckoned for.
        let pod =
            serde_json::from_value(json!({"spec": {"containers": [], "resources": cpu("1")}}));
        assert_eq!(linux_resources(&pod.unwrap(), "debug", None).cpu_shares, 2);
    }
}
