//! Names into addresses, for sockets and for outgoing HTTP alike.
//!
//! The host's resolver blocks a thread per question, for as long as its servers are silent. So questions under way are
//! bounded, for all guests together and for each container, and a question keeps its place until its thread is free,
//! not only until nobody waits for it any more.

use super::Reach;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Questions to the host's resolver under way for all guests together. They use the threads that also serve files.
const MAX_LOOKUPS: usize = 16;

/// Questions to the host's resolver under way for one container.
const MAX_OWN_LOOKUPS: usize = 4;

/// Longest a guest waits for an answer, its turn included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest name, as DNS has it.
const MAX_NAME_BYTES: usize = 253;

/// Most addresses a name is answered with.
const MAX_ADDRESSES: usize = 64;

static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    /// It is no name.
    #[error("not a host name")]
    Invalid,
    /// Nobody knows it.
    #[error("the name is not known")]
    Unknown,
    /// No answer in time.
    #[error("no answer from the resolver in time")]
    Timeout,
}

/// The places of one container's questions.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Self {
        Turns(Arc::new(Semaphore::new(MAX_OWN_LOOKUPS)))
    }
}

/// What a guest asks for.
enum Question {
    Address(IpAddr),
    Name(String),
}

impl Question {
    fn of(text: &str) -> Result<Self, LookupError> {
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Question::Address(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(valid) {
            return Err(LookupError::Invalid);
        }
        Ok(Question::Name(name))
    }
}

/// Whether this could be a name or is an address, told at once.
pub(crate) fn check(name: &str) -> Result<(), LookupError> {
    Question::of(name).map(|_question| ())
}

/// The addresses of a name or of a written address, at least one.
pub(crate) async fn resolve(reach: &Reach, name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let name = match Question::of(name)? {
        Question::Address(ip) => return Ok(vec![ip]),
        Question::Name(name) => name,
    };
    if !reach.is_hosts() {
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        if let Some(known) = reach
            .directory()
            .and_then(|directory| directory.lookup(&name))
        {
            return match known.is_empty() {
                true => Err(LookupError::Unknown),
                false => Ok(known),
            };
        }
    }
    tokio::time::timeout(LOOKUP_TIMEOUT, ask_host(reach.turns(), name))
        .await
        .map_err(|_elapsed| LookupError::Timeout)?
}

async fn ask_host(turns: &Turns, name: String) -> Result<Vec<IpAddr>, LookupError> {
    // Neither semaphore is ever closed.
    let closed = |_closed| LookupError::Timeout;
    let own = turns.0.clone().acquire_owned().await.map_err(closed)?;
    let shared = LOOKUPS.acquire().await.map_err(closed)?;
    let asked = tokio::task::spawn_blocking(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        drop((own, shared));
        found
    });
    let found = asked.await.map_err(|_shutdown| LookupError::Timeout)?;
    let found = found.map_err(|error| {
        tracing::debug!(%error, "a guest's name was not resolved");
        LookupError::Unknown
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        let ip = address.ip().to_canonical();
        if !addresses.contains(&ip) && addresses.len() < MAX_ADDRESSES {
            addresses.push(ip);
        }
    }
    match addresses.is_empty() {
        true => Err(LookupError::Unknown),
        false => Ok(addresses),
    }
}
