//! Sends back what it is sent, to any number of clients at a time. With an address as its argument it is a client: it
//! sends the further arguments there and prints the answer.

use std::env;
use wstd::io::{self, AsyncRead, AsyncWrite};
use wstd::iter::AsyncIterator;
use wstd::net::{TcpListener, TcpStream};
use wstd::runtime::spawn;

#[wstd::main]
async fn main() -> io::Result<()> {
    let mut args = env::args().skip(1);
    match args.next() {
        Some(server) => ask(&server, &args.collect::<Vec<_>>().join(" ")).await,
        None => serve(&env::var("LISTEN").unwrap_or_else(|_| "0.0.0.0:7000".to_string())).await,
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut incoming = listener.incoming();
    while let Some(client) = incoming.next().await {
        match client {
            Ok(client) => spawn(echo(client)).detach(),
            Err(error) => eprintln!("no connection: {error}"),
        }
    }
    Ok(())
}

async fn echo(client: TcpStream) {
    println!("a client came: {}", client.peer_addr().unwrap_or_default());
    // A client that hung up is no fault of ours.
    let _ = io::copy(&client, &client).await;
}

async fn ask(server: &str, text: &str) -> io::Result<()> {
    let address = server.parse().map_err(io::Error::other)?;
    let server = TcpStream::connect_addr(address).await?;
    (&server).write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    let mut got = 0;
    while got < answer.len() {
        match (&server).read(&mut answer[got..]).await? {
            0 => break,
            n => got += n,
        }
    }
    println!("{}", String::from_utf8_lossy(&answer[..got]));
    Ok(())
}
