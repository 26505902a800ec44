//! Exported functions as containers.

use crate::support::{Bench, soon};
use sampan_engine::{ContainerSpec, Entry, Exit, LoadError, StartError, Workload};

async fn call(bench: &Bench, guest: &str, function: &str, args: &[&str]) -> (Exit, String, String) {
    let function = Entry::Function(function.to_owned());
    let entry = |spec: &mut ContainerSpec| spec.entry = function;
    bench.run_with(guest, args, entry).await
}

/// A function and its arguments; the exit code, what is printed, and what standard error has to contain.
type Case<'a> = ((&'a str, &'a [&'a str]), (i32, &'a str, &'a str));

/// Expects a code and what is printed. What goes to standard error has to contain `stderr`.
async fn check(
    bench: &Bench,
    guest: &str,
    (function, args): (&str, &[&str]),
    (code, stdout, stderr): (i32, &str, &str),
) {
    let (exit, out, err) = call(bench, guest, function, args).await;
    assert_eq!(
        (exit.code(), out.as_str()),
        (code, stdout),
        "{function} {args:?}: {err}"
    );
    assert!(err.contains(stderr), "{function} {args:?}: {err:?}");
    assert_eq!(
        err.is_empty(),
        stderr.is_empty(),
        "{function} {args:?}: {err:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_core_modules_take_and_give_numbers() {
    let bench = Bench::new();
    let module = bench.load("functions").await;
    assert_eq!(module.workload(), Workload::Function);
    let cases: &[Case] = &[
        (("add", &["2", "40"]), (0, "42\n", "")),
        (("add", &["-1", "4294967295"]), (0, "-2\n", "")),
        (("ready", &[]), (0, "40\n", "")),
        (("half", &["5"]), (0, "2.5\n5\n", "")),
        (("print", &[]), (0, "called\n0\n", "")),
        (("exit", &["7"]), (7, "", "")),
        (("divide", &["1", "0"]), (134, "", "divide by zero")),
        (
            ("add", &["2"]),
            (
                2,
                "",
                "add: 1 arguments given, the function takes 2 (i32, i32)",
            ),
        ),
        (
            ("add", &["2", "x"]),
            (2, "", "argument 2 is \"x\", which is no i32"),
        ),
        (("ready", &["1"]), (2, "", "takes none")),
    ];
    for (called, expected) in cases {
        check(&bench, "functions", *called, *expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_components_take_and_give_values() {
    let bench = Bench::new();
    let cases: &[Case] = &[
        (("add", &["2", "-3"]), (0, "-1\n", "")),
        (("same-list", &["[1, 2, 255]"]), (0, "[1, 2, 255]\n", "")),
        (
            ("test:functions/strings@1.2.0#same", &["two words"]),
            (0, "two words\n", ""),
        ),
        (("same", &["\"quoted\""]), (0, "\"quoted\"\n", "")),
        (("small", &["9"]), (0, "9\n", "")),
        (("small", &["10"]), (1, "", "too big")),
        (("later", &["5"]), (0, "5\n", "")),
        (("add", &["2"]), (2, "", "takes 2 (a: s32, b: s32)")),
        (
            ("same-list", &["[1, 256]"]),
            (2, "", "argument 1 is \"[1, 256]\", which is no list<u8>"),
        ),
    ];
    for (called, expected) in cases {
        check(&bench, "component-functions", *called, *expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_does_not_export_is_refused_before_it_starts() {
    let bench = Bench::new();
    let function = |name: &str| Entry::Function(name.to_owned());
    let cases = [
        (
            "functions",
            function("sub"),
            "none of a function sub; its exports: _initialize, add",
        ),
        (
            "functions",
            Entry::Exported,
            "no function was named; its exports: _initialize",
        ),
        ("functions", Entry::Command, "none of _start"),
        ("functions", function("memory"), "a function memory"),
        (
            "hello",
            Entry::Http,
            "none of wasi:http/incoming-handler@0.2 and wasi:http/handler@0.3",
        ),
        (
            "component-functions",
            function("missing"),
            "test:functions/strings@1.2.0",
        ),
        ("component-functions", function("a#b#c"), "a function a#b#c"),
    ];
    for (guest, entry, expected) in cases {
        let module = bench.load(guest).await;
        let error = module.check(&entry).unwrap_err();
        assert!(
            error.to_string().contains(expected),
            "{guest} {entry:?}: {error}"
        );
        let sink = crate::support::Collected::new();
        let mut spec = ContainerSpec::new(guest, sink.clone(), sink);
        spec.entry = entry;
        let error = bench.engine.start(&module, spec).await.unwrap_err();
        let refused = matches!(
            &error,
            StartError::Entry(LoadError::NotExported { .. } | LoadError::NoEntryPoint { .. })
        );
        assert!(refused, "{guest}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_can_be_ended() {
    let bench = Bench::new();
    let spinning = |spec: &mut ContainerSpec| spec.entry = Entry::Function("spin".to_owned());
    let running = bench.start_with("functions", &[], spinning).await;
    running.container.kill();
    assert_eq!(soon(running.container.wait()).await, Exit::Signal(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_called_by_its_name_as_well() {
    let bench = Bench::new();
    let (exit, stdout, _) = call(&bench, "hello", "_start", &[]).await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "hello\n"));
}
