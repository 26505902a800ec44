use crate::{family, show, wasi};
use std::net::SocketAddr;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, Network};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

const CHUNK: u64 = 4096;

pub fn listen(network: &Network, addr: SocketAddr) -> Result<TcpSocket, ErrorCode> {
    let socket = create_tcp_socket(family(addr))?;
    socket.start_bind(network, wasi(addr))?;
    socket.finish_bind()?;
    socket.start_listen()?;
    socket.finish_listen()?;
    println!("listening {}", show(socket.local_address()?));
    Ok(socket)
}

pub fn serve(network: &Network, addr: SocketAddr) -> Result<(), ErrorCode> {
    let socket = listen(network, addr)?;
    loop {
        match socket.accept() {
            Ok((client, input, output)) => {
                println!("accepted {} at {}", show(client.remote_address()?), show(client.local_address()?));
                while let Ok(data) = input.blocking_read(CHUNK) {
                    if output.blocking_write_and_flush(&data).is_err() {
                        break;
                    }
                }
                drop((input, output));
                drop(client);
            }
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(code),
        }
    }
}

fn connect(
    network: &Network,
    from: Option<SocketAddr>,
    addr: SocketAddr,
) -> Result<(TcpSocket, InputStream, OutputStream), ErrorCode> {
    let socket = create_tcp_socket(family(addr))?;
    if let Some(from) = from {
        socket.start_bind(network, wasi(from))?;
        socket.finish_bind()?;
    }
    socket.start_connect(network, wasi(addr))?;
    loop {
        match socket.finish_connect() {
            Ok((input, output)) => return Ok((socket, input, output)),
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(code),
        }
    }
}

pub fn call(network: &Network, from: Option<SocketAddr>, addr: SocketAddr, text: &str) -> Result<(), ErrorCode> {
    let (socket, input, output) = connect(network, from, addr)?;
    println!("connected {} from {}", show(socket.remote_address()?), show(socket.local_address()?));
    output.blocking_write_and_flush(text.as_bytes()).map_err(|_| ErrorCode::Unknown)?;
    socket.shutdown(ShutdownType::Send)?;
    let mut answer = Vec::new();
    loop {
        match input.blocking_read(CHUNK) {
            Ok(data) => answer.extend(data),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(ErrorCode::ConnectionReset),
        }
    }
    println!("answer {}", String::from_utf8_lossy(&answer));
    drop((input, output));
    Ok(())
}

pub fn hoard(network: &Network, addr: SocketAddr) -> Result<(), ErrorCode> {
    let mut kept = Vec::new();
    loop {
        match connect(network, None, addr) {
            Ok(connection) => kept.push(connection),
            Err(code) => {
                println!("{} connections, then {}", kept.len(), code.name());
                break;
            }
        }
    }
    // Streams go before their sockets.
    for (socket, input, output) in kept {
        drop((input, output));
        drop(socket);
    }
    Ok(())
}

pub fn sockets(v6: bool) -> Result<(), ErrorCode> {
    let family = if v6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 };
    let mut kept = Vec::new();
    loop {
        match create_tcp_socket(family) {
            Ok(socket) => kept.push(socket),
            Err(code) => {
                println!("{} sockets, then {}", kept.len(), code.name());
                return Ok(());
            }
        }
    }
}
