//! Names, and addresses that stand for others.

use super::Net;
use sampan_engine::{Directory, Network, PodNetwork, Protocol, Route};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Knows one name, and one address that stands for another.
pub(super) struct Tables {
    pub(super) name: &'static str,
    pub(super) address: Ipv4Addr,
    pub(super) stands_for: SocketAddr,
}

impl Directory for Tables {
    fn lookup(&self, name: &str) -> Option<Vec<std::net::IpAddr>> {
        match name {
            "nobody.svc" => Some(Vec::new()),
            name => (name == self.name).then(|| vec![self.address.into()]),
        }
    }

    fn route(&self, _protocol: Protocol, destination: SocketAddr) -> Route {
        match destination.ip() == self.address {
            true => Route::To(self.stands_for),
            false if destination.port() == 99 => Route::Refused,
            false => Route::Direct,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_are_looked_up_in_the_directory_first() {
    let net = Net::new(12);
    let _server = net.echo(3, "0.0.0.0:7000").await;
    let mut network = PodNetwork::new(net.address(2));
    network.directory = Some(Arc::new(Tables {
        name: "echo.svc",
        address: Ipv4Addr::new(10, 96, 0, 7),
        stands_for: net.at(3),
    }));
    let steps = [
        "lookup echo.svc",
        "lookup Echo.SVC.",
        "lookup nobody.svc",
        "lookup localhost",
        "lookup db.localhost",
        "lookup 10.1.2.3",
        "lookup [2001:db8::1]",
        "lookup -_no%name",
        "lookup name.invalid",
        "tcp-call 10.96.0.7:80 hello",
        "tcp-call 127.32.12.3:99 hello",
        "udp-connect 0.0.0.0:0 10.96.0.7:99 x",
    ];
    let echo = net.start(3, &["udp-serve 0.0.0.0:7000"]).await;
    echo.stdout.contains("listening").await;
    let said = net
        .said_with(2, &steps, |spec| spec.network = Network::Pod(network))
        .await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..9],
        [
            "echo.svc is 10.96.0.7",
            "Echo.SVC. is 10.96.0.7",
            "error name-unresolvable",
            "localhost is 127.0.0.1",
            "db.localhost is 127.0.0.1",
            "10.1.2.3 is 10.1.2.3",
            "[2001:db8::1] is 2001:db8::1",
            "error invalid-argument",
            "error name-unresolvable",
        ],
        "{said}"
    );
    // The guest sees the address it asked for.
    assert!(
        said.contains("connected 10.96.0.7:80 from 127.32.12.2:"),
        "{said}"
    );
    assert!(
        said.contains("answer hello\nerror connection-refused\n"),
        "{said}"
    );
    assert!(said.contains("answer x from 10.96.0.7:99\n"), "{said}");
    let denied = net
        .said_with(2, &["lookup localhost"], |spec| {
            spec.network = Network::None
        })
        .await;
    assert_eq!(denied, "error permanent-resolver-failure\n");
}
