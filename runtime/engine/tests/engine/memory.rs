//! Memory limits.

use crate::support::{Bench, until};
use sampan_engine::Exit;

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_fails_after_it_was_refused_memory_is_out_of_memory() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    for guest in ["memory-hog", "memory-exit", "memory-big"] {
        let (exit, ..) = bench
            .run_with(guest, &[], |spec| spec.memory_limit = Some(8 * MIB))
            .await;
        assert_eq!(exit, Exit::OutOfMemory, "{guest}");
        assert_eq!(exit.code(), 137);
    }
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_copes_with_its_limit_is_left_alone() {
    let bench = Bench::new();
    let (exit, ..) = bench
        .run_with("memory-modest", &[], |spec| {
            spec.memory_limit = Some(8 * MIB)
        })
        .await;
    assert_eq!(exit, Exit::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_without_a_limit_have_the_engines() {
    let bench = Bench::with(|config| config.default_memory_limit = 2 * MIB);
    let (exit, ..) = bench.run("memory-hog", &[]).await;
    assert_eq!(exit, Exit::OutOfMemory);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_limited() {
    let bench = Bench::with(|config| config.max_table_elements = 50_000);
    let (exit, ..) = bench.run("table-hog", &[]).await;
    assert_eq!(exit, Exit::Code(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_memory() {
    let bench = Bench::new();
    // A page of memory and 90,000 elements of eight bytes are more than there is.
    let (exit, ..) = bench
        .run_with("table-hog", &[], |spec| spec.memory_limit = Some(400 << 10))
        .await;
    assert_eq!(exit, Exit::OutOfMemory);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_holds_behind_handles_is_memory() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    for guest in ["p2-headers", "p2-bodies"] {
        let (exit, ..) = bench
            .run_with(guest, &[], |spec| spec.memory_limit = Some(8 * MIB))
            .await;
        assert_eq!(exit, Exit::OutOfMemory, "{guest}");
    }
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_show_memory_and_processor_time() {
    let bench = Bench::new();
    let sleeping = bench.start("sleep", &[]).await;
    sleeping.stdout.contains("asleep").await;
    assert_eq!(sleeping.container.stats().memory_bytes, 64 << 10);
    let spinning = bench.start("spin", &[]).await;
    until(|| spinning.container.stats().cpu_nanos > 20_000_000).await;
    assert!(sleeping.container.stats().cpu_nanos < 20_000_000);
    sleeping.container.kill();
    sleeping.container.wait().await;
    until(|| sleeping.container.stats().memory_bytes == 0).await;
}
