//! Which addresses a container has and reaches. Pure rules, the same for sockets and for outgoing HTTP.
//!
//! Of 127.0.0.0/8 a guest reaches pods' addresses and nothing else of the host: all the rest of the range is its own
//! localhost, as in a network namespace, and means its own address.

use super::lookup::Turns;
use crate::network::{Directory, Network, Protocol, Route};
use crate::{ContainerSpec, EngineConfig};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Addresses of the host that sent datagrams and may be answered.
const MAX_HEARD: usize = 256;

/// The rules of one container.
#[derive(Clone)]
pub(crate) struct Reach {
    own: Option<IpAddr>,
    pods: Option<(Ipv4Addr, u8)>,
    host: bool,
    outside: bool,
    directory: Option<Arc<dyn Directory>>,
    turns: Turns,
    /// The last ones, the latest at the end.
    heard: Arc<Mutex<VecDeque<SocketAddr>>>,
}

/// Why nothing can be sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// The container may not.
    Forbidden,
    /// Nobody is there.
    Refused,
}

impl Reach {
    /// The container's address is its network's, else the first that its HTTP handler listens on.
    pub(crate) fn new(spec: &ContainerSpec, config: &EngineConfig) -> Self {
        let listens = || {
            let mut addresses = spec.listen.iter().map(SocketAddr::ip);
            addresses.find(|ip| !ip.is_unspecified())
        };
        let pod = match &spec.network {
            Network::Pod(pod) => Some(pod),
            Network::None | Network::Host => None,
        };
        Reach {
            own: pod.map(|pod| pod.address.into()).or_else(listens),
            pods: config.pod_addresses,
            host: matches!(spec.network, Network::Host),
            outside: pod.is_none_or(|pod| pod.outside),
            directory: pod.and_then(|pod| pod.directory.clone()),
            turns: Turns::new(),
            heard: Arc::default(),
        }
    }

    /// Whether addresses mean what they mean to the host.
    pub(crate) fn is_hosts(&self) -> bool {
        self.host
    }

    /// The container's own address.
    pub(crate) fn own(&self) -> Option<IpAddr> {
        self.own
    }

    pub(crate) fn directory(&self) -> Option<&dyn Directory> {
        self.directory.as_deref()
    }

    /// Whether an address is the guest's localhost. Its own address is none, though it leads to the same place.
    pub(crate) fn is_localhost(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                ip.is_loopback() && self.own != Some(IpAddr::V4(ip)) && !self.is_pod(ip)
            }
            IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
        }
    }

    /// The places of its questions to the host's resolver.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    fn is_pod(&self, ip: Ipv4Addr) -> bool {
        self.pods.is_some_and(|pods| holds(pods, ip))
    }

    /// Where what the guest sends to an address goes. An unspecified address means localhost, as on Linux, and an
    /// IPv4 address may be written as an IPv6 one.
    pub(crate) fn destination(
        &self,
        protocol: Protocol,
        mut address: SocketAddr,
    ) -> Result<SocketAddr, Unreachable> {
        if self.host {
            return Ok(address);
        }
        let ip = address.ip().to_canonical();
        if ip.is_unspecified() || self.is_localhost(ip) {
            let own = self.own.ok_or(Unreachable::Forbidden)?;
            return Ok(SocketAddr::new(own, address.port()));
        }
        if ip.is_ipv4() {
            address = SocketAddr::new(ip, address.port());
        }
        if let (Protocol::Udp, Some(real)) = (protocol, self.heard_from(address)) {
            return Ok(real);
        }
        let known = self.directory();
        match known.map_or(Route::Direct, |known| known.route(protocol, address)) {
            Route::Direct => {}
            Route::To(endpoint) => address = endpoint,
            Route::Refused => return Err(Unreachable::Refused),
        }
        if self.reaches(address.ip()) {
            Ok(address)
        } else {
            Err(Unreachable::Forbidden)
        }
    }

    /// The address by which guests know the host: the second one of the pods' block, which is no pod's. By its own,
    /// 127.0.0.1, it would look like the guest's localhost.
    fn gateway(&self) -> Option<IpAddr> {
        let (first, _) = self.pods.filter(|_| !self.host)?;
        Some(Ipv4Addr::from_bits(first.to_bits().checked_add(1)?).into())
    }

    /// A peer's address as guests see it.
    pub(crate) fn seen(&self, real: SocketAddr) -> SocketAddr {
        match self.gateway() {
            Some(gateway) if self.is_localhost(real.ip()) => SocketAddr::new(gateway, real.port()),
            _ => real,
        }
    }

    /// Notes who sent a datagram: a process of the host can be answered then, and only then.
    pub(crate) fn hear(&self, real: SocketAddr) {
        if !self.host && self.is_localhost(real.ip()) {
            let mut heard = self.heard.lock();
            heard.retain(|other| *other != real);
            if heard.len() >= MAX_HEARD {
                heard.pop_front();
            }
            heard.push_back(real);
        }
    }

    /// Whether a process of the host sent a datagram from this address.
    pub(crate) fn has_heard(&self, real: SocketAddr) -> bool {
        self.heard.lock().contains(&real)
    }

    /// Who sent the last datagram that guests saw come from this address of the host.
    fn heard_from(&self, asked: SocketAddr) -> Option<SocketAddr> {
        let heard = self.heard.lock();
        let mut latest = heard.iter().rev();
        latest
            .find(|real| real.port() == asked.port())
            .copied()
            .filter(|_| Some(asked.ip()) == self.gateway())
    }

    /// Whether packets may be sent to this very address.
    pub(crate) fn reaches(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if self.host || self.own == Some(ip) {
            return true;
        }
        match ip {
            IpAddr::V4(ip) if self.is_pod(ip) => true,
            IpAddr::V4(ip) => {
                self.outside && !(ip.is_loopback() || ip.is_multicast() || ip.is_broadcast())
            }
            IpAddr::V6(ip) => self.outside && !(ip.is_loopback() || ip.is_multicast()),
        }
    }

    /// The address a socket leaves from that the guest did not bind: the container's own, so that peers see it. None
    /// where the kernel has to choose, because nothing leaves the host from a loopback address.
    pub(crate) fn source(&self, destination: IpAddr) -> Option<IpAddr> {
        if self.host {
            return None;
        }
        self.own
            .filter(|own| own.is_ipv4() == destination.is_ipv4())
            .filter(|own| !own.is_loopback() || destination.is_loopback())
    }

    /// Where a bind to an address goes, or None if the address is not the container's.
    pub(crate) fn local(&self, ip: IpAddr) -> Option<IpAddr> {
        if self.host {
            return Some(ip);
        }
        let own = self.own?;
        (ip.is_unspecified() || self.is_localhost(ip) || ip == own).then_some(own)
    }
}

/// Whether an address is in a block. A prefix longer than an address is none.
fn holds((first, prefix_len): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    let Some(rest) = 32_u32.checked_sub(u32::from(prefix_len)) else {
        return false;
    };
    let prefix = |address: Ipv4Addr| address.to_bits().checked_shr(rest);
    prefix(first) == prefix(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(own: Option<&str>, pods: bool) -> Reach {
        Reach {
            own: own.map(|own| own.parse().expect("an address")),
            pods: pods.then_some((Ipv4Addr::new(127, 64, 0, 0), 18)),
            host: false,
            outside: true,
            directory: None,
            turns: Turns::new(),
            heard: Arc::default(),
        }
    }

    #[test]
    fn of_the_loopback_range_only_pods_are_reached() {
        let (with, without) = (reach(Some("127.64.0.9"), true), reach(None, false));
        // Address, where it leads for a container with an address, and for one without or without pods.
        let cases = [
            ("127.0.0.1:80", Some("127.64.0.9:80"), None),
            ("[::1]:80", Some("127.64.0.9:80"), None),
            ("0.0.0.0:80", Some("127.64.0.9:80"), None),
            ("[::]:80", Some("127.64.0.9:80"), None),
            ("[::ffff:127.0.0.1]:80", Some("127.64.0.9:80"), None),
            ("127.64.0.9:80", Some("127.64.0.9:80"), None),
            ("127.64.0.3:80", Some("127.64.0.3:80"), None),
            ("127.64.63.255:80", Some("127.64.63.255:80"), None),
            ("[::ffff:127.64.0.3]:80", Some("127.64.0.3:80"), None),
            ("127.64.64.0:80", Some("127.64.0.9:80"), None),
            ("127.63.255.255:80", Some("127.64.0.9:80"), None),
            ("127.0.0.2:80", Some("127.64.0.9:80"), None),
            ("127.0.0.53:53", Some("127.64.0.9:53"), None),
            ("127.255.255.255:80", Some("127.64.0.9:80"), None),
            ("[::ffff:127.0.0.53]:53", Some("127.64.0.9:53"), None),
            ("255.255.255.255:80", None, None),
            ("224.0.0.251:5353", None, None),
            ("[ff02::fb]:5353", None, None),
            ("10.0.0.1:80", Some("10.0.0.1:80"), Some("10.0.0.1:80")),
            (
                "[2001:db8::1]:80",
                Some("[2001:db8::1]:80"),
                Some("[2001:db8::1]:80"),
            ),
        ];
        let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for (given, expected, without_address) in cases {
            let given = parse(given);
            let to = |reach: &Reach| reach.destination(Protocol::Tcp, given).ok();
            assert_eq!(to(&with), expected.map(parse), "{given}");
            assert_eq!(to(&without), without_address.map(parse), "{given}");
        }
    }

    #[test]
    fn the_host_is_seen_at_an_address_of_its_own_and_answered() {
        let reach = reach(Some("127.64.0.9"), true);
        let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let (host, gateway) = (parse("127.0.0.1:5353"), parse("127.64.0.1:5353"));
        assert_eq!(reach.seen(host), gateway);
        for unchanged in ["127.64.0.9:1", "127.64.0.3:1", "10.0.0.1:1"] {
            assert_eq!(reach.seen(parse(unchanged)), parse(unchanged));
        }
        let to = |protocol| reach.destination(protocol, gateway);
        assert_eq!(to(Protocol::Udp), Ok(gateway));
        reach.hear(host);
        assert!(reach.has_heard(host));
        assert_eq!(to(Protocol::Udp), Ok(host));
        assert_eq!(to(Protocol::Tcp), Ok(gateway));
        for port in 1..=MAX_HEARD as u16 {
            reach.hear(SocketAddr::new(host.ip(), port));
        }
        assert!(!reach.has_heard(host));
        assert_eq!(to(Protocol::Udp), Ok(gateway));
    }

    #[test]
    fn only_own_addresses_are_bound() {
        let reach = reach(Some("127.64.0.9"), true);
        for (given, bound) in [
            ("0.0.0.0", true),
            ("::", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("127.0.1.1", true),
            ("127.64.0.9", true),
            ("127.64.0.3", false),
            ("127.64.0.1", false),
            ("10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            let local = reach.local(given.parse().expect("an address"));
            assert_eq!(local, reach.own().filter(|_| bound), "{given}");
        }
    }

    #[test]
    fn peers_see_the_containers_address_where_it_can_be_answered() {
        let source = |own: &str, to: &str| {
            let source = reach(Some(own), true).source(to.parse().expect("an address"));
            source.map(|source| source.to_string())
        };
        let own = "127.64.0.9";
        assert_eq!(source(own, "127.64.0.3").as_deref(), Some(own));
        assert_eq!(source(own, own).as_deref(), Some(own));
        assert_eq!(source(own, "10.0.0.1"), None);
        assert_eq!(source(own, "2001:db8::1"), None);
        let routed = "10.42.0.9";
        assert_eq!(source(routed, "192.0.2.1").as_deref(), Some(routed));
    }

    struct Tables;

    impl Directory for Tables {
        fn lookup(&self, _name: &str) -> Option<Vec<IpAddr>> {
            None
        }

        fn route(&self, protocol: Protocol, destination: SocketAddr) -> Route {
            match (protocol, destination.to_string().as_str()) {
                (Protocol::Tcp, "10.96.0.1:443") => Route::To(([127, 64, 0, 3], 6443).into()),
                (Protocol::Tcp, "10.96.0.2:80") => Route::To(([127, 0, 0, 1], 22).into()),
                (_, "127.64.0.77:80") => Route::Refused,
                _ => Route::Direct,
            }
        }
    }

    #[test]
    fn the_directory_leads_elsewhere_but_not_out_of_reach() {
        let mut reach = reach(Some("127.64.0.9"), true);
        reach.directory = Some(Arc::new(Tables));
        let to = |protocol, address: &str| {
            let address = address.parse().expect("an address");
            reach
                .destination(protocol, address)
                .map(|to| to.to_string())
        };
        assert_eq!(
            to(Protocol::Tcp, "10.96.0.1:443"),
            Ok("127.64.0.3:6443".to_owned())
        );
        assert_eq!(
            to(Protocol::Udp, "10.96.0.1:443"),
            Ok("10.96.0.1:443".to_owned())
        );
        assert_eq!(
            to(Protocol::Tcp, "10.96.0.2:80"),
            Err(Unreachable::Forbidden)
        );
        assert_eq!(
            to(Protocol::Tcp, "127.64.0.77:80"),
            Err(Unreachable::Refused)
        );
    }

    #[test]
    fn the_outside_can_be_forbidden_and_the_host_has_no_rules() {
        let mut reach = reach(Some("127.64.0.9"), true);
        reach.outside = false;
        let to = |reach: &Reach, address: &str| {
            reach.destination(Protocol::Tcp, address.parse().expect("an address"))
        };
        assert_eq!(to(&reach, "10.0.0.1:80"), Err(Unreachable::Forbidden));
        assert!(to(&reach, "127.64.0.3:80").is_ok());
        reach.host = true;
        for address in ["127.0.0.1:22", "10.0.0.1:80", "[::1]:80"] {
            assert_eq!(to(&reach, address), Ok(address.parse().expect("valid")));
        }
    }

    #[test]
    fn blocks_hold_what_has_their_prefix() {
        for (prefix_len, address, expected) in [
            (32, [127, 64, 0, 0], true),
            (32, [127, 64, 0, 1], false),
            (10, [127, 127, 255, 255], true),
            (10, [127, 128, 0, 0], false),
            (0, [10, 0, 0, 1], true),
            (33, [127, 64, 0, 0], false),
        ] {
            let block = (Ipv4Addr::new(127, 64, 0, 0), prefix_len);
            assert_eq!(
                holds(block, address.into()),
                expected,
                "{prefix_len} {address:?}"
            );
        }
    }
}
