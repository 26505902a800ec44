//! Every function of WASI, by guests that check what comes back and end with the number of the check that failed. Which
//! guest calls what is said in `tests/README.md`.

use crate::support::{Bench, listen_locally, soon};
use sampan_engine::{ContainerSpec, Exit, Mount, Network, PodNetwork, VolumeLimit};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The guests in Rust, of WASI 0.2 and 0.3.
const VERSIONS: [&str; 2] = ["interfaces-p2", "interfaces-p3"];

/// Runs a group of checks, which prints nothing.
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
        std::fs::create_dir(&host).unwrap();
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
async fn environment_and_standard_streams() {
    let bench = Bench::new();
    for guest in VERSIONS {
        let (exit, stdout, stderr) = bench
            .run_with(guest, &["environment", "two words"], |spec| {
                spec.env = vec![
                    ("NAME".to_owned(), "a=b".to_owned()),
                    ("EMPTY".to_owned(), String::new()),
                ];
            })
            .await;
        let seen = (exit, stdout.as_str(), stderr.as_str());
        assert_eq!(
            seen,
            (Exit::Code(0), "to stdout\n", "to stderr\n"),
            "{guest}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exits() {
    let bench = Bench::new();
    for guest in VERSIONS {
        for (how, code) in [
            (&["exit", "0"][..], 0),
            (&["exit", "77"], 77),
            (&["exit", "255"], 255),
            (&["exit-ok"], 0),
            (&["exit-err"], 1),
        ] {
            let (exit, _, stderr) = bench.run(guest, how).await;
            let seen = (exit, stderr.as_str());
            assert_eq!(seen, (Exit::Code(code), ""), "{guest} {how:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_and_random_numbers() {
    let bench = Bench::new();
    for guest in VERSIONS {
        passes(&bench, guest, &["clocks"], |_| {}).await;
        passes(&bench, guest, &["random"], |_| {}).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_streams() {
    for (guest, group) in [
        ("interfaces-p2", "files"),
        ("interfaces-p2", "streams"),
        ("interfaces-p3", "files"),
    ] {
        let bench = Bench::new();
        passes(&bench, guest, &[group], volumes(bench.dir.path())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_names() {
    let bench = Bench::with(|config| {
        config.pod_addresses = Some((Ipv4Addr::new(127, 33, 1, 0), 24));
    });
    for guest in VERSIONS {
        passes(&bench, guest, &["sockets"], |spec| {
            spec.network = Network::Pod(PodNetwork::new(Ipv4Addr::new(127, 33, 1, 2)));
        })
        .await;
    }
}

/// A server whose responses end in the middle of their bodies.
async fn cut() -> SocketAddr {
    let listener = TcpListener::bind("127.33.2.9:0").await.unwrap();
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
async fn http_from_both_sides() {
    let bench = Bench::with(|config| {
        config.pod_addresses = Some((Ipv4Addr::new(127, 33, 2, 0), 24));
    });
    let cut = cut().await.to_string();
    for guest in VERSIONS {
        let handler = format!("{guest}-handler");
        let server = bench
            .start_with(&handler, &[], |spec| {
                listen_locally(spec);
                spec.listen[0].set_ip(Ipv4Addr::new(127, 33, 2, 2).into());
            })
            .await;
        let authority = server.addr().to_string();
        let (exit, _, stderr) = bench.run(guest, &["http", &authority, &cut]).await;
        let seen = (exit, stderr.as_str());
        assert_eq!(seen, (Exit::Code(0), ""), "{}", server.stderr.text());
        // The one request that it was to fail, and none besides.
        let failed = server.stderr.text();
        assert_eq!(failed.lines().count(), 1, "{failed}");
        server.container.terminate();
        assert_eq!(soon(server.container.wait()).await, Exit::Code(0));
    }
}
