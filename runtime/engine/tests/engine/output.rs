//! Back-pressure from the sink to the guest.

use crate::support::{Bench, Collected, until};
use bytes::Bytes;
use sampan_engine::{Exit, OutputSink};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A sink that takes as many chunks as it has permits.
struct Metered {
    permits: Semaphore,
    taken: Collected,
}

#[async_trait::async_trait]
impl OutputSink for Metered {
    async fn write(&self, data: Bytes) {
        self.permits.acquire().await.unwrap().forget();
        self.taken.write(data).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooding_guest_is_as_fast_as_its_sink() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let sink = Arc::new(Metered {
        permits: Semaphore::new(3),
        taken: Collected::default(),
    });
    let flooding = bench
        .start_with("stdout-flood", &[], |spec| spec.stdout = sink.clone())
        .await;
    until(|| sink.taken.bytes().len() == 3 * 4096).await;
    neighbour.is_healthy().await;
    assert_eq!(sink.taken.bytes().len(), 3 * 4096);
    sink.permits.add_permits(5);
    until(|| sink.taken.bytes().len() == 8 * 4096).await;
    flooding.container.kill();
    assert_eq!(flooding.container.wait().await, Exit::Signal(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_output_arrives_before_the_end_is_told() {
    let bench = Bench::new();
    let sink = Arc::new(Metered {
        permits: Semaphore::new(0),
        taken: Collected::default(),
    });
    let running = bench
        .start_with("hello", &[], |spec| spec.stdout = sink.clone())
        .await;
    let waiting = tokio::spawn({
        let container = running.container.clone();
        async move { container.wait().await }
    });
    until(|| running.container.stats().cpu_nanos > 0).await;
    assert!(!waiting.is_finished());
    sink.permits.add_permits(1);
    assert_eq!(crate::support::soon(waiting).await.unwrap(), Exit::Code(0));
    assert_eq!(sink.taken.text(), "hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_writes_without_permission_traps() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let sink = Arc::new(Metered {
        permits: Semaphore::new(0),
        taken: Collected::default(),
    });
    let running = bench
        .start_with("p2-write-flood", &[], |spec| spec.stdout = sink.clone())
        .await;
    neighbour.is_healthy().await;
    // What was permitted is still written, in chunks of any number; the container's end waits for that.
    sink.permits.add_permits(100_000);
    let exit = crate::support::soon(running.container.wait()).await;
    let Exit::Trap { message } = exit else {
        panic!("{exit:?}")
    };
    assert!(message.contains("check-write permitted"), "{message}");
    neighbour.is_healthy().await;
}
