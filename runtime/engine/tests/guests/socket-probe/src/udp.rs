use crate::{family, show, wasi};
use std::net::SocketAddr;
use wasip2::sockets::network::{ErrorCode, Network};
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

fn bound(network: &Network, addr: SocketAddr) -> Result<UdpSocket, ErrorCode> {
    let socket = create_udp_socket(family(addr))?;
    socket.start_bind(network, wasi(addr))?;
    socket.finish_bind()?;
    Ok(socket)
}

fn send(output: &OutgoingDatagramStream, data: &[u8], to: Option<SocketAddr>) -> Result<(), ErrorCode> {
    loop {
        while output.check_send()? == 0 {
            output.subscribe().block();
        }
        let datagram = OutgoingDatagram { data: data.to_vec(), remote_address: to.map(wasi) };
        if output.send(&[datagram])? == 1 {
            return Ok(());
        }
    }
}

fn receive(input: &IncomingDatagramStream) -> Result<(Vec<u8>, SocketAddr), ErrorCode> {
    loop {
        if let Some(datagram) = input.receive(1)?.pop() {
            return Ok((datagram.data, show(datagram.remote_address)));
        }
        input.subscribe().block();
    }
}

pub fn serve(network: &Network, addr: SocketAddr) -> Result<(), ErrorCode> {
    let socket = bound(network, addr)?;
    println!("listening {}", show(socket.local_address()?));
    let (input, output) = socket.stream(None)?;
    loop {
        let (data, from) = receive(&input)?;
        println!("datagram from {from}");
        if let Err(code) = send(&output, &data, Some(from)) {
            println!("error {}", code.name());
        }
    }
}

pub fn call(
    network: &Network,
    bind: SocketAddr,
    addr: SocketAddr,
    text: &str,
    connected: bool,
) -> Result<(), ErrorCode> {
    let socket = bound(network, bind)?;
    let (input, output) = socket.stream(connected.then(|| wasi(addr)))?;
    send(&output, text.as_bytes(), (!connected).then_some(addr))?;
    println!("sent from {}", show(socket.local_address()?));
    if connected {
        println!("connected {}", show(socket.remote_address()?));
    }
    let (data, from) = receive(&input)?;
    println!("answer {} from {from}", String::from_utf8_lossy(&data));
    drop((input, output));
    Ok(())
}
