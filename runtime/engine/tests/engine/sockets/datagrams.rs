//! Datagrams, and what leaves the host.

use super::Net;
use crate::support::soon;
use sampan_engine::Exit;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_go_between_pods_and_show_their_addresses() {
    let net = Net::new(9);
    let server = net.start(2, &["udp-serve 0.0.0.0:7000"]).await;
    server.stdout.contains("listening 0.0.0.0:7000\n").await;
    let same_port = net.start(3, &["udp-serve [::]:7000"]).await;
    same_port.stdout.contains("listening [::]:7000\n").await;
    let said = net
        .said(
            4,
            &[
                "udp-call 0.0.0.0:0 127.32.9.2:7000 one",
                "udp-connect 0.0.0.0:0 127.32.9.2:7000 two",
                "udp-call 0.0.0.0:0 127.32.9.3:7000 three",
            ],
        )
        .await;
    assert!(said.contains("answer one from 127.32.9.2:7000\n"), "{said}");
    assert!(said.contains("connected 127.32.9.2:7000\n"), "{said}");
    assert!(said.contains("sent from 127.32.9.4:"), "{said}");
    assert!(said.contains("answer two from 127.32.9.2:7000\n"), "{said}");
    assert!(
        said.contains("answer three from 127.32.9.3:7000\n"),
        "{said}"
    );
    server.stdout.contains("datagram from 127.32.9.4:").await;
    // An IPv6 socket on this host hears IPv4 senders, and answers them.
    same_port
        .stdout
        .contains("datagram from [::ffff:127.32.9.4]:")
        .await;
    // The host reaches them as well, and is answered.
    let host = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    host.send_to(b"four", net.at(2)).await.unwrap();
    let mut answer = [0; 16];
    let (length, from) = soon(host.recv_from(&mut answer)).await.unwrap();
    assert_eq!((&answer[..length], from), (&b"four"[..], net.at(2)));
    // It is not what the guest calls localhost.
    server.stdout.contains("datagram from 127.32.9.1:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_to_localhost_stay_in_the_pod() {
    let net = Net::new(10);
    let server = net.start(2, &["udp-serve 127.0.0.1:7000"]).await;
    server.stdout.contains("listening 127.0.0.1:7000\n").await;
    // Strangers first: what they sent would be echoed before what is asked for below.
    let stranger = UdpSocket::bind((net.address(3), 0)).await.unwrap();
    stranger.send_to(b"secret", net.at(2)).await.unwrap();
    let said = net
        .said(
            2,
            &[
                "udp-call 0.0.0.0:0 127.0.0.1:7000 one",
                "udp-connect 127.0.0.1:0 127.0.0.1:7000 two",
                "udp-call [::]:0 [::1]:7000 three",
                "udp-call 127.32.10.3:0 127.0.0.1:7000 four",
            ],
        )
        .await;
    assert!(said.contains("answer one from 127.0.0.1:7000\n"), "{said}");
    assert!(said.contains("answer two from 127.0.0.1:7000\n"), "{said}");
    assert!(said.contains("answer three from [::1]:7000\n"), "{said}");
    assert!(said.ends_with("error address-not-bindable\n"), "{said}");
    let seen = server.stdout.text();
    assert!(!seen.contains("127.32.10.3"), "{seen}");
    // The host's own datagram services are not reached.
    let service = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let caller = net
        .start(2, &[&format!("udp-call 0.0.0.0:0 127.0.0.1:{port} x")])
        .await;
    caller.stdout.contains("sent from ").await;
    let mut nothing = [0; 1];
    let error = service.try_recv(&mut nothing).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_leave_the_host_from_an_address_that_can() {
    let Some(outside) = own_address_outside() else {
        eprintln!("skipped: needs an address other than loopback");
        return;
    };
    let net = Net::new(11);
    let service = UdpSocket::bind((outside, 0)).await.unwrap();
    let there = service.local_addr().unwrap();
    for call in ["udp-call", "udp-connect"] {
        let caller = net
            .start(2, &[&format!("{call} 0.0.0.0:0 {there} hello")])
            .await;
        let mut question = [0; 16];
        let (length, from) = soon(service.recv_from(&mut question)).await.unwrap();
        assert_eq!(&question[..length], b"hello");
        assert_ne!(from.ip(), net.address(2));
        service.send_to(b"welcome", from).await.unwrap();
        let exit = soon(caller.container.wait()).await;
        assert_eq!(exit, Exit::Code(0));
        let said = caller.stdout.text();
        assert!(
            said.contains(&format!("answer welcome from {there}\n")),
            "{said}"
        );
    }
    // The same way out for streams, bound or not.
    let listener = TcpListener::bind((outside, 0)).await.unwrap();
    let there = listener.local_addr().unwrap();
    let (call, from) = (
        format!("tcp-call {there} x"),
        format!("tcp-from 0.0.0.0:0 {there} x"),
    );
    let caller = net.start(2, &[&call, &from]).await;
    for _ in 0..2 {
        let (mut client, _) = soon(listener.accept()).await.unwrap();
        let mut question = [0];
        soon(client.read_exact(&mut question)).await.unwrap();
        client.write_all(b"y").await.unwrap();
    }
    soon(caller.container.wait()).await;
    assert_eq!(caller.stdout.text().matches("answer y\n").count(), 2);
    // Who bound localhost has no way out.
    let said = net
        .said(2, &[&format!("tcp-from 127.0.0.1:0 {there} x")])
        .await;
    assert_eq!(said, "error remote-unreachable\n");
}

/// An address of this host that others can reach, found without sending anything.
pub(super) fn own_address_outside() -> Option<Ipv4Addr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
        _ => None,
    }
}
