//! Every function of WASI, by guests that check what comes back and end with the number of the check that failed. Which
//! guest calls what is said in `tests/README.md`.

use crate::support::{Bench, listen_locally, soon};
use sampan_engine::{ContainerSpec, Exit, Mount, Network, PodNetwork, VolumeLimit};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A guest that has all of one version of WASI, and what it runs in. Modules are compiled once for all its groups.
struct Version {
    bench: Bench,
    guest: &'static str,
    /// Its pods have the addresses 127.33.BLOCK.0/24.
    block: u8,
}

impl Version {
    fn new(guest: &'static str, block: u8) -> Self {
        let pods = (Ipv4Addr::new(127, 33, block, 0), 24);
        Version {
            bench: Bench::with(|config| config.pod_addresses = Some(pods)),
            guest,
            block,
        }
    }

    fn address(&self, pod: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 33, self.block, pod)
    }

    /// Runs a group of checks, which prints nothing.
    async fn passes(&self, group: &[&str], change: impl FnOnce(&mut ContainerSpec)) {
        passes(&self.bench, self.guest, group, change).await;
    }

    async fn environment(&self) {
        let (exit, stdout, stderr) = self
            .bench
            .run_with(self.guest, &["environment", "two words"], |spec| {
                spec.env = vec![
                    ("NAME".to_owned(), "a=b".to_owned()),
                    ("EMPTY".to_owned(), String::new()),
                ];
            })
            .await;
        let seen = (exit, stdout.as_str(), stderr.as_str());
        assert_eq!(seen, (Exit::Code(0), "to stdout\n", "to stderr\n"));
    }

    async fn exits(&self) {
        for (how, code) in [
            (&["exit", "0"][..], 0),
            (&["exit", "77"], 77),
            (&["exit", "255"], 255),
            (&["exit-ok"], 0),
            (&["exit-err"], 1),
        ] {
            let (exit, _, stderr) = self.bench.run(self.guest, how).await;
            assert_eq!((exit, stderr.as_str()), (Exit::Code(code), ""), "{how:?}");
        }
    }

    async fn sockets(&self) {
        let network = Network::Pod(PodNetwork::new(self.address(2)));
        self.passes(&["sockets"], |spec| spec.network = network)
            .await;
    }

    async fn http(&self) {
        let cut = cut(self.address(9)).await.to_string();
        let handler = format!("{}-handler", self.guest);
        let address = self.address(3);
        let server = self
            .bench
            .start_with(&handler, &[], |spec| {
                listen_locally(spec);
                spec.listen[0].set_ip(address.into());
            })
            .await;
        let group = ["http", &server.addr().to_string(), &cut];
        let (exit, _, stderr) = self.bench.run(self.guest, &group).await;
        let failed = server.stderr.text();
        assert_eq!((exit, stderr.as_str()), (Exit::Code(0), ""), "{failed}");
        // The one request that it was to fail, and none besides.
        assert_eq!(failed.lines().count(), 1, "{failed}");
        server.container.terminate();
        assert_eq!(soon(server.container.wait()).await, Exit::Code(0));
    }
}

async fn passes(
    bench: &Bench,
    guest: &str,
    group: &[&str],
    change: impl FnOnce(&mut ContainerSpec),
) {
    let (exit, stdout, stderr) = bench.run_with(guest, group, change).await;
    let seen = (exit, stdout.as_str(), stderr.as_str());
    assert_eq!(seen, (Exit::Code(0), "", ""), "{guest} {group:?}");
}

/// Two folders: `/data`, and `/small`, which holds 10,000 bytes.
fn volumes(dir: &Path) -> impl FnOnce(&mut ContainerSpec) {
    let dir = dir.canonicalize().unwrap();
    let mount = |name: &str| {
        let host = dir.join(name);
        std::fs::create_dir_all(&host).unwrap();
        Mount {
            host,
            guest: format!("/{name}"),
            read_only: false,
        }
    };
    let (data, small) = (mount("data"), mount("small"));
    let limit = VolumeLimit {
        path: small.host.clone(),
        bytes: 10_000,
    };
    move |spec| {
        spec.mounts = vec![data, small];
        spec.volume_limits = vec![limit];
    }
}

/// A server whose responses end in the middle of their bodies.
async fn cut(address: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _length = stream.read(&mut request).await.unwrap();
            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf";
            stream.write_all(half).await.unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_p1() {
    let bench = Bench::new();
    let (exit, stdout, stderr) = bench
        .run_with("p1-process", &["two words"], |spec| {
            spec.env = vec![("NAME".to_owned(), "a=b".to_owned())];
        })
        .await;
    let seen = (exit, stdout.as_str(), stderr.as_str());
    assert_eq!(seen, (Exit::Code(0), "to stdout\n", "to stderr\n"));
    let volumes = volumes(bench.dir.path());
    passes(&bench, "p1-files", &[], |spec| {
        volumes(spec);
        spec.mounts.truncate(1);
    })
    .await;
    passes(&bench, "p1-clocks-random", &[], |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_0_2() {
    let p2 = Version::new("interfaces-p2", 1);
    p2.environment().await;
    p2.exits().await;
    p2.passes(&["clocks"], |_| {}).await;
    p2.passes(&["random"], |_| {}).await;
    p2.passes(&["files"], volumes(p2.bench.dir.path())).await;
    p2.passes(&["streams"], volumes(p2.bench.dir.path())).await;
    p2.sockets().await;
    p2.http().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_0_3() {
    let p3 = Version::new("interfaces-p3", 2);
    p3.environment().await;
    p3.exits().await;
    p3.passes(&["clocks"], |_| {}).await;
    p3.passes(&["random"], |_| {}).await;
    p3.passes(&["files"], volumes(p3.bench.dir.path())).await;
    p3.sockets().await;
    p3.http().await;
}
