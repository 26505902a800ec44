//! An HTTP handler with sockets of its own: a request for `/127.0.0.1:7000/text` sends the text there and answers with
//! what came back. Built as `../socket-probe` is.

use std::net::SocketAddrV4;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::ShutdownType;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let answer = match relay(&path) {
            Ok(answer) => answer,
            Err(code) => format!("error {}", code.name()).into_bytes(),
        };
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("a new response gives its body once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("a new body gives its stream once");
        let _ = stream.blocking_write_and_flush(&answer);
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

fn relay(path: &str) -> Result<Vec<u8>, ErrorCode> {
    let (address, text) = path.trim_start_matches('/').split_once('/').ok_or(ErrorCode::InvalidArgument)?;
    let address: SocketAddrV4 = address.parse().map_err(|_| ErrorCode::InvalidArgument)?;
    let [a, b, c, d] = address.ip().octets();
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) });
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_connect(&instance_network(), remote)?;
    let (input, output) = loop {
        match socket.finish_connect() {
            Ok(streams) => break streams,
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(code),
        }
    };
    output.blocking_write_and_flush(text.as_bytes()).map_err(|_| ErrorCode::ConnectionReset)?;
    socket.shutdown(ShutdownType::Send)?;
    let mut answer = Vec::new();
    while let Ok(data) = input.blocking_read(4096) {
        answer.extend(data);
    }
    Ok(answer)
}

wasip2::http::proxy::export!(Handler);
