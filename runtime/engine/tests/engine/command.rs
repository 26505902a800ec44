//! Commands: output, arguments, exit codes, traps.

use crate::support::{Bench, Collected, soon};
use futures::FutureExt;
use sampan_engine::{ContainerSpec, Exit, Workload};

#[tokio::test(flavor = "multi_thread")]
async fn hello_prints_and_ends() {
    let bench = Bench::new();
    let module = bench.load("hello").await;
    assert_eq!(module.workload(), Workload::Command);
    assert_eq!(module.imports(), ["wasi_snapshot_preview1.fd_write"]);
    let (exit, stdout, stderr) = bench.run("hello", &[]).await;
    assert_eq!(
        (exit, stdout.as_str(), stderr.as_str()),
        (Exit::Code(0), "hello\n", "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_command_ends_where_it_is_started_and_a_long_one_goes_on_elsewhere() {
    let bench = Bench::new();
    // Even a short one is held up by a machine that has much else to do, but not each time.
    for (guest, is_short, tries) in [("hello", true, 20), ("sleep", false, 1), ("spin", false, 1)] {
        let module = bench.load(guest).await;
        let mut at_once = false;
        for _ in 0..tries {
            let sink = Collected::new();
            let spec = ContainerSpec::new(guest, sink.clone(), sink);
            let container = bench.engine.start(&module, spec).await.unwrap();
            let ended = container.wait().now_or_never();
            at_once |= ended == Some(Exit::Code(0));
            container.kill();
            soon(container.wait()).await;
        }
        assert_eq!(at_once, is_short, "{guest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_arrive_as_they_are() {
    let bench = Bench::new();
    for code in [0, 1, 42, 125, 126, 127, 137, 255, 1000] {
        let (exit, _, stderr) = bench.run("exit", &[&code.to_string()]).await;
        // The lowest byte, as of a process.
        assert_eq!((exit, stderr.as_str()), (Exit::Code(code & 0xff), ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_environment_are_the_specifications_alone() {
    let bench = Bench::new();
    let (exit, stdout, _) = bench
        .run_with("args-env", &["--flag", "two words", ""], |spec| {
            spec.env = vec![
                ("NAME".to_owned(), "value".to_owned()),
                ("EMPTY".to_owned(), String::new()),
                ("EQUALS".to_owned(), "a=b".to_owned()),
            ];
        })
        .await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(
        stdout,
        "args-env\0--flag\0two words\0\0NAME=value\0EMPTY=\0EQUALS=a=b\0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_empty() {
    let bench = Bench::new();
    let (exit, ..) = bench.run("stdin", &[]).await;
    assert_eq!(exit, Exit::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_tells_its_reason_and_place() {
    let bench = Bench::new();
    let (exit, _, stderr) = bench.run("trap", &[]).await;
    assert_eq!(exit.code(), 134);
    let Exit::Trap { message } = exit else {
        panic!("{exit:?}")
    };
    assert!(message.contains("integer divide by zero"), "{message}");
    assert!(message.contains("divide_everything"), "{message}");
    assert_eq!(stderr, format!("{message}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_recursion_is_a_trap() {
    let bench = Bench::new();
    let neighbour = bench.neighbour().await;
    let (exit, ..) = bench.run("recurse", &[]).await;
    let Exit::Trap { message } = exit else {
        panic!("{exit:?}")
    };
    assert!(message.contains("call stack exhausted"), "{message}");
    neighbour.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_commands_run() {
    let bench = Bench::new();
    let module = bench.load("p2-command").await;
    assert_eq!(module.workload(), Workload::Command);
    let cases: [(&[&str], Exit); 3] = [
        (&[], Exit::Code(0)),
        (&["fail"], Exit::Code(1)),
        (&["exit", "with code"], Exit::Code(42)),
    ];
    for (args, expected) in cases {
        let (exit, stdout, _) = bench.run("p2-command", args).await;
        assert_eq!((exit, stdout.as_str()), (expected, "hello from p2\n"));
    }
    let (exit, ..) = bench.run("p2-command", &["a", "b", "c"]).await;
    assert!(matches!(exit, Exit::Trap { .. }), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_wait_and_late_ones_hear_the_same() {
    let bench = Bench::new();
    let running = bench.start("exit", &["7"]).await;
    let (one, other) = (running.container.clone(), running.container.clone());
    let (one, other) = tokio::join!(one.wait(), other.wait());
    assert_eq!((one, other), (Exit::Code(7), Exit::Code(7)));
    assert_eq!(running.container.wait().await, Exit::Code(7));
}
