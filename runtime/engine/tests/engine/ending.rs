//! Terminate and kill, whatever the guest is doing.

use crate::support::{Bench, Blocked, Running, listen_locally, soon};
use sampan_engine::{ContainerSpec, Exit};
use std::sync::Arc;

/// A guest in a tight loop, one inside a host call, and one blocked on a full sink.
async fn stubborn(bench: &Bench) -> Vec<Running> {
    let spinning = bench.start("spin", &[]).await;
    let sleeping = bench.start("sleep", &[]).await;
    sleeping.stdout.contains("asleep").await;
    let sink = Arc::new(Blocked::default());
    let flooding = bench
        .start_with("stdout-flood", &[], |spec: &mut ContainerSpec| {
            spec.stdout = sink.clone()
        })
        .await;
    crate::support::until(|| *sink.offered.lock() > 0).await;
    vec![spinning, sleeping, flooding]
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_ends_any_guest() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    for running in stubborn(&bench).await {
        neighbour.is_healthy().await;
        running.container.kill();
        assert_eq!(soon(running.container.wait()).await, Exit::Signal(9));
    }
    bench.empty().await;
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminate_ends_any_command() {
    let bench = Bench::new();
    for running in stubborn(&bench).await {
        running.container.terminate();
        let exit = soon(running.container.wait()).await;
        assert_eq!((exit.code(), exit), (143, Exit::Signal(15)));
    }
    bench.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_nobody_holds_is_killed() {
    let bench = Bench::new();
    drop(stubborn(&bench).await);
    bench.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_busy_guests_leave_room_for_others() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let mut busy = Vec::new();
    for _ in 0..8 {
        busy.push(bench.start("spin", &[]).await);
    }
    neighbour.is_healthy().await;
    let (exit, ..) = bench.run("hello", &[]).await;
    assert_eq!(exit, Exit::Code(0));
    for running in &busy {
        running.container.kill();
        assert_eq!(soon(running.container.wait()).await, Exit::Signal(9));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_without_requests_ends_at_once() {
    let bench = Bench::new();
    let handler = bench.start_with("http-handler", &[], listen_locally).await;
    let addr = handler.addr();
    handler.is_healthy().await;
    handler.container.terminate();
    assert_eq!(soon(handler.container.wait()).await, Exit::Code(0));
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_finishes_its_requests_until_it_is_killed() {
    let bench = Bench::new();
    let handler = bench.start_with("http-handler", &[], listen_locally).await;
    let request = tokio::spawn(crate::support::get(handler.addr(), "/i"));
    crate::support::until(|| bench.engine.stats().instances == 1).await;
    handler.container.terminate();
    // It waits for the request, which never ends by itself.
    crate::support::until(|| std::net::TcpStream::connect(handler.addr()).is_err()).await;
    assert_eq!(bench.engine.stats().instances, 1);
    handler.container.kill();
    assert_eq!(soon(handler.container.wait()).await, Exit::Signal(9));
    bench.empty().await;
    // The connection breaks, or the end of the guest was seen first.
    if let Ok((status, _)) = soon(request).await {
        assert!(status.is_server_error(), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_engine_ends_everything() {
    let bench = Bench::new();
    let running = stubborn(&bench).await;
    drop(bench);
    for running in running {
        let exit = soon(running.container.wait()).await;
        assert!(
            matches!(exit, Exit::Failed { .. } | Exit::Signal(9)),
            "{exit:?}"
        );
    }
}
