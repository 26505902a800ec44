//! Clients that do not behave: they read nothing, say nothing, or never finish what they say. Others must not notice, and
//! the server must not grow.
//!
//! Where memory counts, the server is a process of its own: this test program again, with a folder to work in.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::client::Listening;
use super::raw::{Raw, TOKEN, connector, write_token};
use super::*;
use crate::{Limits, Pki};

/// The child part runs only when this is set, to the folder to work in.
const CHILD: &str = "SAMPAN_SERVER_OF_ITS_OWN";

#[test]
fn server_of_its_own() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let config = ServerConfig::new(folder, "127.0.0.1:0".parse().expect("an address"));
        let server = Server::start(config).await.expect("the server starts");
        println!("\nlistening on {}", server.addr());
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        // It lives as long as its parent holds the other end.
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_line(&mut String::new());
            stop.cancel();
        });
        server.serve(stopped).await.expect("serves");
    });
}

/// A server in another process.
struct Apart {
    child: Child,
    _stdin: ChildStdin,
    _folder: tempfile::TempDir,
    address: SocketAddr,
    connector: TlsConnector,
}

impl Apart {
    fn start() -> Apart {
        raise_file_limit();
        let folder = tempfile::tempdir().expect("a folder");
        write_token(folder.path());
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "tests::hostile::server_of_its_own",
                "--nocapture",
            ])
            .env(CHILD, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let address = stdout
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on ")?.parse().ok())
            .expect("says where it listens");
        let pki = Pki::open(folder.path().join("pki")).expect("its authority");
        Apart {
            child,
            _stdin: stdin,
            address,
            connector: connector(pki.ca_pem()),
            _folder: folder,
        }
    }

    async fn connect(&self) -> Raw {
        Raw::connect(&self.connector, self.address).await
    }

    /// Resident memory, in bytes.
    fn resident(&self) -> usize {
        let path = format!("/proc/{}/statm", self.child.id());
        let statm = std::fs::read_to_string(path).expect("runs");
        let pages: usize = statm
            .split(' ')
            .nth(1)
            .expect("a number")
            .parse()
            .expect("a number");
        pages * 4096
    }

    /// A client that behaves.
    fn client(&self) -> kube::Client {
        let url = format!("https://{}", self.address).parse().expect("a URL");
        let mut config = kube::Config::new(url);
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(TOKEN.to_owned().into());
        kube::Client::try_from(config).expect("a client")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Many connections are many files, here and in the child.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("a process may do that");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_never_read() {
    use futures::TryStreamExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{PostParams, WatchEvent, WatchParams};
    const STUCK: usize = 40;
    const WRITES: usize = 1500;
    const SIZE: usize = 32 << 10;
    let server = Apart::start();
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(server.client(), "default");
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        let mut raw = server.connect().await;
        raw.get(&format!("{CONFIGMAPS}?watch=1"), "").await;
        assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
        stuck.push(raw);
    }
    let events = maps
        .watch(&WatchParams::default(), "0")
        .await
        .expect("a watch");
    let mut events = std::pin::pin!(events);
    let before = server.resident();
    let writer = {
        let maps = maps.clone();
        tokio::spawn(async move {
            let mut map = ConfigMap::default();
            map.metadata.name = Some("a".to_owned());
            map.data = Some([("k".to_owned(), "x".repeat(SIZE))].into());
            let mut map = maps
                .create(&PostParams::default(), &map)
                .await
                .expect("created");
            for write in 1..WRITES {
                map.data = Some([("k".to_owned(), format!("{write} {}", "x".repeat(SIZE)))].into());
                let replaced = maps.replace("a", &PostParams::default(), &map).await;
                map.metadata = replaced.expect("replaced").metadata;
            }
        })
    };
    let mut seen = 0;
    while seen < WRITES {
        let event = tokio::time::timeout(PATIENCE, events.try_next())
            .await
            .expect("an event in time");
        match event.expect("no error").expect("an event") {
            WatchEvent::Added(_) | WatchEvent::Modified(_) => seen += 1,
            WatchEvent::Bookmark(_) => {}
            other => panic!("{other:?}"),
        }
    }
    writer.await.expect("no panic");
    let grown = server.resident().saturating_sub(before);
    // Queues would hold STUCK * WRITES * SIZE, nearly two gigabytes. The history holds 32 MiB, for all of them.
    assert!(grown < 160 << 20, "grown by {} MiB", grown >> 20);
    println!(
        "{STUCK} stuck watchers, {WRITES} events of 32 KiB: {} MiB more",
        grown >> 20
    );
    // They are told when they read on: what is left of the history no longer reaches back to where they are.
    let raw = stuck.last_mut().expect("some");
    let mut last = Vec::new();
    let read = async {
        let mut piece = vec![0; 64 << 10];
        while !last
            .windows(14)
            .any(|window| window == b"\"type\":\"ERROR\"")
        {
            let length = raw.0.read(&mut piece).await.expect("more");
            assert!(length > 0, "ended without an error");
            last.drain(..last.len().saturating_sub(100));
            last.extend_from_slice(&piece[..length]);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_that_say_nothing_more() {
    use rustix::process::{Resource, getrlimit};
    const WANTED: usize = 10_000;
    const AT_ONCE: usize = 64;
    /// Room for everything else a process has open.
    const SPARE: u64 = 300;
    let server = Apart::start();
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = WANTED.min(files.saturating_sub(SPARE) as usize);
    let before = server.resident();
    let start = Instant::now();
    let connected = futures::stream::iter(0..count).map(|_| async {
        let mut raw = server.connect().await;
        raw.get(
            "/api/v1/namespaces/default/secrets?watch=1&resourceVersion=1",
            "",
        )
        .await;
        assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
        raw
    });
    let idle: Vec<Raw> = connected.buffer_unordered(AT_ONCE).collect().await;
    let took = start.elapsed();
    let each = server.resident().saturating_sub(before) / idle.len();
    println!(
        "{count} idle watches: {} KiB each, opened in {took:.1?}",
        each >> 10
    );
    assert!(each < 64 << 10, "{each} bytes each");
    // Somebody else is served as ever.
    let start = Instant::now();
    server
        .client()
        .apiserver_version()
        .await
        .expect("an answer");
    let mut other = server.connect().await;
    other.get("/readyz", "").await;
    assert!(other.head().await.starts_with("HTTP/1.1 200 "));
    assert!(start.elapsed() < PATIENCE / 4, "{:?}", start.elapsed());
}

#[tokio::test]
async fn bodies_that_never_end_take_no_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    config.limits = Limits {
        writes_in_flight: 4,
        ..Limits::default()
    };
    let cluster = Cluster::with(config, dir).await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}?timeout=1s");
    let slow = (0..50).map(|_| admin.send("POST", &path, &[], endless("{")));
    let others = async {
        for index in 0..10 {
            admin
                .create(CONFIGMAPS, configmap(&format!("c{index}")))
                .await;
        }
    };
    let (slow, ()) = futures::future::join(futures::future::join_all(slow), others).await;
    for answer in slow {
        answer.refused(
            504,
            "Timeout",
            "Timeout: request did not complete within the allotted timeout",
        );
    }
    let list = admin.get(CONFIGMAPS).await.expect(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(10));
}

#[tokio::test]
async fn all_bodies_together_are_bounded() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    config.limits = Limits {
        bodies_bytes: 100_000,
        ..Limits::default()
    };
    let cluster = Cluster::with(config, dir).await;
    let admin = cluster.admin();
    let held = admin.send("POST", CONFIGMAPS, &[], endless(&" ".repeat(90_000)));
    let mut large = configmap("a");
    large["data"]["k"] = json!("x".repeat(20_000));
    // The first body has come as far as it will when the second gets its turn.
    let other = admin.post(CONFIGMAPS, &large);
    let (held, other) = (std::pin::pin!(held), std::pin::pin!(other));
    let futures::future::Either::Right((refused, _held)) =
        futures::future::select(held, other).await
    else {
        panic!("a body that never ends has ended");
    };
    refused.refused(
        429,
        "TooManyRequests",
        "Too many requests, please try again later.",
    );
    admin.create(CONFIGMAPS, configmap("small")).await;
}

/// A short body may hold many values, and they take more than its bytes.
#[tokio::test]
async fn values_count_not_only_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    config.limits = Limits {
        bodies_bytes: 1_000_000,
        ..Limits::default()
    };
    let cluster = Cluster::with(config, dir).await;
    let admin = cluster.admin();
    let mut long = configmap("long");
    long["data"]["k"] = json!("x".repeat(500_000));
    admin.create(CONFIGMAPS, long).await;
    let mut many = configmap("many");
    many["x"] = json!(vec![0; 100_000]);
    admin.post(CONFIGMAPS, &many).await.expect(429);
}

/// What the values of a body will take counts when they are there, and not while somebody only says that they will be.
#[tokio::test]
async fn values_of_bodies_that_never_end_take_no_place() {
    let cluster = Cluster::start().await;
    let commas = ",".repeat(2_000_000);
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews?timeout=3s";
    let someone = cluster.client(UserInfo::new("someone", []));
    let silent = (0..2).map(|_| someone.send("POST", path, &[], endless(&commas)));
    let others = async {
        // The bodies have come as far as they will when others get their turn.
        cluster.admin().create(CONFIGMAPS, configmap("a")).await;
    };
    let (silent, ()) = tokio::join!(biased; futures::future::join_all(silent), others);
    for answer in silent {
        assert_eq!(answer.status.as_u16(), 504);
    }
}

/// A body that begins and then says nothing more.
fn endless(begin: &str) -> Body {
    let begin = Bytes::from(begin.to_owned());
    let begin = futures::stream::once(async { Ok::<_, std::io::Error>(begin) });
    Body::from_stream(begin.chain(futures::stream::pending()))
}

#[tokio::test]
async fn watches_are_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    config.limits = Limits {
        watches: 2,
        ..Limits::default()
    };
    let cluster = Cluster::with(config, dir).await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}?watch=1");
    let (first, _second) = (admin.watch(&path).await, admin.watch(&path).await);
    admin
        .get(&path)
        .await
        .refused(429, "TooManyRequests", "Too many requests...");
    drop(first);
    admin.watch(&path).await;
}

/// Who forgets the `s` of `https` is told so, and not in an alert of TLS.
#[tokio::test]
async fn plain_http_is_answered_in_plain_http() {
    let apart = Apart::start();
    let mut stream = tokio::net::TcpStream::connect(apart.address)
        .await
        .expect("connected");
    stream
        .write_all(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert_eq!(
        answer,
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
}

#[tokio::test]
async fn who_asks_for_nothing_after_its_handshake_is_let_go() {
    /// The time for a first request, with a machine that is busy.
    const AT_MOST: Duration = Duration::from_secs(45);
    let dir = tempfile::tempdir().expect("a folder");
    write_token(dir.path());
    let config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    let listening = Listening::serve(Cluster::with(config, dir).await);
    let server = &listening.cluster.server;
    let connector = connector(server.ca_pem());
    let silent = ["", "G", "GET / HTTP/1.1\r\nHost: ", "PRI * HTTP/2.0\r\n"];
    let let_go = silent.map(async |said| {
        let mut raw = Raw::connect(&connector, server.addr()).await;
        raw.0.write_all(said.as_bytes()).await.expect("sent");
        raw.0.flush().await.expect("sent");
        let mut rest = Vec::new();
        // Some are told why.
        let end = tokio::time::timeout(AT_MOST, raw.0.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{said:?} holds a connection");
    });
    futures::future::join_all(let_go).await;
}
