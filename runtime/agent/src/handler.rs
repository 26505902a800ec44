//! What hooks and probes do: ask a container's address something, or wait.
//!
//! Where to ask is worked out by plain functions ([`target`]); asking is [`http`]. Nothing here decides what an
//! answer means.

pub(crate) mod http;
pub(crate) mod target;

/// Why nobody could be reached, in Go's words: people search for them, and the number of the error says nothing more.
pub(crate) fn unconnected(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::TimedOut => "connect: connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::unconnected;

    #[tokio::test]
    async fn a_port_where_nobody_listens() {
        // Port 1 is nobody's: it takes privileges to listen there.
        let refused = tokio::net::TcpStream::connect("127.0.0.1:1").await;
        let refused = refused.map(drop).expect_err("nobody is there");
        assert_eq!(unconnected(&refused), "connect: connection refused");
        let other = std::io::Error::other("what?");
        assert_eq!(unconnected(&other), "what?");
    }
}
