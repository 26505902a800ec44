//! The steps of `../socket-probe` (see there) by WASI 0.3: those that are known here. Built in the same way.

use std::net::SocketAddr;
use wasip3::cli::environment::get_arguments;
use wasip3::sockets::ip_name_lookup;
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
    UdpSocket,
};
use wasip3::wit_bindgen::{StreamReader, StreamResult};
use wasip3::wit_stream;

wasip3::cli::command::export!(Probe);

struct Probe;

impl wasip3::exports::cli::run::Guest for Probe {
    async fn run() -> Result<(), ()> {
        for step in get_arguments().into_iter().skip(1) {
            let words: Vec<&str> = step.split(' ').collect();
            let result = match words[..] {
                ["tcp-serve", addr] => tcp_serve(parse(addr)).await,
                ["tcp-call", addr, text] => tcp_call(None, parse(addr), text).await,
                ["tcp-from", bind, addr, text] => tcp_call(Some(parse(bind)), parse(addr), text).await,
                ["tcp-bind", addr] => tcp_listen(parse(addr)).map(|_| ()),
                ["tcp-relisten", addr] => tcp_relisten(parse(addr)),
                ["tcp-streams", addr] => tcp_streams(parse(addr)).await,
                ["udp-serve", addr] => udp_serve(parse(addr)).await,
                ["udp-call", bind, addr, text] => udp_call(Some(parse(bind)), parse(addr), text, false).await,
                ["udp-connect", bind, addr, text] => udp_call(Some(parse(bind)), parse(addr), text, true).await,
                ["udp-unbound", addr, text] => udp_call(None, parse(addr), text, false).await,
                ["lookup", name] => {
                    match ip_name_lookup::resolve_addresses(name.to_string()).await {
                        Ok(found) => {
                            let found: Vec<String> = found.into_iter().map(show_ip).collect();
                            println!("{name} is {}", found.join(" "));
                        }
                        Err(error) => println!("error {error:?}"),
                    }
                    Ok(())
                }
                _ => panic!("unknown step {step:?}"),
            };
            if let Err(code) = result {
                println!("error {code:?}");
            }
        }
        Ok(())
    }
}

fn tcp_listen(addr: SocketAddr) -> Result<(TcpSocket, StreamReader<TcpSocket>), ErrorCode> {
    let socket = TcpSocket::create(family(addr))?;
    socket.bind(wasi(addr))?;
    let connections = socket.listen()?;
    println!("listening {}", show(socket.get_local_address()?));
    Ok((socket, connections))
}

async fn tcp_serve(addr: SocketAddr) -> Result<(), ErrorCode> {
    let (_socket, mut connections) = tcp_listen(addr)?;
    while let Some(client) = connections.next().await {
        println!("accepted {} at {}", show(client.get_remote_address()?), show(client.get_local_address()?));
        let (data, received) = client.receive();
        // What comes goes back; the host moves it.
        let sent = client.send(data);
        let _ = sent.await;
        let _ = received.await;
    }
    Ok(())
}

async fn tcp_call(from: Option<SocketAddr>, addr: SocketAddr, text: &str) -> Result<(), ErrorCode> {
    let socket = TcpSocket::create(family(addr))?;
    if let Some(from) = from {
        socket.bind(wasi(from))?;
    }
    socket.connect(wasi(addr)).await?;
    println!("connected {} from {}", show(socket.get_remote_address()?), show(socket.get_local_address()?));
    let (mut tx, rx) = wit_stream::new();
    let sent = socket.send(rx);
    tx.write_all(text.as_bytes().to_vec()).await;
    drop(tx);
    sent.await?;
    let (mut data, received) = socket.receive();
    let mut answer = Vec::new();
    loop {
        let (result, chunk) = data.read(Vec::with_capacity(4096)).await;
        answer.extend(chunk);
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    drop(data);
    received.await?;
    println!("answer {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Listens and closes again and again, until it cannot.
fn tcp_relisten(addr: SocketAddr) -> Result<(), ErrorCode> {
    for count in 0..1_000 {
        let result = TcpSocket::create(family(addr)).and_then(|socket| {
            socket.bind(wasi(addr))?;
            socket.listen().map(|_connections| ())
        });
        if let Err(code) = result {
            println!("{count} listeners, then {code:?}");
            return Ok(());
        }
    }
    println!("1000 listeners");
    Ok(())
}

/// Connects and keeps the streams but not the sockets, until it cannot.
async fn tcp_streams(addr: SocketAddr) -> Result<(), ErrorCode> {
    let mut kept = Vec::new();
    loop {
        let socket = match TcpSocket::create(family(addr)) {
            Ok(socket) => socket,
            Err(code) => {
                println!("{} connections, then {code:?}", kept.len());
                return Ok(());
            }
        };
        socket.connect(wasi(addr)).await?;
        kept.push(socket.receive());
    }
}

async fn udp_serve(addr: SocketAddr) -> Result<(), ErrorCode> {
    let socket = UdpSocket::create(family(addr))?;
    socket.bind(wasi(addr))?;
    println!("listening {}", show(socket.get_local_address()?));
    loop {
        let (data, from) = socket.receive().await?;
        println!("datagram from {}", show(from));
        socket.send(data, Some(from)).await?;
    }
}

async fn udp_call(
    bind: Option<SocketAddr>,
    addr: SocketAddr,
    text: &str,
    connected: bool,
) -> Result<(), ErrorCode> {
    let socket = UdpSocket::create(family(addr))?;
    if let Some(bind) = bind {
        socket.bind(wasi(bind))?;
    }
    if connected {
        socket.connect(wasi(addr))?;
        println!("connected {}", show(socket.get_remote_address()?));
    }
    socket.send(text.as_bytes().to_vec(), (!connected).then(|| wasi(addr))).await?;
    println!("sent from {}", show(socket.get_local_address()?));
    let (data, from) = socket.receive().await?;
    println!("answer {} from {}", String::from_utf8_lossy(&data), show(from));
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

fn show_ip(address: IpAddress) -> String {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => std::net::IpAddr::from([a, b, c, d]).to_string(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            std::net::IpAddr::from([a, b, c, d, e, f, g, h]).to_string()
        }
    }
}
