//! Guests that can see that they should end.

use crate::support::{Bench, soon};
use sampan_engine::Exit;

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_waits_for_signals_ends_by_itself() {
    let bench = Bench::new();
    let waiting = bench.start("signal-wait", &[]).await;
    waiting.stdout.contains("waiting").await;
    waiting.container.terminate();
    assert_eq!(soon(waiting.container.wait()).await, Exit::Code(15));
    assert_eq!(waiting.stdout.text(), "waiting\ngoodbye\n");
    for (guest, code) in [("signal-spin", 0), ("signal-p2", 0), ("signal-p3", 0)] {
        let running = bench.start(guest, &[]).await;
        running.container.terminate();
        assert_eq!(
            soon(running.container.wait()).await,
            Exit::Code(code),
            "{guest}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_is_the_one_that_was_asked_for() {
    let bench = Bench::new();
    let start = bench.start_with("signal-wait", &[], |spec| spec.stop_signal = 10);
    let waiting = start.await;
    waiting.stdout.contains("waiting").await;
    waiting.container.terminate();
    assert_eq!(soon(waiting.container.wait()).await, Exit::Code(10));
    for (guest, signal) in [("sleep", 10), ("sleep", 9), ("signal-deaf", 9)] {
        let running = bench
            .start_with(guest, &[], |spec| spec.stop_signal = signal)
            .await;
        running.container.terminate();
        let exit = soon(running.container.wait()).await;
        assert_eq!(exit, Exit::Signal(signal), "{guest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_reads_its_input_sees_the_end_of_it() {
    let bench = Bench::new();
    let start = bench.start_with("signal-stdin", &[], |spec| spec.open_stdin = true);
    let reading = start.await;
    reading.stdout.contains("waiting").await;
    // It is told before it has looked, or after; a guest that has not looked yet is ended.
    crate::support::until(|| reading.container.observes_signals()).await;
    reading.container.terminate();
    assert_eq!(soon(reading.container.wait()).await, Exit::Code(4));
    let (exit, ..) = bench.run("signal-stdin", &[]).await;
    assert_eq!(exit, Exit::Code(4), "without, it is at its end");
    let start = bench.start_with("stdin", &[], |spec| spec.open_stdin = true);
    let reading = start.await;
    crate::support::until(|| reading.container.observes_signals()).await;
    reading.container.terminate();
    assert_eq!(soon(reading.container.wait()).await, Exit::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_look_is_killed_in_the_end() {
    let bench = Bench::new();
    let deaf = bench.start("signal-deaf", &[]).await;
    deaf.container.terminate();
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), deaf.container.wait());
    assert!(more.await.is_err(), "it goes on");
    deaf.container.kill();
    assert_eq!(soon(deaf.container.wait()).await, Exit::Signal(9));
    let start = bench.start_with("sleep", &[], |spec| spec.open_stdin = true);
    let sleeping = start.await;
    sleeping.stdout.contains("asleep").await;
    sleeping.container.terminate();
    let exit = soon(sleeping.container.wait()).await;
    assert_eq!(exit, Exit::Signal(15), "it never looked at its input");
}
