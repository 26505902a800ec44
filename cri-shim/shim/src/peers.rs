//! What one pod's guests find on the network: where the tables of `sampan_net` meet the engine's sockets, which know
//! nothing of each other. So far the tables are the addresses of pods.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use sampan_engine::{Directory, Network, PodNetwork, Protocol, Route};

use crate::hosts::Hosts;
use crate::sandbox;

/// The view of one pod.
struct Peers {
    network: Arc<sampan_net::PodNetwork>,
    hostname: String,
    address: Ipv4Addr,
    hosts: Hosts,
}

/// The engine's network for the containers of a sandbox.
pub(crate) fn network(
    pods: &Arc<sampan_net::PodNetwork>,
    network: sandbox::Network,
    hostname: String,
    hosts: Hosts,
) -> Network {
    match network {
        sandbox::Network::Pod(address) => {
            let mut pod = PodNetwork::new(address);
            pod.directory = Some(Arc::new(Peers {
                network: pods.clone(),
                hostname,
                address,
                hosts,
            }));
            Network::Pod(pod)
        }
        sandbox::Network::Host => Network::Host,
        // A stopped sandbox starts nothing.
        sandbox::Network::Released => Network::None,
    }
}

impl Directory for Peers {
    fn lookup(&self, name: &str) -> Option<Vec<IpAddr>> {
        if name.eq_ignore_ascii_case(&self.hostname) {
            return Some(vec![self.address.into()]);
        }
        Some(self.hosts.addresses(name)).filter(|addresses| !addresses.is_empty())
    }

    /// An address of the block that no pod has leads nowhere: on a loopback address, services of the host that are
    /// bound to all addresses would answer instead.
    fn route(&self, _protocol: Protocol, destination: SocketAddr) -> Route {
        match destination.ip() {
            IpAddr::V4(ip)
                if self.network.cidr().offset(ip).is_some() && !self.network.holds(ip) =>
            {
                Route::Refused
            }
            _ => Route::Direct,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_net::PodNetworkConfig;

    #[test]
    fn pods_are_found_and_free_addresses_lead_nowhere() {
        let config = PodNetworkConfig {
            range: "127.127.252.0/29".parse().expect("a block"),
            prefix_len: 29,
            preferred: None,
        };
        let pods = Arc::new(sampan_net::PodNetwork::claim(config).expect("free"));
        let (address, other) = (
            pods.allocate().expect("free"),
            pods.allocate().expect("free"),
        );
        let network = network(
            &pods,
            sandbox::Network::Pod(address),
            "web-0".to_string(),
            Hosts::default(),
        );
        let Network::Pod(pod) = network else {
            panic!("a pod has a network")
        };
        let directory = pod.directory.expect("the shim knows its pods");
        assert_eq!(directory.lookup("WEB-0"), Some(vec![address.into()]));
        assert_eq!(directory.lookup("web-1"), None);
        let route = |ip: Ipv4Addr| directory.route(Protocol::Tcp, (ip, 80).into());
        assert_eq!(route(other), Route::Direct);
        assert_eq!(route(Ipv4Addr::new(10, 0, 0, 1)), Route::Direct);
        assert_eq!(route(Ipv4Addr::new(127, 127, 252, 1)), Route::Refused);
        pods.release(other);
        assert_eq!(route(other), Route::Refused);
    }
}
