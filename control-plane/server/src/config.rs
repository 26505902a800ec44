//! What a server needs to know before it starts. Read from nowhere: the root package fills it in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::chain::Limits;

/// Name of the database in the data folder.
pub const DATABASE: &str = "state.db";
/// Name of the folder of keys, certificates and static tokens in the data folder.
pub const PKI_FOLDER: &str = "pki";

/// Settings of one server.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where state, keys and kubeconfigs live; made when missing.
    pub data_dir: PathBuf,
    /// Where to accept connections; port 0 picks one.
    pub listen: SocketAddr,
    /// Names and addresses by which other machines reach this server. They go into its certificate, and the first one
    /// into the kubeconfigs (else the listen address, or 127.0.0.1 when that is unspecified).
    pub advertise: Vec<String>,
    /// The node `agent.kubeconfig` is written for.
    pub node_name: String,
    /// Service addresses: network and prefix length. Its first address belongs to the server.
    pub service_cidr: (Ipv4Addr, u8),
    /// Ports for Services of type NodePort.
    pub node_ports: RangeInclusive<u16>,
    /// Served below `/v2` to authenticated users (the cluster's own registry).
    pub extra: Option<axum::Router>,
    /// What protects the server from its clients.
    pub limits: Limits,
    /// What else is told at `/metrics`: the server adds its own to it.
    pub metrics: prometheus::Registry,
}

impl ServerConfig {
    /// The defaults, for a server on `listen` keeping its state in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>, listen: SocketAddr) -> ServerConfig {
        ServerConfig {
            data_dir: data_dir.into(),
            listen,
            advertise: Vec::new(),
            node_name: "localhost".into(),
            service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
            node_ports: 30000..=32767,
            extra: None,
            limits: Limits::default(),
            metrics: prometheus::Registry::new(),
        }
    }

    /// The first Service address: `kubernetes.default`.
    pub(crate) fn service_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.service_cidr.0) | 1)
    }

    /// The address other machines reach this server by: one that is advertised, else the one it listens on, else the one
    /// this host talks to others from.
    pub(crate) fn reachable_ip(&self, bound: SocketAddr) -> IpAddr {
        let advertised = self.advertise.iter().find_map(|name| name.parse().ok());
        advertised
            .or_else(|| (!bound.ip().is_unspecified()).then(|| bound.ip()))
            .or_else(own_ip)
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Host and port for kubeconfigs, once the port is known.
    pub(crate) fn url(&self, bound: SocketAddr) -> String {
        let host = match self.advertise.first() {
            Some(host) => host.clone(),
            None if bound.ip().is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            None => bound.ip().to_string(),
        };
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) => format!("https://[{v6}]:{}", bound.port()),
            _ => format!("https://{host}:{}", bound.port()),
        }
    }
}

/// The address packets to other machines come from. Asking sends none: the address asked about is for documentation.
fn own_ip() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
