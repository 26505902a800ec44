//! The same rules for guests of WASI 0.3.

use super::{Net, ask};
use crate::support::soon;
use sampan_engine::{Exit, Network, PodNetwork};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

fn net(block: u8) -> Net {
    Net {
        guest: "socket-probe-p3",
        ..Net::new(block)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_listen_call_each_other_and_share_their_localhost() {
    let net = net(21);
    let server = net.echo(2, "0.0.0.0:7000").await;
    let private = net.echo(2, "127.0.0.1:7001").await;
    let other = net.echo(3, "[::]:7000").await;
    assert_eq!(private.stdout.text(), "listening 127.0.0.1:7001\n");
    assert_eq!(other.stdout.text(), "listening [::]:7000\n");
    assert_eq!(ask(net.at(2), "host").await.unwrap(), "host");
    assert_eq!(ask(net.at(3), "host").await.unwrap(), "host");
    let said = net
        .said(
            2,
            &[
                "tcp-call 127.32.21.3:7000 a",
                "tcp-call 127.0.0.1:7001 b",
                "tcp-call [::1]:7001 c",
                "tcp-from 0.0.0.0:0 127.32.21.2:7000 d",
            ],
        )
        .await;
    for expected in [
        "connected 127.32.21.3:7000 from 127.32.21.2:",
        "connected 127.0.0.1:7001 from 127.0.0.1:",
        "connected [::1]:7001 from [::1]:",
        "answer a\n",
        "answer b\n",
        "answer c\n",
        "answer d\n",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    let seen = other.stdout.text();
    assert!(seen.contains("accepted [::ffff:127.32.21.2]:"), "{seen}");
    assert!(
        private.stdout.text().contains("accepted 127.0.0.1:"),
        "{}",
        private.stdout.text()
    );
    assert!(server.stdout.text().contains("accepted 127.32.21.2:"));
    // Strangers are not let in to localhost, and the next one of the pod still is.
    let stranger = net.said(3, &["tcp-call 127.32.21.2:7001 secret"]).await;
    assert!(!stranger.contains("answer secret"), "{stranger}");
    let again = net.said(2, &["tcp-call 127.0.0.1:7001 again"]).await;
    assert!(again.contains("answer again\n"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_pods_is_refused() {
    let net = net(22);
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let steps = [
        "tcp-bind 127.32.22.3:7000".to_owned(),
        "tcp-bind 192.0.2.1:7000".to_owned(),
        format!("tcp-call 127.0.0.1:{port} x"),
        "udp-call 127.32.22.3:0 127.32.22.3:7000 x".to_owned(),
    ];
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let said = net.said(2, &steps).await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "error ErrorCode::AddressNotBindable",
            "error ErrorCode::AddressNotBindable",
            "error ErrorCode::ConnectionRefused",
            "error ErrorCode::AddressNotBindable",
        ]
    );
    let steps = ["tcp-bind 0.0.0.0:0", "lookup localhost"];
    let said = net
        .said_with(2, &steps, |spec| spec.network = Network::None)
        .await;
    assert_eq!(
        said,
        "error ErrorCode::AccessDenied\nerror ErrorCode::PermanentResolverFailure\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_count_for_as_long_as_they_live() {
    let net = net(23);
    let listener = TcpListener::bind(net.at(4)).await.unwrap();
    // What is closed is seen when the guest waits for something, also if that is there at once.
    let steps = [
        "tcp-streams 127.32.23.4:7000",
        "lookup 127.0.0.1",
        "tcp-streams 127.32.23.4:7000",
    ];
    let said = net.said_with(3, &steps, |spec| spec.max_sockets = 5).await;
    assert_eq!(said.matches("5 connections, then ").count(), 2, "{said}");
    drop(listener);
    // A server at its limit closes what it cannot take, and goes on.
    let server = net
        .start_with(2, &["tcp-serve 0.0.0.0:7000"], |spec| spec.max_sockets = 2)
        .await;
    server.stdout.contains("listening ").await;
    let held = TcpStream::connect(net.at(2)).await.unwrap();
    server.stdout.contains("accepted ").await;
    assert_eq!(ask(net.at(2), "x").await.unwrap_or_default(), "");
    drop(held);
    soon(async {
        while ask(net.at(2), "x").await.unwrap_or_default() != "x" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A closed listener's port is free as soon as the guest has waited for something.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_can_be_listened_on_again() {
    let net = net(29);
    let _server = net.echo(2, "0.0.0.0:7000").await;
    let steps = [
        "tcp-bind 0.0.0.0:7001",
        "tcp-call 127.32.29.2:7000 a",
        "tcp-bind 0.0.0.0:7001",
        "tcp-call 127.32.29.2:7000 b",
        "tcp-bind 0.0.0.0:7001",
    ];
    // Its one listener, and the connection.
    let said = net.said_with(3, &steps, |spec| spec.max_sockets = 2).await;
    assert_eq!(
        said.matches("listening 0.0.0.0:7001\n").count(),
        3,
        "{said}"
    );
    assert!(!said.contains("error"), "{said}");
}

/// The host's socket of a listener that was closed goes when the guest waits for something, and counts until then.
#[tokio::test(flavor = "multi_thread")]
async fn closed_listeners_count_until_they_are_gone() {
    let steps = ["tcp-relisten 0.0.0.0:0"];
    let said = net(28)
        .said_with(3, &steps, |spec| spec.max_sockets = 5)
        .await;
    assert!(said.starts_with("5 listeners, then "), "{said}");
    assert!(said.contains("new-socket-limit"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_stay_in_pods_or_leave_the_host() {
    let net = net(24);
    let server = net.start(2, &["udp-serve 0.0.0.0:7000"]).await;
    server.stdout.contains("listening 0.0.0.0:7000\n").await;
    let private = net.start(3, &["udp-serve 127.0.0.1:7000"]).await;
    private.stdout.contains("listening 127.0.0.1:7000\n").await;
    let said = net
        .said(
            3,
            &[
                "udp-call 0.0.0.0:0 127.32.24.2:7000 one",
                "udp-connect 0.0.0.0:0 127.32.24.2:7000 two",
                "udp-unbound 127.32.24.2:7000 three",
                "udp-call 0.0.0.0:0 127.0.0.1:7000 four",
                "udp-call [::]:0 [::1]:7000 five",
            ],
        )
        .await;
    for expected in [
        "answer one from 127.32.24.2:7000\n",
        "answer two from 127.32.24.2:7000\n",
        "answer three from 127.32.24.2:7000\n",
        "answer four from 127.0.0.1:7000\n",
        "answer five from [::1]:7000\n",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    let seen = server.stdout.text();
    assert_eq!(
        seen.matches("datagram from 127.32.24.3:").count(),
        3,
        "{seen}"
    );

    let Some(outside) = super::datagrams::own_address_outside() else {
        eprintln!("skipped: needs an address other than loopback");
        return;
    };
    let service = UdpSocket::bind((outside, 0)).await.unwrap();
    let there = service.local_addr().unwrap();
    for call in ["udp-call 0.0.0.0:0", "udp-connect 0.0.0.0:0", "udp-unbound"] {
        let caller = net.start(2, &[&format!("{call} {there} hello")]).await;
        let mut question = [0; 16];
        let (_, from) = soon(service.recv_from(&mut question)).await.unwrap();
        service.send_to(b"welcome", from).await.unwrap();
        assert_eq!(soon(caller.container.wait()).await, Exit::Code(0));
        let said = caller.stdout.text();
        assert!(
            said.contains(&format!("answer welcome from {there}\n")),
            "{call}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_looked_up_in_the_directory_first() {
    let net = net(25);
    let _server = net.echo(3, "0.0.0.0:7000").await;
    let mut network = PodNetwork::new(net.address(2));
    network.directory = Some(Arc::new(super::names::Tables {
        name: "echo.svc",
        address: Ipv4Addr::new(10, 96, 0, 7),
        stands_for: net.at(3),
    }));
    let steps = [
        "lookup echo.svc",
        "lookup localhost",
        "lookup nobody.svc",
        "tcp-call 10.96.0.7:80 hello",
    ];
    let said = net
        .said_with(2, &steps, |spec| spec.network = Network::Pod(network))
        .await;
    assert!(
        said.starts_with(
            "echo.svc is 10.96.0.7\nlocalhost is 127.0.0.1\nerror ErrorCode::NameUnresolvable\n"
        ),
        "{said}"
    );
    assert!(
        said.contains("connected 10.96.0.7:80 from 127.32.25.2:"),
        "{said}"
    );
    assert!(said.ends_with("answer hello\n"), "{said}");
}
