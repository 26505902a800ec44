//! Processor time: quotas, weights, and changing both while a guest runs.

use crate::support::{Bench, Running, get, listen_locally, until};
use sampan_engine::{ContainerSpec, CpuLimits, CpuQuota};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(100);

/// So many thousandths of a processor.
fn quota(milli: u32) -> CpuLimits {
    CpuLimits {
        quota: Some(CpuQuota {
            time: PERIOD * milli / 1_000,
            period: PERIOD,
        }),
        ..CpuLimits::default()
    }
}

fn used(running: &Running) -> Duration {
    Duration::from_nanos(running.container.stats().cpu_nanos)
}

/// The most a quota allows in a time: its part of it, one period ahead, and a time slice for each of two threads.
fn most(milli: u32, time: Duration) -> Duration {
    (time + PERIOD) * milli / 1_000 + Duration::from_millis(10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_guest_keeps_to_its_quota() {
    let bench = Bench::new();
    let begun = Instant::now();
    let fifth = bench.start_with("spin", &[], |spec| spec.cpu = quota(200));
    let fifth = fifth.await;
    until(|| used(&fifth) > Duration::from_millis(150)).await;
    let (used_by_fifth, time) = (used(&fifth), begun.elapsed());
    assert!(
        used_by_fifth <= most(200, time),
        "{used_by_fifth:?} in {time:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_requests_of_a_handler_share_one_quota() {
    let bench = Bench::new();
    let begun = Instant::now();
    let handler = bench.start_with("http-handler", &[], |spec: &mut ContainerSpec| {
        listen_locally(spec);
        spec.cpu = quota(200);
    });
    let handler = handler.await;
    // Requests that never end by themselves.
    let requests: Vec<_> = (0..4)
        .map(|_| tokio::spawn(get(handler.addr(), "/s")))
        .collect();
    until(|| used(&handler) > Duration::from_millis(150)).await;
    let (used, time) = (used(&handler), begun.elapsed());
    assert!(used <= most(200, time), "{used:?} in {time:?}");
    handler.container.kill();
    for request in requests {
        assert!(request.await.is_err(), "the connection breaks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contended_processors_are_shared_by_weight() {
    let bench = Bench::with(|config| config.worker_threads = 1);
    let start = |weight| {
        bench.start_with("spin", &[], move |spec: &mut ContainerSpec| {
            spec.cpu.weight = weight;
        })
    };
    let (light, heavy, light_too) = (start(256).await, start(1_024).await, start(256).await);
    until(|| used(&heavy) > Duration::from_millis(400)).await;
    for light in [&light, &light_too] {
        let ratio = used(&heavy).as_secs_f64() / used(light).as_secs_f64();
        assert!((2.5..6.0).contains(&ratio), "{ratio}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_change_while_a_guest_runs() {
    let bench = Bench::new();
    let start = bench.start_with("spin", &[], |spec| spec.cpu = quota(10));
    let running = start.await;
    until(|| used(&running) > Duration::from_millis(1)).await;
    running.container.update(Some(CpuLimits::default()), None);
    until(|| used(&running) > Duration::from_millis(300)).await;
    running.container.update(Some(quota(50)), None);
    // What was used before counts no more; from here the quota holds.
    let (before, begun) = (used(&running), Instant::now());
    until(|| used(&running) - before > Duration::from_millis(15)).await;
    let (used, time) = (used(&running) - before, begun.elapsed());
    assert!(used <= most(50, time), "{used:?} in {time:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_its_quota_can_still_be_killed() {
    let bench = Bench::new();
    let starved = bench.start_with("spin", &[], |spec| {
        spec.cpu.quota = Some(CpuQuota {
            time: Duration::from_micros(1),
            period: Duration::from_secs(10),
        });
    });
    let starved = starved.await;
    until(|| !used(&starved).is_zero()).await;
    starved.container.kill();
    assert_eq!(starved.container.wait().await.code(), 137);
    bench.empty().await;
}
