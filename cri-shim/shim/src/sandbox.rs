//! One pod sandbox: what the containers of a pod share. For us that is an address, a host name and
//! a log folder; there is no process behind it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use sampan_engine::Group;
use sampan_proto::v1;

use crate::container::Container;
use crate::id::Id;
use crate::resources;

pub(crate) struct Sandbox {
    pub(crate) id: Id,
    pub(crate) config: v1::PodSandboxConfig,
    pub(crate) runtime_handler: String,
    pub(crate) created_at: i64,
    /// False once it was stopped: nothing starts in it any more.
    pub(crate) ready: bool,
    pub(crate) network: Network,
    /// Limits of its containers together.
    pub(crate) group: Group,
    /// In the order they were created.
    pub(crate) containers: Vec<Arc<Container>>,
}

/// Where its containers listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Network {
    /// On an address of its own.
    Pod(Ipv4Addr),
    /// On the host's addresses.
    Host,
    /// Stopped: the address was given back.
    Released,
}

/// What a container has of its sandbox when it starts.
pub(crate) struct Home {
    pub(crate) network: Network,
    pub(crate) hostname: String,
    pub(crate) group: Group,
}

/// What no two sandboxes may share, as other runtimes have it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SandboxName(v1::PodSandboxMetadata);

impl SandboxName {
    pub(crate) fn of(config: &v1::PodSandboxConfig) -> SandboxName {
        SandboxName(config.metadata.clone().unwrap_or_default())
    }
}

impl Sandbox {
    pub(crate) fn name(&self) -> SandboxName {
        SandboxName::of(&self.config)
    }

    /// The file a container of this sandbox logs to; None if either side names no path.
    pub(crate) fn log_path(&self, log_path: &str) -> Option<PathBuf> {
        let folder = &self.config.log_directory;
        (!folder.is_empty() && !log_path.is_empty()).then(|| PathBuf::from(folder).join(log_path))
    }

    /// Takes over the limits that an update names. They hold for its containers at once, running or not.
    pub(crate) fn change_resources(&mut self, update: v1::LinuxContainerResources) {
        let linux = self.config.linux.get_or_insert_default();
        let known = linux.resources.get_or_insert_default();
        resources::merge(known, update);
        let (memory, quota) = resources::together(known);
        self.group.update(memory, quota);
    }

    fn state(&self) -> v1::PodSandboxState {
        match self.ready {
            true => v1::PodSandboxState::SandboxReady,
            false => v1::PodSandboxState::SandboxNotready,
        }
    }

    /// As a list shows it.
    pub(crate) fn item(&self) -> v1::PodSandbox {
        v1::PodSandbox {
            id: self.id.to_string(),
            metadata: self.config.metadata.clone(),
            state: self.state().into(),
            created_at: self.created_at,
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
            runtime_handler: self.runtime_handler.clone(),
        }
    }

    /// As its own status call shows it.
    pub(crate) fn status(&self) -> v1::PodSandboxStatus {
        let network = match self.network {
            Network::Pod(address) => Some(v1::PodSandboxNetworkStatus {
                ip: address.to_string(),
                additional_ips: Vec::new(),
            }),
            // An absent network, never an empty address: a kubelet takes that for a broken sandbox.
            Network::Host | Network::Released => None,
        };
        let options = namespace_options(&self.config).cloned().unwrap_or_default();
        v1::PodSandboxStatus {
            id: self.id.to_string(),
            metadata: self.config.metadata.clone(),
            state: self.state().into(),
            created_at: self.created_at,
            network,
            linux: Some(v1::LinuxPodSandboxStatus {
                namespaces: Some(v1::Namespace {
                    options: Some(options),
                }),
            }),
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
            runtime_handler: self.runtime_handler.clone(),
        }
    }
}

/// Whether the pod asks for the host's network.
pub(crate) fn wants_host_network(config: &v1::PodSandboxConfig) -> bool {
    namespace_options(config).is_some_and(|options| options.network() == v1::NamespaceMode::Node)
}

fn namespace_options(config: &v1::PodSandboxConfig) -> Option<&v1::NamespaceOption> {
    config
        .linux
        .as_ref()?
        .security_context
        .as_ref()?
        .namespace_options
        .as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(network: Network) -> Sandbox {
        let config = v1::PodSandboxConfig {
            log_directory: "/var/log/pods/x".into(),
            ..Default::default()
        };
        Sandbox {
            id: "s".into(),
            config,
            runtime_handler: "wasm".into(),
            created_at: 1,
            ready: true,
            network,
            group: Group::new(None, None),
            containers: Vec::new(),
        }
    }

    #[test]
    fn the_address_is_told_only_while_it_is_the_pods() {
        let pod = sandbox(Network::Pod(Ipv4Addr::new(127, 64, 0, 2)));
        assert_eq!(pod.status().network.expect("a network").ip, "127.64.0.2");
        assert_eq!(sandbox(Network::Host).status().network, None);
        assert_eq!(sandbox(Network::Released).status().network, None);
    }

    #[test]
    fn logs_need_both_halves_of_their_path() {
        let mut sandbox = sandbox(Network::Host);
        assert_eq!(
            sandbox.log_path("c/0.log"),
            Some(PathBuf::from("/var/log/pods/x/c/0.log"))
        );
        assert_eq!(sandbox.log_path(""), None);
        sandbox.config.log_directory.clear();
        assert_eq!(sandbox.log_path("c/0.log"), None);
    }
}
