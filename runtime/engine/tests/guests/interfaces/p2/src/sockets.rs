//! `wasi:sockets`, all on the guest's own localhost.

use crate::check::{equal, err, holds, ok};
use wasip2::io::streams::StreamError;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Network,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{OutgoingDatagram, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

const SECOND: u64 = 1_000_000_000;
const ANY_PORT: IpSocketAddress =
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });

pub fn run() {
    let network = instance_network();
    tcp(&network);
    tcp_options(&ok(create_tcp_socket(IpAddressFamily::Ipv4)));
    udp(&network);
    names(&network);
}

/// What a call of two halves comes to, when its second half does.
fn finish<T>(socket: &TcpSocket, call: impl Fn() -> Result<T, ErrorCode>) -> T {
    loop {
        match call() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            other => return ok(other),
        }
    }
}

fn tcp(network: &Network) {
    let server = ok(create_tcp_socket(IpAddressFamily::Ipv4));
    equal(server.address_family(), IpAddressFamily::Ipv4);
    equal(ok(create_tcp_socket(IpAddressFamily::Ipv6)).address_family(), IpAddressFamily::Ipv6);
    equal(err(server.start_listen()), ErrorCode::InvalidState);
    ok(server.start_bind(network, ANY_PORT));
    finish(&server, || server.finish_bind());
    ok(server.set_listen_backlog_size(16));
    holds(!server.is_listening());
    ok(server.start_listen());
    finish(&server, || server.finish_listen());
    holds(server.is_listening());
    equal(err(server.accept()), ErrorCode::WouldBlock);
    equal(err(server.remote_address()), ErrorCode::InvalidState);
    let address = ok(server.local_address());
    holds(port(address) != 0);

    let client = ok(create_tcp_socket(IpAddressFamily::Ipv4));
    ok(client.start_connect(network, address));
    let (input, output) = finish(&client, || client.finish_connect());
    let (peer, peer_input, peer_output) = finish(&server, || server.accept());
    equal(port(ok(client.remote_address())), port(address));
    equal(port(ok(peer.remote_address())), port(ok(client.local_address())));
    ok(output.blocking_write_and_flush(b"ping"));
    equal(ok(peer_input.blocking_read(100)), b"ping");
    ok(client.shutdown(ShutdownType::Send));
    holds(matches!(peer_input.blocking_read(1), Err(StreamError::Closed)));
    ok(peer_output.blocking_write_and_flush(b"pong"));
    equal(ok(input.blocking_read(100)), b"pong");

    // Nobody listens there.
    let port = {
        let unused = ok(create_tcp_socket(IpAddressFamily::Ipv4));
        ok(unused.start_bind(network, ANY_PORT));
        finish(&unused, || unused.finish_bind());
        ok(unused.local_address())
    };
    let refused = ok(create_tcp_socket(IpAddressFamily::Ipv4));
    ok(refused.start_connect(network, port));
    refused.subscribe().block();
    equal(err(refused.finish_connect().map(|_| ())), ErrorCode::ConnectionRefused);
}

fn tcp_options(socket: &TcpSocket) {
    ok(socket.set_keep_alive_enabled(true));
    holds(ok(socket.keep_alive_enabled()));
    ok(socket.set_keep_alive_idle_time(60 * SECOND));
    equal(ok(socket.keep_alive_idle_time()), 60 * SECOND);
    ok(socket.set_keep_alive_interval(10 * SECOND));
    equal(ok(socket.keep_alive_interval()), 10 * SECOND);
    ok(socket.set_keep_alive_count(4));
    equal(ok(socket.keep_alive_count()), 4);
    ok(socket.set_hop_limit(9));
    equal(ok(socket.hop_limit()), 9);
    equal(err(socket.set_hop_limit(0)), ErrorCode::InvalidArgument);
    ok(socket.set_receive_buffer_size(16_384));
    holds(ok(socket.receive_buffer_size()) >= 16_384);
    ok(socket.set_send_buffer_size(16_384));
    holds(ok(socket.send_buffer_size()) >= 16_384);
}

fn udp(network: &Network) {
    let (one, other) = (bound_udp(network), bound_udp(network));
    let other_address = ok(other.local_address());
    equal(err(one.remote_address()), ErrorCode::InvalidState);
    let (one_input, one_output) = ok(one.stream(Some(other_address)));
    let (other_input, other_output) = ok(other.stream(None));
    equal(port(ok(one.remote_address())), port(other_address));

    one_output.subscribe().block();
    holds(ok(one_output.check_send()) >= 1);
    let datagram = |data: &[u8], remote_address| OutgoingDatagram { data: data.to_vec(), remote_address };
    equal(ok(one_output.send(&[datagram(b"ping", None)])), 1);
    other_input.subscribe().block();
    let received = ok(other_input.receive(10));
    equal(received.len(), 1);
    equal(&received[0].data, b"ping");
    equal(port(received[0].remote_address), port(ok(one.local_address())));

    other_output.subscribe().block();
    holds(ok(other_output.check_send()) >= 1);
    equal(ok(other_output.send(&[datagram(b"pong", Some(received[0].remote_address))])), 1);
    one_input.subscribe().block();
    equal(&ok(one_input.receive(1))[0].data, b"pong");

    ok(one.set_unicast_hop_limit(9));
    equal(ok(one.unicast_hop_limit()), 9);
    ok(one.set_receive_buffer_size(16_384));
    holds(ok(one.receive_buffer_size()) >= 16_384);
    ok(one.set_send_buffer_size(16_384));
    holds(ok(one.send_buffer_size()) >= 16_384);
}

fn bound_udp(network: &Network) -> UdpSocket {
    let socket = ok(create_udp_socket(IpAddressFamily::Ipv4));
    equal(socket.address_family(), IpAddressFamily::Ipv4);
    ok(socket.start_bind(network, ANY_PORT));
    loop {
        match socket.finish_bind() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            other => break ok(other),
        }
    }
    socket
}

fn names(network: &Network) {
    let found = ok(resolve_addresses(network, "localhost"));
    let mut addresses = Vec::new();
    loop {
        match found.resolve_next_address() {
            Err(ErrorCode::WouldBlock) => found.subscribe().block(),
            other => match ok(other) {
                Some(address) => addresses.push(address),
                None => break,
            },
        }
    }
    let own = |address: &IpAddress| matches!(address, IpAddress::Ipv4((127, 0, 0, 1)));
    holds(addresses.iter().any(own));
    equal(err(resolve_addresses(network, "not a name").map(|_| ())), ErrorCode::InvalidArgument);
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}
