//! Guests that take all the connections they can get, and guests that try other pods' addresses.

use crate::support::{Bench, soon};
use crate::village::{Repeated, Village, start};
use sampan_engine::{ContainerSpec, EngineConfig, Exit, Network, PodNetwork};
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

const OWN: Ipv4Addr = Ipv4Addr::new(127, 32, 40, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 32, 40, 3);

fn pods(config: &mut EngineConfig) {
    config.pod_addresses = Some((Ipv4Addr::new(127, 32, 40, 0), 24));
}

/// A pod that goes through its steps again and again.
async fn repeated(village: &Village, name: &str, steps: Vec<String>) {
    let attack = village.under(name, async |bench: &Bench| {
        // Compiled before, so that it is the guest that is measured.
        let module = bench.load("socket-probe").await;
        let engine = bench.engine.clone();
        Repeated::start(2, move || {
            let (engine, module, steps) = (engine.clone(), module.clone(), steps.clone());
            async move {
                let change = |spec: &mut ContainerSpec| {
                    spec.args = steps;
                    spec.network = Network::Pod(PodNetwork::new(OWN));
                    spec.max_sockets = 256;
                };
                let container = start(&engine, &module, change).await;
                assert_eq!(soon(container.wait()).await, Exit::Code(0));
            }
        })
    });
    attack.await.stop().await;
    village.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_of_connections() {
    let village = Village::with(pods).await;
    let listener = TcpListener::bind((OTHER, 7000)).await.expect("free");
    let accepting = tokio::spawn(async move {
        while let Ok((_connection, from)) = listener.accept().await {
            assert_eq!(from.ip(), OWN);
        }
    });
    let steps = ["probe", "tcp-hoard 127.32.40.3:7000", "sockets 4"];
    repeated(
        &village,
        "fork of connections",
        steps.map(str::to_owned).to_vec(),
    )
    .await;
    assert!(!accepting.is_finished(), "a peer was not the pod");
    accepting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_other_pods_addresses() {
    let village = Village::with(pods).await;
    let mut steps = vec!["probe".to_owned()];
    for pod in 3..=64 {
        steps.push(format!("tcp-bind 127.32.40.{pod}:7000"));
        steps.push(format!("udp-call 127.32.40.{pod}:0 127.32.40.3:7000 x"));
        steps.push(format!("tcp-from 127.32.40.{pod}:0 127.32.40.3:7000 x"));
        steps.push(format!("tcp-call 127.0.0.{pod}:7001 x"));
    }
    repeated(&village, "guessed addresses", steps).await;
}
