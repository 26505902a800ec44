//! Guests' own sockets: containers with addresses of their own on one host. Each test has a block of addresses.

mod datagrams;
mod names;
mod p3;

use crate::support::{Bench, Running, get, soon};
use sampan_engine::{ContainerSpec, Exit, Network, PodNetwork};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PORT: u16 = 7000;

/// An engine whose pods have the addresses 127.32.BLOCK.0/24.
struct Net {
    bench: Bench,
    block: u8,
    guest: &'static str,
}

impl Net {
    fn new(block: u8) -> Self {
        let pods = (Ipv4Addr::new(127, 32, block, 0), 24);
        Net {
            bench: Bench::with(|config| config.pod_addresses = Some(pods)),
            block,
            guest: "socket-probe",
        }
    }

    fn address(&self, pod: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 32, self.block, pod)
    }

    fn at(&self, pod: u8) -> SocketAddr {
        (self.address(pod), PORT).into()
    }

    /// Starts a container of a pod that goes through these steps.
    async fn start(&self, pod: u8, steps: &[&str]) -> Running {
        self.start_with(pod, steps, |_| {}).await
    }

    async fn start_with(
        &self,
        pod: u8,
        steps: &[&str],
        change: impl FnOnce(&mut ContainerSpec),
    ) -> Running {
        let network = PodNetwork::new(self.address(pod));
        let with_network = |spec: &mut ContainerSpec| {
            spec.network = Network::Pod(network);
            change(spec);
        };
        self.bench.start_with(self.guest, steps, with_network).await
    }

    /// A pod that echoes on an address, once it listens.
    async fn echo(&self, pod: u8, address: &str) -> Running {
        let running = self.start(pod, &[&format!("tcp-serve {address}")]).await;
        running.stdout.contains("listening ").await;
        running
    }

    /// What a container of a pod prints that goes through these steps.
    async fn said(&self, pod: u8, steps: &[&str]) -> String {
        self.said_with(pod, steps, |_| {}).await
    }

    async fn said_with(
        &self,
        pod: u8,
        steps: &[&str],
        change: impl FnOnce(&mut ContainerSpec),
    ) -> String {
        let running = self.start_with(pod, steps, change).await;
        let exit = soon(running.container.wait()).await;
        assert_eq!(exit, Exit::Code(0), "{}", running.stderr.text());
        running.stdout.text()
    }
}

/// Sends a text from the host, and reads what comes back until the connection ends.
async fn ask(address: SocketAddr, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_binds_is_its_pods_address() {
    let net = Net::new(1);
    for address in ["0.0.0.0:7000", "[::]:7000", "127.32.1.2:7000"] {
        let server = net.echo(2, address).await;
        assert_eq!(server.stdout.text(), format!("listening {address}\n"));
        assert_eq!(ask(net.at(2), "hello").await.unwrap(), "hello", "{address}");
        // The host is not what the guest calls localhost.
        let seen = server.stdout.text();
        assert!(
            seen.contains("accepted 127.32.1.1:") || seen.contains("accepted [::ffff:127.32.1.1]:"),
            "{seen}"
        );
        // Nobody else's port is taken.
        let elsewhere = TcpListener::bind((net.address(3), PORT)).await;
        assert!(elsewhere.is_ok(), "{address}");
        server.container.kill();
        soon(server.container.wait()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_can_have_one_port_and_see_each_others_addresses() {
    let net = Net::new(2);
    let (one, two) = (
        net.echo(2, "0.0.0.0:7000").await,
        net.echo(3, "0.0.0.0:7000").await,
    );
    let said = net
        .said(
            4,
            &[
                "tcp-call 127.32.2.2:7000 to-one",
                "tcp-call 127.32.2.3:7000 to-two",
            ],
        )
        .await;
    assert!(
        said.contains("connected 127.32.2.2:7000 from 127.32.2.4:"),
        "{said}"
    );
    assert!(said.contains("answer to-one\n"), "{said}");
    assert!(said.contains("answer to-two\n"), "{said}");
    for (server, address) in [(one, "127.32.2.2:7000"), (two, "127.32.2.3:7000")] {
        let seen = server.stdout.text();
        assert!(seen.contains("accepted 127.32.2.4:"), "{seen}");
        assert!(seen.contains(&format!(" at {address}\n")), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_the_pods_and_shared_by_its_containers() {
    let net = Net::new(3);
    let server = net.echo(2, "127.0.0.1:7000").await;
    assert_eq!(server.stdout.text(), "listening 127.0.0.1:7000\n");
    let said = net
        .said(
            2,
            &[
                "tcp-call 127.0.0.1:7000 a",
                "tcp-call [::1]:7000 b",
                "tcp-call 127.0.0.53:7000 c",
                "tcp-from 127.0.0.1:0 127.0.0.1:7000 d",
                "tcp-call 127.32.3.2:7000 e",
            ],
        )
        .await;
    assert!(
        said.contains("connected 127.0.0.1:7000 from 127.0.0.1:"),
        "{said}"
    );
    assert!(said.contains("connected [::1]:7000 from [::1]:"), "{said}");
    for text in ["a", "b", "c", "d", "e"] {
        assert!(said.contains(&format!("answer {text}\n")), "{said}");
    }
    server.stdout.contains("accepted 127.0.0.1:").await;
    // What listens on localhost answers nobody else: another pod, the host.
    let stranger = net.said(3, &["tcp-call 127.32.3.2:7000 secret"]).await;
    assert!(!stranger.contains("answer secret"), "{stranger}");
    let host = ask(net.at(2), "secret").await.unwrap_or_default();
    assert_eq!(host, "");
    let again = net.said(2, &["tcp-call 127.0.0.1:7000 again"]).await;
    assert!(again.contains("answer again\n"), "{again}");
    // Another pod's localhost is another.
    let other = net.said(3, &["tcp-call 127.0.0.1:7000 x"]).await;
    assert_eq!(other, "error connection-refused\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_an_address_that_is_not_its_own() {
    let net = Net::new(4);
    let said = net
        .said(
            2,
            &[
                "tcp-bind 127.32.4.3:7000",
                "tcp-bind 127.32.4.1:7000",
                "tcp-bind 192.0.2.1:7000",
                "tcp-bind [2001:db8::1]:7000",
                "tcp-from 127.32.4.3:0 127.32.4.3:7000 x",
            ],
        )
        .await;
    assert_eq!(said, "error address-not-bindable\n".repeat(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_loopback_is_out_of_reach() {
    let net = Net::new(5);
    let mut services = Vec::new();
    for address in ["127.0.0.1:0", "127.0.0.77:0", "127.63.255.254:0"] {
        services.push(TcpListener::bind(address).await.unwrap());
    }
    let mut steps: Vec<String> = services
        .iter()
        .map(|service| format!("tcp-call {} x", service.local_addr().unwrap()))
        .collect();
    let port = services[0].local_addr().unwrap().port();
    steps.push(format!("tcp-call [::1]:{port} x"));
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let said = net.said(2, &steps).await;
    assert_eq!(said, "error connection-refused\n".repeat(4));
    // Written in IPv6's way, no address is one to connect to.
    let mapped = format!("tcp-call [::ffff:127.0.0.1]:{port} x");
    assert_eq!(net.said(2, &[&mapped]).await, "error invalid-argument\n");
    // A pod that may not leave reaches pods only.
    let said = net
        .said_with(2, &["tcp-call 192.0.2.1:80 x"], |spec| {
            let mut network = PodNetwork::new(Ipv4Addr::new(127, 32, 5, 2));
            network.outside = false;
            spec.network = Network::Pod(network);
        })
        .await;
    assert_eq!(said, "error access-denied\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_end_at_the_containers_limit_and_return_with_it() {
    let net = Net::new(6);
    let neighbour = net.bench.neighbour().await;
    let _server = net.echo(2, "0.0.0.0:7000").await;
    for family in ["4", "6"] {
        let said = net
            .said_with(3, &[&format!("sockets {family}")], |spec| {
                spec.max_sockets = 9
            })
            .await;
        assert_eq!(said, "9 sockets, then new-socket-limit\n");
    }
    let listener = TcpListener::bind(net.at(4)).await.unwrap();
    let steps = ["tcp-hoard 127.32.6.4:7000", "tcp-hoard 127.32.6.4:7000"];
    let said = net.said_with(3, &steps, |spec| spec.max_sockets = 5).await;
    assert_eq!(said, "5 connections, then new-socket-limit\n".repeat(2));
    drop(listener);
    assert_eq!(ask(net.at(2), "still here").await.unwrap(), "still here");
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_container_leaves_its_port_at_once() {
    let net = Net::new(7);
    for round in 0..5 {
        let server = net.echo(2, "0.0.0.0:7000").await;
        let mut client = TcpStream::connect(net.at(2)).await.unwrap();
        client.write_all(b"x").await.unwrap();
        let mut echoed = [0];
        soon(client.read_exact(&mut echoed)).await.unwrap();
        server.container.kill();
        soon(server.container.wait()).await;
        let ended = soon(client.read(&mut echoed)).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_there_is_no_socket_and_with_the_hosts_no_translation() {
    let net = Net::new(8);
    let steps = ["tcp-bind 0.0.0.0:0", "tcp-call 127.32.8.2:7000 x"];
    let said = net
        .said_with(2, &steps, |spec| spec.network = Network::None)
        .await;
    assert_eq!(said, "error access-denied\n".repeat(2));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let call = format!("tcp-call {} x", listener.local_addr().unwrap());
    let serve = net
        .start_with(2, &["tcp-bind 127.0.0.1:0", &call], |spec| {
            spec.network = Network::Host
        })
        .await;
    let (mut client, from) = soon(listener.accept()).await.unwrap();
    assert_eq!(from.ip(), Ipv4Addr::LOCALHOST);
    let mut question = [0];
    soon(client.read_exact(&mut question)).await.unwrap();
    client.write_all(b"y").await.unwrap();
    drop(client);
    serve.stdout.contains("answer y").await;
    let text = serve.stdout.text();
    assert!(text.starts_with("listening 127.0.0.1:"), "{text}");
    assert!(!text.starts_with("listening 127.0.0.1:0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_of_requests_has_sockets_too() {
    let net = Net::new(13);
    let _server = net.echo(2, "127.0.0.1:7000").await;
    let network = PodNetwork::new(net.address(2));
    let handler = net
        .bench
        .start_with("socket-handler", &[], |spec| {
            spec.listen = vec![(net.address(2), 0).into()];
            spec.network = Network::Pod(network);
            spec.max_sockets = 1;
        })
        .await;
    // Each request's instance gives its socket back.
    for _ in 0..3 {
        let (status, body) = soon(get(handler.addr(), "/127.0.0.1:7000/hello")).await;
        assert_eq!((status.as_u16(), &body.unwrap()[..]), (200, &b"hello"[..]));
    }
    let (_, body) = soon(get(handler.addr(), "/127.0.0.1:7009/hello")).await;
    assert_eq!(&body.unwrap()[..], b"error connection-refused");
}
