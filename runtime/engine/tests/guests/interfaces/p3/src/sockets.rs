//! `wasi:sockets`, all on the guest's own localhost.

use crate::check::{equal, err, holds, ok};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};
use wasip3::wit_stream;

const SECOND: u64 = 1_000_000_000;
const ANY_PORT: IpSocketAddress =
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });

pub async fn run() {
    tcp().await;
    tcp_options(&ok(TcpSocket::create(IpAddressFamily::Ipv4)));
    udp().await;
    names().await;
}

/// The name of an error.
fn named(value: impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.rsplit("::").next().unwrap_or_default().to_string()
}

#[track_caller]
fn failed<T>(result: Result<T, ErrorCode>, how: &str) {
    equal(named(err(result)), how);
}

async fn tcp() {
    let server = ok(TcpSocket::create(IpAddressFamily::Ipv4));
    equal(named(server.get_address_family()), "Ipv4");
    equal(named(ok(TcpSocket::create(IpAddressFamily::Ipv6)).get_address_family()), "Ipv6");
    ok(server.bind(ANY_PORT));
    failed(server.bind(ANY_PORT), "InvalidState");
    ok(server.set_listen_backlog_size(16));
    holds(!server.get_is_listening());
    let mut connections = ok(server.listen());
    holds(server.get_is_listening());
    failed(server.get_remote_address(), "InvalidState");
    let address = ok(server.get_local_address());
    holds(port(address) != 0);

    let client = ok(TcpSocket::create(IpAddressFamily::Ipv4));
    ok(client.connect(address).await);
    let peer = ok(connections.next().await.ok_or("no connection"));
    equal(port(ok(client.get_remote_address())), port(address));
    equal(port(ok(peer.get_remote_address())), port(ok(client.get_local_address())));
    say(&client, b"ping").await;
    equal(heard(&peer).await, b"ping");
    say(&peer, b"pong").await;
    equal(heard(&client).await, b"pong");

    // Nobody listens there.
    let unused = ok(TcpSocket::create(IpAddressFamily::Ipv4));
    ok(unused.bind(ANY_PORT));
    let nowhere = ok(unused.get_local_address());
    drop(unused);
    let refused = ok(TcpSocket::create(IpAddressFamily::Ipv4));
    failed(refused.connect(nowhere).await, "ConnectionRefused");
}

/// Sends all there is to send.
async fn say(socket: &TcpSocket, text: &[u8]) {
    let (mut data, stream) = wit_stream::new();
    let sent = socket.send(stream);
    equal(data.write_all(text.to_vec()).await, b"");
    drop(data);
    ok(sent.await);
}

/// What comes until the other side has sent all.
async fn heard(socket: &TcpSocket) -> Vec<u8> {
    let (data, end) = socket.receive();
    let text = data.collect().await;
    ok(end.await);
    text
}

fn tcp_options(socket: &TcpSocket) {
    ok(socket.set_keep_alive_enabled(true));
    holds(ok(socket.get_keep_alive_enabled()));
    ok(socket.set_keep_alive_idle_time(60 * SECOND));
    equal(ok(socket.get_keep_alive_idle_time()), 60 * SECOND);
    ok(socket.set_keep_alive_interval(10 * SECOND));
    equal(ok(socket.get_keep_alive_interval()), 10 * SECOND);
    ok(socket.set_keep_alive_count(4));
    equal(ok(socket.get_keep_alive_count()), 4);
    ok(socket.set_hop_limit(9));
    equal(ok(socket.get_hop_limit()), 9);
    failed(socket.set_hop_limit(0), "InvalidArgument");
    ok(socket.set_receive_buffer_size(16_384));
    holds(ok(socket.get_receive_buffer_size()) >= 16_384);
    ok(socket.set_send_buffer_size(16_384));
    holds(ok(socket.get_send_buffer_size()) >= 16_384);
}

async fn udp() {
    let (one, other) = (bound_udp(), bound_udp());
    let other_address = ok(other.get_local_address());
    failed(one.get_remote_address(), "InvalidState");
    ok(one.connect(other_address));
    equal(port(ok(one.get_remote_address())), port(other_address));
    ok(one.send(b"ping".to_vec(), None).await);
    let (data, from) = ok(other.receive().await);
    equal(data, b"ping");
    equal(port(from), port(ok(one.get_local_address())));
    ok(other.send(b"pong".to_vec(), Some(from)).await);
    equal(ok(one.receive().await).0, b"pong");
    ok(one.disconnect());
    failed(one.get_remote_address(), "InvalidState");
    failed(one.disconnect(), "InvalidState");

    ok(one.set_unicast_hop_limit(9));
    equal(ok(one.get_unicast_hop_limit()), 9);
    ok(one.set_receive_buffer_size(16_384));
    holds(ok(one.get_receive_buffer_size()) >= 16_384);
    ok(one.set_send_buffer_size(16_384));
    holds(ok(one.get_send_buffer_size()) >= 16_384);
}

fn bound_udp() -> UdpSocket {
    let socket = ok(UdpSocket::create(IpAddressFamily::Ipv4));
    equal(named(socket.get_address_family()), "Ipv4");
    ok(socket.bind(ANY_PORT));
    socket
}

async fn names() {
    let found = ok(resolve_addresses("localhost".into()).await);
    holds(found.iter().any(|address| matches!(address, IpAddress::Ipv4((127, 0, 0, 1)))));
    equal(named(err(resolve_addresses("not a name".into()).await)), "InvalidArgument");
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}
