//! Instances of handlers that answer more than one request.

use crate::pool::of_memories;
use crate::support::{Bench, Collected, Running, exchange, get, listen_locally, raw, soon, until};
use http::{Request, StatusCode};
use http_body_util::Full;
use sampan_engine::{ContainerSpec, Exit, Reuse, StartError};
use std::time::Duration;

/// A guest of 0.2 and one of 0.3 that do the same.
const GUESTS: [&str; 2] = ["http-handler", "p3-http-handler"];

const LONG: Duration = Duration::from_secs(3_600);

async fn handler(
    bench: &Bench,
    guest: &str,
    reuse: Reuse,
    change: impl FnOnce(&mut ContainerSpec),
) -> Running {
    let reusing = |spec: &mut ContainerSpec| {
        listen_locally(spec);
        spec.http.reuse = Some(reuse);
        change(spec);
    };
    bench.start_with(guest, &[], reusing).await
}

fn reuse(max_requests: u32, idle_timeout: Duration) -> Reuse {
    Reuse {
        max_requests,
        max_concurrent: 1,
        idle_timeout,
    }
}

/// How many requests the instance that answers was given, this one included.
async fn count(handler: &Running) -> u32 {
    let (status, body) = soon(get(handler.addr(), "/n")).await;
    assert_eq!(status, StatusCode::OK);
    let body = body.unwrap();
    assert_eq!(&body[1..], b" req\n");
    u32::from(body[0] - b'0')
}

/// Waits until the instances alive are so many, and none is at work: the last one is put back after its response.
async fn settled(bench: &Bench, instances: usize) {
    until(|| bench.engine.stats().instances == instances).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_answers_as_many_requests_as_it_may() {
    for guest in GUESTS {
        let bench = Bench::new();
        let handler = handler(&bench, guest, reuse(3, LONG), |_| {}).await;
        let mut counts = Vec::new();
        for _ in 0..7 {
            counts.push(count(&handler).await);
            // The response is there a moment before the instance is free again.
            let waiting = usize::from(counts.last() != Some(&3));
            until(|| handler.container.stats().waiting_instances == waiting).await;
        }
        assert_eq!(counts, [1, 2, 3, 1, 2, 3, 1], "{guest}");
        settled(&bench, 1).await;
        handler.container.terminate();
        assert_eq!(soon(handler.container.wait()).await, Exit::Code(0));
        settled(&bench, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_instance_is_ended() {
    for guest in GUESTS {
        let bench = Bench::new();
        let idle = Duration::from_millis(50);
        let handler = handler(&bench, guest, reuse(9, idle), |_| {}).await;
        assert_eq!(count(&handler).await, 1);
        settled(&bench, 0).await;
        assert_eq!(handler.container.stats().memory_bytes, 0);
        assert_eq!(count(&handler).await, 1, "a fresh one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_instance_answers_no_more() {
    for guest in GUESTS {
        let bench = Bench::new();
        let handler = handler(&bench, guest, reuse(9, LONG), |_| {}).await;
        assert_eq!(count(&handler).await, 1);
        until(|| handler.container.stats().waiting_instances == 1).await;
        let (status, _) = soon(get(handler.addr(), "/t")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        settled(&bench, 0).await;
        assert_eq!(count(&handler).await, 1, "{guest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_instances_give_way_to_the_memory_of_others() {
    for guest in GUESTS {
        let bench = Bench::new();
        // Room for three instances of 128 KiB, and for the responses they make.
        let small = |spec: &mut ContainerSpec| spec.memory_limit = Some(1 << 20);
        let handler = handler(&bench, guest, reuse(9, LONG), small).await;
        let requests = (0..3).map(|_| get(handler.addr(), "/"));
        for (status, _) in soon(futures::future::join_all(requests)).await {
            assert_eq!(status, StatusCode::OK);
        }
        until(|| {
            let waiting = handler.container.stats().waiting_instances;
            waiting > 0 && waiting == bench.engine.stats().instances
        })
        .await;
        // Takes all it can get, so that the others have to go.
        let (status, _) = soon(get(handler.addr(), "/m")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        settled(&bench, 0).await;
        assert_eq!(handler.container.stats().memory_bytes, 0);
        handler.is_healthy().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_short_requests_leave_behind_adds_up() {
    let bench = Bench::new();
    // Room for one instance of 128 KiB, for the response it makes, and for as much again behind its handles.
    let small = |spec: &mut ContainerSpec| spec.memory_limit = Some(512 << 10);
    let handler = handler(&bench, "http-handler", reuse(1_000, LONG), small).await;
    let long = "x".repeat(8 << 10);
    let mut most = 0;
    for _ in 0..200 {
        let request = Request::get("/k").header("x-long", &long);
        let request = request.body(Full::default()).unwrap();
        let answer = soon(exchange(handler.addr(), request)).await;
        // One that is measured while it answers may be refused or cut off, but not before others added up.
        let refused = match &answer {
            Ok((status, _)) => *status == StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => true,
        };
        let answered = matches!(answer, Ok((StatusCode::OK, _)));
        assert!(answered || refused && most > 256 << 10, "{answer:?} {most}");
        until(|| {
            let waiting = handler.container.stats().waiting_instances;
            waiting == bench.engine.stats().instances
        })
        .await;
        if most > 0 && bench.engine.stats().instances == 0 {
            assert!(most > 256 << 10, "{most}");
            return;
        }
        most = most.max(handler.container.stats().memory_bytes);
    }
    panic!("an instance that keeps all requests is kept: {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_instances_give_way_to_other_containers() {
    let bench = Bench::with(|config| config.max_instances = 1);
    let handler = handler(&bench, "http-handler", reuse(9, LONG), |_| {}).await;
    assert_eq!(count(&handler).await, 1);
    until(|| handler.container.stats().waiting_instances == 1).await;
    let (exit, ..) = bench.run("hello", &[]).await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(handler.container.stats().waiting_instances, 0);
    assert_eq!(count(&handler).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_does_not_wait_for_requests_while_others_wait_for_its_place() {
    let bench = Bench::with(|config| config.max_instances = 1);
    let handler = handler(&bench, "p3-http-handler", reuse(9, LONG), |_| {}).await;
    let neighbour = bench.neighbour().await;
    let request = tokio::spawn(get(handler.addr(), "/p"));
    settled(&bench, 1).await;
    neighbour.is_healthy().await;
    let (status, _) = soon(request).await.unwrap();
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_goes_on_with_a_request_that_waits_for_its_place() {
    for max_concurrent in [1, 2] {
        let bench = Bench::with(|config| config.max_instances = 1);
        let reuse = Reuse {
            max_concurrent,
            ..reuse(3, LONG)
        };
        let handler = handler(&bench, GUESTS[1], reuse, |_| {}).await;
        let request = tokio::spawn(get(handler.addr(), "/p"));
        settled(&bench, 1).await;
        let mut counts = vec![count(&handler).await, count(&handler).await];
        assert!(soon(request).await.is_ok());
        counts.push(count(&handler).await);
        assert_eq!(counts, [2, 3, 1], "{max_concurrent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_instances_do_not_give_way_in_vain() {
    let bench = Bench::with(|config| config.max_instances = 3);
    let handler = handler(&bench, "http-handler", reuse(9, LONG), |_| {}).await;
    let _sleeping = bench.start("sleep", &[]).await;
    assert_eq!(count(&handler).await, 1);
    until(|| handler.container.stats().waiting_instances == 1).await;
    let sink = Collected::new();
    let spec = ContainerSpec::new("x", sink.clone(), sink);
    let module = of_memories(&bench, 3).await;
    let error = bench.engine.start(&module, spec.clone()).await.unwrap_err();
    assert!(matches!(error, StartError::TooManyInstances { .. }));
    assert_eq!(count(&handler).await, 2, "it would not have been enough");
    until(|| handler.container.stats().waiting_instances == 1).await;
    let module = of_memories(&bench, 2).await;
    let container = bench.engine.start(&module, spec).await.unwrap();
    assert_eq!(handler.container.stats().waiting_instances, 0);
    container.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_container_leaves_no_instance() {
    let bench = Bench::new();
    let handler = handler(&bench, "http-handler", reuse(9, LONG), |_| {}).await;
    assert_eq!(count(&handler).await, 1);
    until(|| handler.container.stats().waiting_instances == 1).await;
    handler.container.kill();
    assert_eq!(soon(handler.container.wait()).await, Exit::Signal(9));
    settled(&bench, 0).await;
}

/// Instances of 0.3 that answer several requests at once. With two threads, two are at work before one is shared.
async fn sharing(bench: &Bench, change: impl FnOnce(&mut ContainerSpec)) -> Running {
    let shared = Reuse {
        max_concurrent: 8,
        ..reuse(100, LONG)
    };
    handler(bench, "p3-http-handler", shared, change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_answers_requests_side_by_side() {
    let bench = Bench::new();
    let handler = sharing(&bench, |_| {}).await;
    let requests = (0..16).map(|_| get(handler.addr(), "/p"));
    for (status, body) in soon(futures::future::join_all(requests)).await {
        assert_eq!(
            (status, body.unwrap().as_ref()),
            (StatusCode::OK, &b"hello\n"[..])
        );
    }
    assert!(
        bench.engine.stats().instances <= 3,
        "{:?}",
        bench.engine.stats()
    );
    until(|| handler.container.stats().waiting_instances == bench.engine.stats().instances).await;
    assert!(count(&handler).await > 3, "it was given several of them");
    handler.container.terminate();
    assert_eq!(soon(handler.container.wait()).await, Exit::Code(0));
    settled(&bench, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_give_up_ends_with_its_instance() {
    let bench = Bench::new();
    let handler = sharing(&bench, |_| {}).await;
    for path in ["/i", "/s"] {
        let requests: Vec<_> = (0..4)
            .map(|_| tokio::spawn(get(handler.addr(), path)))
            .collect();
        until(|| bench.engine.stats().instances >= 2).await;
        for request in requests {
            request.abort();
        }
        settled(&bench, 0).await;
    }
    handler.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_instances_have_deadlines_and_fail_alone() {
    let bench = Bench::new();
    let handler = sharing(&bench, |spec| {
        spec.http.response_timeout = Duration::from_millis(300);
    })
    .await;
    for path in ["/i", "/s"] {
        let (status, _) = soon(get(handler.addr(), path)).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{path}");
        settled(&bench, 0).await;
    }
    let (status, _) = soon(get(handler.addr(), "/t")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let answer = soon(raw(handler.addr(), "/h")).await;
    assert!(
        !answer.ends_with("0\r\n\r\n"),
        "half a response does not look whole: {answer}"
    );
    settled(&bench, 0).await;
    handler.is_healthy().await;
    handler.container.kill();
    assert_eq!(soon(handler.container.wait()).await, Exit::Signal(9));
    settled(&bench, 0).await;
}
