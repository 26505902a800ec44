//! More instances than the pool holds, and more than the engine allows.

use crate::support::{Bench, Collected, get, soon};
use http::StatusCode;
use sampan_engine::{ContainerSpec, Exit, StartError};

#[tokio::test(flavor = "multi_thread")]
async fn instances_beyond_the_pool_run_on_demand() {
    let bench = Bench::with(|config| config.pool_instances = 2);
    let mut sleeping = Vec::new();
    for _ in 0..6 {
        let running = bench.start("sleep", &[]).await;
        running.stdout.contains("asleep").await;
        sleeping.push(running);
    }
    assert_eq!(bench.engine.stats().instances, 6);
    let (exit, stdout, _) = bench.run("p2-command", &[]).await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "hello from p2\n"));
    let handler = bench.neighbour().await;
    let requests = (0..20).map(|_| get(handler.addr(), "/"));
    for (status, _) in soon(futures::future::join_all(requests)).await {
        assert_eq!(status, StatusCode::OK);
    }
    let spinning = bench.start("spin", &[]).await;
    spinning.container.kill();
    assert_eq!(soon(spinning.container.wait()).await, Exit::Signal(9));
    let (exit, ..) = bench
        .run_with("memory-hog", &[], |spec| spec.memory_limit = Some(1 << 20))
        .await;
    assert_eq!(exit, Exit::OutOfMemory);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_beyond_the_pool_run_though_their_code_was_removed_from_disk() {
    let bench = Bench::with(|config| config.pool_instances = 1);
    let module = bench.load("sleep").await;
    let sink = Collected::new();
    let spec = ContainerSpec::new("x", sink.clone(), sink.clone());
    let in_the_pool = bench.engine.start(&module, spec).await.unwrap();
    sink.contains("asleep").await;
    bench.engine.evict(module.digest()).await;
    let sink = Collected::new();
    let spec = ContainerSpec::new("y", sink.clone(), sink.clone());
    let beyond = bench.engine.start(&module, spec).await.unwrap();
    sink.contains("asleep").await;
    beyond.kill();
    in_the_pool.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_beyond_the_engines_limit_are_refused() {
    let bench = Bench::with(|config| config.max_instances = 2);
    let first = bench.start("sleep", &[]).await;
    let _second = bench.start("sleep", &[]).await;
    let module = bench.load("sleep").await;
    let sink = Collected::new();
    let spec = ContainerSpec::new("third", sink.clone(), sink.clone());
    let error = bench.engine.start(&module, spec.clone()).await.unwrap_err();
    assert!(
        matches!(error, StartError::TooManyInstances { limit: 2 }),
        "{error}"
    );
    first.container.kill();
    soon(first.container.wait()).await;
    let third = bench.engine.start(&module, spec).await.unwrap();
    sink.contains("asleep").await;
    third.kill();
}
