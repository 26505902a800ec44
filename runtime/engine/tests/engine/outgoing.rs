//! HTTP requests that guests send.

use crate::support::Bench;
use sampan_engine::{ContainerSpec, Exit};
use std::time::Duration;

/// Numbers of `wasi:http` error codes, as the guest reports them.
const PROHIBITED: Exit = Exit::Code(104);
const REFUSED: Exit = Exit::Code(106);
const TIMEOUT: Exit = Exit::Code(109);
const DENIED: Exit = Exit::Code(115);

fn own_address(ip: &str) -> impl FnOnce(&mut ContainerSpec) {
    let addr = format!("{ip}:1").parse().unwrap();
    move |spec| spec.listen = vec![addr]
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_the_containers_own_address() {
    let bench = Bench::new();
    let handler = bench
        .start_with("http-handler", &[], |spec| {
            spec.listen = vec!["127.0.0.2:0".parse().unwrap()]
        })
        .await;
    let port = handler.addr().port();
    for host in ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"] {
        let authority = format!("{host}:{port}");
        let (exit, ..) = bench
            .run_with("http-client", &[&authority], own_address("127.0.0.2"))
            .await;
        assert_eq!(exit, Exit::Code(0), "{host}");
        let (exit, ..) = bench.run("http-client", &[&authority]).await;
        assert_eq!(
            exit, PROHIBITED,
            "{host}: the host's loopback is out of reach"
        );
    }
}

/// A bench whose pods have addresses in 127.0.0.0/28.
fn bench_of_pods() -> Bench {
    Bench::with(|config| config.pod_addresses = Some(([127, 0, 0, 0].into(), 28)))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_hosts_loopback_only_pods_are_reached() {
    let bench = bench_of_pods();
    let without_pods = Bench::new();
    // What is no pod of the range is the guest's own, and there nobody listens.
    for (ip, expected) in [("127.0.0.5", Exit::Code(0)), ("127.0.0.53", REFUSED)] {
        let service = bench
            .start_with("http-handler", &[], |spec| {
                spec.listen = vec![format!("{ip}:0").parse().unwrap()]
            })
            .await;
        let port = service.addr().port();
        for host in [ip.to_owned(), format!("[::ffff:{ip}]")] {
            let authority = format!("{host}:{port}");
            let (exit, ..) = bench
                .run_with("http-client", &[&authority], own_address("127.0.0.6"))
                .await;
            assert_eq!(exit, expected, "{host}");
            let (exit, ..) = without_pods.run("http-client", &[&authority]).await;
            assert_eq!(exit, PROHIBITED, "{host}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_addresses_are_reached_unless_forbidden() {
    let bench = bench_of_pods();
    let handler = bench
        .start_with("http-handler", &[], |spec| {
            spec.listen = vec!["127.0.0.3:0".parse().unwrap()]
        })
        .await;
    let authority = handler.addr().to_string();
    let (exit, ..) = bench.run("http-client", &[&authority]).await;
    assert_eq!(exit, Exit::Code(0));
    let (exit, ..) = bench
        .run_with("http-client", &[&authority], |spec| {
            spec.http.allow_outgoing = false
        })
        .await;
    assert_eq!(exit, DENIED);
    handler.container.kill();
    handler.container.wait().await;
    let (exit, ..) = bench.run("http-client", &[&authority]).await;
    assert_eq!(exit, REFUSED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up() {
    let bench = bench_of_pods();
    let neighbour = bench.neighbour().await;
    // It accepts and never answers: the listener of nobody.
    let silent = std::net::TcpListener::bind("127.0.0.4:0").unwrap();
    let authority = silent.local_addr().unwrap().to_string();
    let (exit, ..) = bench
        .run_with("http-client", &[&authority], |spec| {
            spec.http.outgoing_timeout = Duration::from_millis(200);
        })
        .await;
    assert_eq!(exit, TIMEOUT);
    neighbour.is_healthy().await;
}
