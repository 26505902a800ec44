//! Uses sockets as its arguments say, and prints what it sees. Each argument is one step, a line of words:
//!
//!     tcp-serve ADDR             binds, listens, echoes each connection to its end, for ever
//!     tcp-call ADDR TEXT         connects, sends, prints the answer
//!     tcp-from BIND ADDR TEXT    the same after a bind
//!     tcp-bind ADDR              binds and listens, keeps the socket
//!     tcp-hoard ADDR             connects again and again, keeps all, until it cannot
//!     sockets FAMILY             makes sockets and keeps them until it cannot
//!     udp-serve ADDR             echoes datagrams for ever
//!     udp-call BIND ADDR TEXT    sends a datagram, prints the answer
//!     udp-connect BIND ADDR TEXT the same over a connected socket
//!     lookup NAME                prints the addresses of a name
//!     sleep                      for ever
//!
//! A step that fails prints `error CODE` and the program goes on. Built, and put beside this folder, by
//! `cargo build --locked --release --target wasm32-wasip2` (`rustup target add wasm32-wasip2` once before).

mod tcp;
mod udp;

use std::net::SocketAddr;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network,
};
use wasip2::sockets::{instance_network, ip_name_lookup};

fn main() {
    let network = instance_network::instance_network();
    let mut kept = Vec::new();
    for step in std::env::args().skip(1) {
        let words: Vec<&str> = step.split(' ').collect();
        let result = match words[..] {
            ["tcp-serve", addr] => tcp::serve(&network, parse(addr)),
            ["tcp-call", addr, text] => tcp::call(&network, None, parse(addr), text),
            ["tcp-from", bind, addr, text] => tcp::call(&network, Some(parse(bind)), parse(addr), text),
            ["tcp-bind", addr] => tcp::listen(&network, parse(addr)).map(|socket| kept.push(socket)),
            ["tcp-hoard", addr] => tcp::hoard(&network, parse(addr)),
            ["sockets", family] => tcp::sockets(family == "6"),
            ["udp-serve", addr] => udp::serve(&network, parse(addr)),
            ["udp-call", bind, addr, text] => udp::call(&network, parse(bind), parse(addr), text, false),
            ["udp-connect", bind, addr, text] => udp::call(&network, parse(bind), parse(addr), text, true),
            ["lookup", name] => lookup(&network, name),
            ["sleep"] => loop {
                std::thread::sleep(std::time::Duration::from_secs(3600));
            },
            _ => panic!("unknown step {step:?}"),
        };
        if let Err(code) = result {
            println!("error {}", code.name());
        }
    }
}

fn lookup(network: &Network, name: &str) -> Result<(), ErrorCode> {
    let found = ip_name_lookup::resolve_addresses(network, name)?;
    let mut addresses = Vec::new();
    loop {
        match found.resolve_next_address() {
            Ok(Some(address)) => addresses.push(match address {
                IpAddress::Ipv4((a, b, c, d)) => std::net::IpAddr::from([a, b, c, d]).to_string(),
                IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
                    std::net::IpAddr::from([a, b, c, d, e, f, g, h]).to_string()
                }
            }),
            Ok(None) => break,
            Err(ErrorCode::WouldBlock) => found.subscribe().block(),
            Err(code) => return Err(code),
        }
    }
    println!("{name} is {}", addresses.join(" "));
    Ok(())
}

fn parse(addr: &str) -> SocketAddr {
    addr.parse().expect("an address and a port")
}

fn family(addr: SocketAddr) -> IpAddressFamily {
    match addr {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

fn wasi(addr: SocketAddr) -> IpSocketAddress {
    match addr {
        SocketAddr::V4(addr) => {
            let [a, b, c, d] = addr.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: addr.port(), address: (a, b, c, d) })
        }
        SocketAddr::V6(addr) => {
            let [a, b, c, d, e, f, g, h] = addr.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: addr.port(),
                flow_info: 0,
                address: (a, b, c, d, e, f, g, h),
                scope_id: 0,
            })
        }
    }
}

fn show(addr: IpSocketAddress) -> SocketAddr {
    match addr {
        IpSocketAddress::Ipv4(addr) => {
            let (a, b, c, d) = addr.address;
            SocketAddr::from(([a, b, c, d], addr.port))
        }
        IpSocketAddress::Ipv6(addr) => {
            let (a, b, c, d, e, f, g, h) = addr.address;
            SocketAddr::from(([a, b, c, d, e, f, g, h], addr.port))
        }
    }
}
