//! Calls about the runtime itself.

use std::collections::BTreeMap;

use sampan_proto::v1;

use crate::shim::Shim;

/// The version of the kubelet's side of the contract; any other is refused by kubelets.
const KUBELET_API_VERSION: &str = "0.1.0";

/// Handlers a sandbox may ask for. A kubelet without RuntimeClasses always asks for "".
pub(super) const RUNTIME_HANDLERS: [&str; 2] = ["", "wasm"];

pub(super) fn version() -> v1::VersionResponse {
    v1::VersionResponse {
        version: KUBELET_API_VERSION.to_string(),
        runtime_name: "sampan".to_string(),
        runtime_version: env!("CARGO_PKG_VERSION").to_string(),
        runtime_api_version: "v1".to_string(),
    }
}

/// We make no cgroups; CGROUPFS keeps a kubelet from asking systemd for them.
pub(super) fn runtime_config() -> v1::RuntimeConfigResponse {
    let cgroup_driver = v1::CgroupDriver::Cgroupfs.into();
    v1::RuntimeConfigResponse {
        linux: Some(v1::LinuxRuntimeConfiguration { cgroup_driver }),
    }
}

impl Shim {
    /// Both conditions hold as long as the process lives: engine and network are in it.
    pub(super) fn runtime_status(&self, verbose: bool) -> v1::StatusResponse {
        let condition = |kind: &str| v1::RuntimeCondition {
            r#type: kind.to_string(),
            status: true,
            ..Default::default()
        };
        let handler = |name: &str| v1::RuntimeHandler {
            name: name.to_string(),
            features: Some(v1::RuntimeHandlerFeatures {
                recursive_read_only_mounts: true,
                ..Default::default()
            }),
        };
        let info = if verbose {
            self.info()
        } else {
            BTreeMap::new()
        };
        v1::StatusResponse {
            status: Some(v1::RuntimeStatus {
                conditions: vec![condition("RuntimeReady"), condition("NetworkReady")],
            }),
            info,
            runtime_handlers: RUNTIME_HANDLERS.into_iter().map(handler).collect(),
            features: Some(v1::RuntimeFeatures::default()),
        }
    }

    fn info(&self) -> BTreeMap<String, String> {
        let config = serde_json::json!({
            "podCIDR": *self.pod_cidr.lock(),
            "podNetwork": self.network.cidr().to_string(),
            "podAddressesInUse": self.network.in_use(),
            "containersRunning": self.tasks.len(),
        });
        BTreeMap::from([("config".to_string(), config.to_string())])
    }

    /// An empty request changes nothing: kubelets send one when they have no CIDR yet.
    pub(super) fn keep_pod_cidr(&self, request: v1::UpdateRuntimeConfigRequest) {
        let network = request
            .runtime_config
            .and_then(|config| config.network_config);
        if let Some(network) = network.filter(|network| !network.pod_cidr.is_empty()) {
            *self.pod_cidr.lock() = network.pod_cidr;
        }
    }
}
