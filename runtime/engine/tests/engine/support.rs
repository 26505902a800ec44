//! What the tests share: an engine in a fresh folder, guests from `tests/guests`, sinks, an HTTP client.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use sampan_engine::{
    Container, ContainerSpec, Engine, EngineConfig, Exit, Module, ModuleSource, OutputSink,
};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Longest a test waits for anything that should happen soon.
const DEADLINE: Duration = Duration::from_secs(60);

/// Fails the test if the future takes too long.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("this takes too long")
}

/// Fails the test if the condition does not come true.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// An engine in a folder of its own.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) dir: TempDir,
}

pub(crate) fn config(dir: &Path) -> EngineConfig {
    let mut config = EngineConfig::new(dir.join("cache"));
    config.pool_instances = 32;
    config.worker_threads = 2;
    config
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        Bench {
            engine: Engine::new(config).unwrap(),
            dir,
        }
    }

    pub(crate) async fn load(&self, guest: &str) -> Module {
        self.engine
            .load(&guest_file(self.dir.path(), guest))
            .await
            .unwrap()
    }

    /// Starts a guest with arguments (its name comes first) and collects its output.
    pub(crate) async fn start(&self, guest: &str, args: &[&str]) -> Running {
        self.start_with(guest, args, |_| {}).await
    }

    pub(crate) async fn start_with(
        &self,
        guest: &str,
        args: &[&str],
        change: impl FnOnce(&mut ContainerSpec),
    ) -> Running {
        let module = self.load(guest).await;
        let (stdout, stderr) = (Collected::new(), Collected::new());
        let mut spec = ContainerSpec::new(guest, stdout.clone(), stderr.clone());
        spec.args = std::iter::once(guest)
            .chain(args.iter().copied())
            .map(str::to_owned)
            .collect();
        change(&mut spec);
        let container = self.engine.start(&module, spec).await.unwrap();
        Running {
            container,
            stdout,
            stderr,
        }
    }

    /// Runs a guest to its end.
    pub(crate) async fn run(&self, guest: &str, args: &[&str]) -> (Exit, String, String) {
        self.run_with(guest, args, |_| {}).await
    }

    pub(crate) async fn run_with(
        &self,
        guest: &str,
        args: &[&str],
        change: impl FnOnce(&mut ContainerSpec),
    ) -> (Exit, String, String) {
        let running = self.start_with(guest, args, change).await;
        let exit = soon(running.container.wait()).await;
        (exit, running.stdout.text(), running.stderr.text())
    }

    /// A healthy HTTP handler.
    pub(crate) async fn neighbour(&self) -> Running {
        self.start_with("http-handler", &[], listen_locally).await
    }

    /// Waits until no instance is left.
    pub(crate) async fn empty(&self) {
        until(|| self.engine.stats().instances == 0).await;
    }
}

pub(crate) fn listen_locally(spec: &mut ContainerSpec) {
    spec.listen = vec!["127.0.0.1:0".parse().unwrap()];
}

/// A started container and what it wrote.
pub(crate) struct Running {
    pub(crate) container: Container,
    pub(crate) stdout: Arc<Collected>,
    pub(crate) stderr: Arc<Collected>,
}

impl Running {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.container.addresses()[0]
    }

    /// Fails the test unless the handler answers as it should.
    pub(crate) async fn is_healthy(&self) {
        let (status, body) = soon(get(self.addr(), "/")).await;
        assert_eq!(
            (status, body.unwrap()),
            (StatusCode::OK, Bytes::from_static(b"hello\n"))
        );
    }
}

/// A guest's text, compiled to Wasm in `dir`, or a guest that was built before.
pub(crate) fn guest_file(dir: &Path, guest: &str) -> ModuleSource {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
    let bytes = match std::fs::read(guests.join(format!("{guest}.wasm"))) {
        Ok(bytes) => bytes,
        Err(_) => wat::parse_file(guests.join(format!("{guest}.wat"))).unwrap(),
    };
    module_file(dir, guest, &bytes)
}

/// A file with these bytes, and its digest.
pub(crate) fn module_file(dir: &Path, name: &str, bytes: &[u8]) -> ModuleSource {
    let path: PathBuf = dir.join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    ModuleSource {
        digest: format!("sha256:{}", hex::encode(Sha256::digest(bytes))),
        path,
    }
}

/// A sink that keeps everything.
#[derive(Default)]
pub(crate) struct Collected {
    data: Mutex<Vec<u8>>,
    changed: Notify,
}

impl Collected {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.data.lock().clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until the output contains a text.
    pub(crate) async fn contains(&self, text: &str) {
        soon(async {
            loop {
                let changed = self.changed.notified();
                if self.text().contains(text) {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }
}

#[async_trait::async_trait]
impl OutputSink for Collected {
    async fn write(&self, data: Bytes) {
        self.data.lock().extend_from_slice(&data);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }
}

/// A sink that takes nothing any more, and counts what was offered.
#[derive(Default)]
pub(crate) struct Blocked {
    pub(crate) offered: Mutex<usize>,
}

#[async_trait::async_trait]
impl OutputSink for Blocked {
    async fn write(&self, data: Bytes) {
        *self.offered.lock() += data.len();
        std::future::pending::<()>().await;
    }
}

/// Sends a GET over a connection of its own. The body is an error if it ended before its time.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> (StatusCode, Result<Bytes, hyper::Error>) {
    let request = Request::get(path).body(Full::default()).unwrap();
    send(addr, request).await
}

pub(crate) async fn send(
    addr: SocketAddr,
    request: Request<Full<Bytes>>,
) -> (StatusCode, Result<Bytes, hyper::Error>) {
    exchange(addr, request).await.unwrap()
}

/// As [`send`], for requests whose connection may end without an answer.
pub(crate) async fn exchange(
    addr: SocketAddr,
    mut request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Result<Bytes, hyper::Error>), hyper::Error> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    request
        .headers_mut()
        .insert("host", "test".parse().unwrap());
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes());
    drop(sender);
    // How the connection ended shows in the body.
    let _ended = connection.await;
    Ok((status, body))
}

/// All that comes back for a GET until the connection ends, with or without an error.
pub(crate) async fn raw(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _broken = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
