//! What a container is to be run with. Plain data; checked by [`crate::Engine::start`].

use crate::signals::SIGTERM;
use crate::{CpuLimits, Entry, Group, HostInterfaces, Network, OutputSink};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Descriptors a container may hold open when its specification does not say.
const DEFAULT_MAX_OPEN_FILES: u32 = 1_024;

/// Sockets a container may hold open when its specification does not say.
const DEFAULT_MAX_SOCKETS: u32 = 1_024;

/// One container to run.
#[derive(Clone)]
pub struct ContainerSpec {
    /// For messages and logs; need not be unique.
    pub name: String,
    /// What of the module is run.
    pub entry: Entry,
    /// Arguments, the program's name first.
    pub args: Vec<String>,
    /// Environment. Nothing is inherited from the process.
    pub env: Vec<(String, String)>,
    /// Folders and files the guest can see. It sees no other.
    pub mounts: Vec<Mount>,
    /// Small read-only files that the guest can see besides. One at a mount's path is an error.
    pub files: Vec<GuestFile>,
    /// How much mounts may hold.
    pub volume_limits: Vec<VolumeLimit>,
    /// Linear memory and tables of all the container's instances together, and what the host holds behind their
    /// handles, in bytes; `None` takes the engine's default.
    pub memory_limit: Option<u64>,
    /// Processor time of all the container's instances together.
    pub cpu: CpuLimits,
    /// What it shares limits with. Without a memory limit of its own it has the group's, while there is one, instead of the engine's default.
    pub group: Option<Group>,
    /// Files and folders the guest may hold open.
    pub max_open_files: u32,
    /// Whether standard input stays open, with nothing to read, until the container is asked to end. Else it is at its
    /// end from the start.
    pub open_stdin: bool,
    /// The signal the container is asked to end by, as Linux numbers it: what a core module is told, and what ends a
    /// command that cannot see it. SIGKILL (9) is seen by none.
    pub stop_signal: i32,
    /// Takes what the guest writes to standard output.
    pub stdout: Arc<dyn OutputSink>,
    /// Takes what the guest writes to standard error, and a line for each trap.
    pub stderr: Arc<dyn OutputSink>,
    /// Addresses an HTTP handler answers on. Without a network they are also the guest's idea of `localhost`.
    pub listen: Vec<SocketAddr>,
    /// The guest's own sockets: whose addresses they have and what they reach.
    pub network: Network,
    /// Sockets the guest may hold open, of all its instances together.
    pub max_sockets: u32,
    /// Limits of HTTP, incoming and outgoing.
    pub http: HttpLimits,
    /// Interfaces beyond WASI proper: none unless given.
    pub host: HostInterfaces,
}

impl ContainerSpec {
    /// A container without arguments, environment, mounts or addresses.
    pub fn new(
        name: impl Into<String>,
        stdout: Arc<dyn OutputSink>,
        stderr: Arc<dyn OutputSink>,
    ) -> Self {
        ContainerSpec {
            name: name.into(),
            entry: Entry::default(),
            args: Vec::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            files: Vec::new(),
            volume_limits: Vec::new(),
            memory_limit: None,
            cpu: CpuLimits::default(),
            group: None,
            max_open_files: DEFAULT_MAX_OPEN_FILES,
            open_stdin: false,
            stop_signal: SIGTERM,
            stdout,
            stderr,
            listen: Vec::new(),
            network: Network::None,
            max_sockets: DEFAULT_MAX_SOCKETS,
            http: HttpLimits::default(),
            host: HostInterfaces::default(),
        }
    }
}

/// A folder or a single file of the host, shown to the guest at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The folder or file on the host. No part of the path may be a symbolic link: whoever names it has resolved
    /// links, and one that appears since then makes the start fail.
    pub host: PathBuf,
    /// The absolute path the guest sees.
    pub guest: String,
    /// Whether writes are refused (EROFS).
    pub read_only: bool,
}

/// A file whose content is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFile {
    /// The absolute path the guest sees.
    pub guest: String,
    /// What it holds.
    pub content: Arc<[u8]>,
}

/// How much a folder or file of the host may hold. Every mount at or below the path takes from it, those of other
/// containers of the engine as well; writes beyond it are ENOSPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeLimit {
    /// As in [`Mount::host`].
    pub path: PathBuf,
    /// The files' lengths together.
    pub bytes: u64,
}

/// Limits of HTTP, incoming and outgoing.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Connections open at once; further ones wait in the kernel's queue. So do they while all guests together hold the
    /// descriptors they may.
    pub max_connections: usize,
    /// Requests handled at once, each by an instance of its own; further ones wait, then get 503.
    pub max_requests: usize,
    /// Whether instances are used for further requests; with `None` each request gets a fresh one.
    pub reuse: Option<Reuse>,
    /// Bytes of a request's header section.
    pub max_header_bytes: usize,
    /// Bytes of a request's body.
    pub max_body_bytes: u64,
    /// Time for a client to send its first header section, to send no whole one afterwards (the connection is closed
    /// within twice this), and to take nothing of what is sent to it.
    pub header_timeout: Duration,
    /// Time from the arrival of a request to the head of its response; then 504.
    pub response_timeout: Duration,
    /// Time from the arrival of a request to the end of its instance.
    pub request_timeout: Duration,
    /// Whether the guest may send HTTP requests of its own.
    pub allow_outgoing: bool,
    /// Time for an outgoing request to connect, and the default between bytes.
    pub outgoing_timeout: Duration,
}

/// How far an instance of an HTTP handler is reused. What one request leaves in memory the next one finds, so a guest
/// has to be made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Requests one instance answers before it is replaced by a fresh one.
    pub max_requests: u32,
    /// Requests one instance answers side by side. Only guests of WASI 0.3 can; of others an instance answers one
    /// after the other, whatever this says.
    pub max_concurrent: u32,
    /// Time an instance waits for its next request before it is ended.
    pub idle_timeout: Duration,
}

/// Smallest buffer hyper accepts for the head of a request.
const MIN_READ_BUFFER: usize = 8 << 10;

impl HttpLimits {
    /// Bytes of the buffer in which a connection receives heads, of requests and of responses.
    pub(crate) fn read_buffer(&self) -> usize {
        self.max_header_bytes.max(MIN_READ_BUFFER)
    }

    /// Bytes of headers that a guest may put together. They are counted with what they take beside names and values, so
    /// this is more than `max_header_bytes`: a request that came in can be sent on.
    pub(crate) fn max_field_bytes(&self) -> usize {
        self.max_header_bytes.saturating_mul(2)
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            max_connections: 1_024,
            max_requests: 256,
            reuse: None,
            max_header_bytes: 64 << 10,
            max_body_bytes: 64 << 20,
            header_timeout: Duration::from_secs(15),
            response_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(600),
            allow_outgoing: true,
            outgoing_timeout: Duration::from_secs(30),
        }
    }
}
