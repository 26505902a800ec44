//! CPU and memory of a container in CRI's terms.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sampan_proto::v1;

use crate::plan::Limits;
use crate::quantity;

/// CPU time is handed out in periods of this length (the kernel's and upstream's default).
const CPU_PERIOD_MICROS: i64 = 100_000;
/// The least CPU shares and quota the kernel accepts.
const MIN_SHARES: i64 = 2;
const MIN_QUOTA_MICROS: i64 = 1_000;

/// CPU and memory of a container. Zero means no limit, as in the contract.
pub(super) fn linux_resources(container: &Container) -> v1::LinuxContainerResources {
    in_kernel_terms(container.resources.as_ref())
}

/// What the containers of a pod may use together; none if the pod sets no such limit.
pub(super) fn pod_resources(pod: &Pod) -> Option<v1::LinuxContainerResources> {
    let resources = pod.spec.as_ref()?.resources.as_ref()?;
    resources.limits.as_ref()?;
    Some(in_kernel_terms(Some(resources)))
}

fn in_kernel_terms(resources: Option<&ResourceRequirements>) -> v1::LinuxContainerResources {
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

/// What of them may change while the container runs.
pub(super) fn limits_of(resources: &v1::LinuxContainerResources) -> Limits {
    Limits {
        cpu_shares: resources.cpu_shares,
        cpu_quota: resources.cpu_quota.max(0),
        memory_bytes: resources.memory_limit_in_bytes.max(0),
    }
}

/// The limits a container's specification asks for.
pub(crate) fn wanted_limits(container: &Container) -> Limits {
    limits_of(&linux_resources(container))
}

/// The request that gives a running container these limits. In it zero leaves a limit as it is, and less lifts it.
pub(crate) fn resize_request(id: &str, limits: Limits) -> v1::UpdateContainerResourcesRequest {
    let or_none = |limit: i64| if limit == 0 { -1 } else { limit };
    v1::UpdateContainerResourcesRequest {
        container_id: id.to_owned(),
        linux: Some(v1::LinuxContainerResources {
            cpu_shares: limits.cpu_shares,
            cpu_period: CPU_PERIOD_MICROS,
            cpu_quota: or_none(limits.cpu_quota),
            memory_limit_in_bytes: or_none(limits.memory_bytes),
            ..Default::default()
        }),
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
        let of_pod = |resources: serde_json::Value| {
            let spec = json!({"containers": [], "resources": resources});
            let pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
            pod_resources(&pod).map(|got| (got.cpu_quota, got.memory_limit_in_bytes))
        };
        assert_eq!(of_pod(json!(null)), None);
        assert_eq!(of_pod(json!({"requests": {"cpu": "1"}})), None);
        let limits = json!({"limits": {"cpu": "2", "memory": "64Mi"}});
        assert_eq!(of_pod(limits), Some((200_000, 64 << 20)));
    }
}
