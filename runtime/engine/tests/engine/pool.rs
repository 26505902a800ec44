//! More instances than the pool holds, and more than the engine allows.

use crate::support::{Bench, Collected, get, listen_locally, module_file, soon, until};
use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use sampan_engine::{Container, ContainerSpec, Exit, Module, OutputSink, StartError};
use std::sync::Arc;
use std::thread::ThreadId;

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

/// A sink that tells on which thread it was written to.
#[derive(Default)]
struct Threads(Mutex<Vec<ThreadId>>);

#[async_trait::async_trait]
impl OutputSink for Threads {
    async fn write(&self, _data: Bytes) {
        self.0.lock().push(std::thread::current().id());
    }
}

#[tokio::test]
async fn a_command_that_the_pool_has_no_room_for_begins_on_the_engines_threads() {
    let bench = Bench::with(|config| config.pool_instances = 1);
    let module = bench.load("hello").await;
    let own = std::thread::current().id();
    let written_here = async || {
        let sink = Arc::new(Threads::default());
        let spec = ContainerSpec::new("x", sink.clone(), sink.clone());
        let container = bench.engine.start(&module, spec).await.unwrap();
        soon(container.wait()).await;
        sink.0.lock().contains(&own)
    };
    assert!(written_here().await);
    let sleeping = bench.start("sleep", &[]).await;
    sleeping.stdout.contains("asleep").await;
    assert!(!written_here().await);
}

/// A command of so many memories that never ends.
pub(crate) async fn of_memories(bench: &Bench, memories: usize) -> Module {
    let memories = "(memory 0 1)".repeat(memories);
    let text = format!(r#"(module {memories} (func (export "_start") (loop $on (br $on))))"#);
    let bytes = wat::parse_str(text).unwrap();
    let file = module_file(bench.dir.path(), "memories", &bytes);
    bench.engine.load(&file).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_counts_once_for_each_of_its_memories() {
    let bench = Bench::with(|config| config.max_instances = 90);
    let sink = Collected::new();
    let spec = ContainerSpec::new("x", sink.clone(), sink.clone());
    let module = of_memories(&bench, 60).await;
    let first = bench.engine.start(&module, spec.clone()).await.unwrap();
    assert_eq!(bench.engine.stats().instances, 60);
    let error = bench.engine.start(&module, spec.clone()).await.unwrap_err();
    assert!(
        matches!(error, StartError::TooManyInstances { limit: 90 }),
        "{error}"
    );
    let (exit, ..) = bench.run("hello", &[]).await;
    assert_eq!(exit, Exit::Code(0));
    first.kill();
    soon(first.wait()).await;
    bench.empty().await;
    // It could never be run, so nobody waits for its turn.
    let module = of_memories(&bench, 91).await;
    let error = bench.engine.start(&module, spec).await.unwrap_err();
    assert!(
        matches!(
            error,
            StartError::TooManyMemories {
                memories: 91,
                limit: 90
            }
        ),
        "{error}"
    );
}

/// The handler of other tests with so many memories beside its own.
async fn handler_of_memories(
    bench: &Bench,
    more: usize,
    change: impl FnOnce(&mut ContainerSpec),
) -> Container {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/http-handler.wat");
    let text = std::fs::read_to_string(path).unwrap();
    let begin = "(component $handler";
    let more = "(memory 0 1)".repeat(more);
    let more = format!("{begin} (core module $more {more}) (core instance (instantiate $more))");
    let bytes = wat::parse_str(text.replacen(begin, &more, 1)).unwrap();
    let file = module_file(bench.dir.path(), "many", &bytes);
    let module = bench.engine.load(&file).await.unwrap();
    let sink = Collected::new();
    let mut spec = ContainerSpec::new("many", sink.clone(), sink);
    listen_locally(&mut spec);
    change(&mut spec);
    bench.engine.start(&module, spec).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_needs_many_places_keeps_none_while_it_waits() {
    let bench = Bench::with(|config| config.max_instances = 12);
    let neighbour = bench.neighbour().await;
    let sleeping = bench.start("sleep", &[]).await;
    // It needs the place of the other one, too.
    let many = handler_of_memories(&bench, 11, |_| {}).await;
    let request = tokio::spawn(get(many.addresses()[0], "/"));
    for _ in 0..50 {
        neighbour.is_healthy().await;
    }
    assert!(!request.is_finished());
    sleeping.container.kill();
    let (status, _) = soon(request).await.unwrap();
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_needs_several_places_has_its_turn() {
    let bench = Bench::with(|config| config.max_instances = 4);
    let neighbour = bench
        .start_with("p3-http-handler", &[], listen_locally)
        .await;
    let addr = neighbour.addr();
    // There is always somebody who waits for the next place.
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        clients.spawn(async move { while let (StatusCode::OK, _) = get(addr, "/p").await {} });
    }
    until(|| bench.engine.stats().instances == 4).await;
    let many = handler_of_memories(&bench, 2, |_| {}).await;
    let (status, _) = soon(get(many.addresses()[0], "/")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(clients.try_join_next().is_none(), "a request failed");
    clients.shutdown().await;
    bench.empty().await;
    // While one waits for what takes long, others go on.
    let long = tokio::spawn(get(addr, "/i"));
    until(|| bench.engine.stats().instances == 1).await;
    let all = handler_of_memories(&bench, 3, |_| {}).await;
    let request = tokio::spawn(get(all.addresses()[0], "/"));
    for _ in 0..50 {
        neighbour.is_healthy().await;
    }
    assert!(!request.is_finished());
    long.abort();
    let (status, _) = soon(request).await.unwrap();
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_of_many_memories_takes_no_more_places_than_any_other() {
    let bench = Bench::with(|config| config.max_instances = 30);
    let neighbour = bench.neighbour().await;
    let few = |spec: &mut ContainerSpec| spec.http.max_requests = 5;
    let many = handler_of_memories(&bench, 1, few).await;
    let requests: Vec<_> = (0..5)
        .map(|_| tokio::spawn(get(many.addresses()[0], "/i")))
        .collect();
    until(|| bench.engine.stats().instances >= 4).await;
    for _ in 0..50 {
        neighbour.is_healthy().await;
    }
    until(|| bench.engine.stats().instances == 4).await;
    for request in requests {
        request.abort();
    }
    bench.empty().await;
    let requests = (0..20).map(|_| get(many.addresses()[0], "/"));
    for (status, _) in soon(futures::future::join_all(requests)).await {
        assert_eq!(status, StatusCode::OK);
    }
}
