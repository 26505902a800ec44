//! Small WASI p1 programs as text, and the pods to run them in.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A program to run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Guest {
    /// Prints a line and exits.
    Hello,
    /// Exits with this code.
    Exit(i32),
    /// Sleeps for ever.
    Sleep,
    /// Computes for ever.
    Spin,
    /// Traps, in a function called `broken_on_purpose`.
    Trap,
    /// Waits to be asked to end, then exits with the signal's number.
    Graceful,
    /// Grows its memory and touches it until it cannot, then traps.
    Hog,
    /// Takes 24 MiB of memory, or traps if it cannot, and sleeps for ever.
    Hold,
    /// Asks for 24 MiB of memory until it has them, prints a line and sleeps for ever.
    Patient,
    /// Computes, and prints a line each time it has used about a third of a second of a processor.
    Laps,
    /// Prints without end.
    Flood,
    /// Asks a thousand times for what is not there, sockets of WASI p1, and exits with what it is told.
    NoSockets,
    /// Opens `/data` again and again until it cannot, then exits with 24.
    OpenFiles,
    /// Prints the file `who` of its first volume; exits with 2 if it cannot.
    ReadFile,
    /// Reads, writes, follows or fills the file of an absolute path, as its arguments say: see `files.wat`.
    Files,
    /// Imports what nobody offers.
    Stranger,
    /// Does not compile: its body does not type-check.
    Broken,
}

impl Guest {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase().replace(['(', ')'], "-")
    }

    /// The module, in a file of its own.
    pub(crate) fn write(self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("{}.wasm", self.name().trim_matches('-')));
        std::fs::write(&path, self.module()).expect("write");
        path
    }

    fn module(self) -> Vec<u8> {
        if let Guest::Broken = self {
            // A function that should return an i32 and returns nothing.
            let header = b"\0asm\x01\0\0\0";
            let sections = [
                &[1, 5, 1, 0x60, 0, 1, 0x7f][..],
                &[3, 2, 1, 0],
                &[7, 10, 1, 6, b'_', b's', b't', b'a', b'r', b't', 0, 0],
                &[10, 4, 1, 2, 0, 0x0b],
            ];
            return [&header[..], &sections.concat()].concat();
        }
        if let Guest::Files = self {
            return wat::parse_str(include_str!("files.wat")).expect("the guest's text is valid");
        }
        wat::parse_str(self.text()).expect("the guest's text is valid")
    }

    fn text(self) -> String {
        let body = match self {
            Guest::Hello => "(call $print (i32.const 100) (i32.const 12))".to_string(),
            Guest::Exit(code) => format!("(call $proc_exit (i32.const {code}))"),
            Guest::Sleep => sleep(),
            Guest::Spin => "(loop $again (br $again))".to_string(),
            Guest::Trap => "(call $broken_on_purpose)".to_string(),
            Guest::Graceful => "(call $proc_exit (call $wait (i64.const -1)))".to_string(),
            Guest::Hog => HOG.to_string(),
            Guest::Hold => format!("{HOLD} {}", sleep()),
            Guest::Patient => format!("{} {PATIENT} {}", timer(100_000_000), sleep()),
            Guest::Laps => LAPS.to_string(),
            Guest::Flood => {
                "(loop $again (call $print (i32.const 100) (i32.const 12)) (br $again))".to_string()
            }
            Guest::NoSockets => NO_SOCKETS.to_string(),
            Guest::OpenFiles => OPEN_FILES.to_string(),
            Guest::ReadFile => READ_FILE.to_string(),
            Guest::Stranger => "(call $nothing)".to_string(),
            Guest::Files | Guest::Broken => String::new(),
        };
        let own = match self {
            Guest::Trap => "(func $broken_on_purpose unreachable)",
            Guest::Graceful => {
                r#"(import "sampan_signal" "wait" (func $wait (param i64) (result i32)))"#
            }
            Guest::NoSockets => {
                r#"(import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
                   (global $left (mut i32) (i32.const 1000))"#
            }
            Guest::Stranger => r#"(import "nowhere" "nothing" (func $nothing))"#,
            _ => "",
        };
        format!("(module {IMPORTS} {own} {COMMON} (func (export \"_start\") {body}))")
    }
}

const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
"#;

const COMMON: &str = r#"
    (memory (export "memory") 2)
    (data (i32.const 100) "hello guest\n")
    (data (i32.const 200) ".")
    (data (i32.const 300) "who")
    (func $print (param $at i32) (param $length i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $length))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
"#;

/// One subscription to the monotonic clock, so far away.
fn timer(nanoseconds: i64) -> String {
    format!(
        r#"
    (i64.store (i32.const 1000) (i64.const 0))
    (i32.store8 (i32.const 1008) (i32.const 0))
    (i32.store (i32.const 1016) (i32.const 1))
    (i64.store (i32.const 1024) (i64.const {nanoseconds}))
    (i64.store (i32.const 1032) (i64.const 0))
    (i32.store16 (i32.const 1040) (i32.const 0))
"#
    )
}

/// An hour, for ever.
fn sleep() -> String {
    let hour = timer(3_600_000_000_000);
    format!(
        "{hour} (loop $again
            (drop (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000)))
            (br $again))"
    )
}

const HOG: &str = r#"
    (loop $again
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (memory.fill (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1048576))
            (i32.const 1) (i32.const 1048576))
        (br $again))
"#;

const HOLD: &str = "(if (i32.eq (memory.grow (i32.const 384)) (i32.const -1)) (then unreachable))";

/// Between two questions it waits for the timer.
const PATIENT: &str = r#"
    (loop $ask
        (if (i32.eq (memory.grow (i32.const 384)) (i32.const -1)) (then
            (drop (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000)))
            (br $ask))))
    (call $print (i32.const 100) (i32.const 12))
"#;

const LAPS: &str = r#"
    (local $left i64)
    (loop $again
        (local.set $left (i64.const 800000000))
        (loop $compute
            (local.set $left (i64.sub (local.get $left) (i64.const 1)))
            (br_if $compute (i64.ne (local.get $left) (i64.const 0))))
        (call $print (i32.const 100) (i32.const 12))
        (br $again))
"#;

const NO_SOCKETS: &str = r#"
    (loop $again
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
        (drop (call $shutdown (i32.const 1) (i32.const 3)))
        (br_if $again (global.get $left)))
    (call $proc_exit (call $shutdown (i32.const 1) (i32.const 3)))
"#;

const OPEN_FILES: &str = r#"
    (loop $again
        (br_if $again (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 200) (i32.const 1)
            (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)))))
    (call $proc_exit (i32.const 24))
"#;

/// Follows links, as kubelet's layout of these volumes needs; reads up to 100 bytes.
const READ_FILE: &str = r#"
    (if (call $path_open (i32.const 3) (i32.const 1) (i32.const 300) (i32.const 3)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16))
        (then (call $proc_exit (i32.const 2))))
    (i32.store (i32.const 0) (i32.const 400))
    (i32.store (i32.const 4) (i32.const 100))
    (if (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (call $proc_exit (i32.const 2))))
    (call $print (i32.const 400) (i32.load (i32.const 8)))
"#;

/// A pod of one container, as text for `kubectl apply`.
#[derive(Debug, Clone)]
pub(crate) struct PodSpec(Value);

impl PodSpec {
    pub(crate) fn new(name: &str, image: &str) -> Self {
        Self(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": image}],
            },
        }))
    }

    /// Sets a field, by JSON pointer.
    pub(crate) fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self.0.pointer_mut(parent).expect("the parent exists");
        parent[key] = value;
        self
    }

    pub(crate) fn container(self, field: &str, value: Value) -> Self {
        self.with(&format!("/spec/containers/0/{field}"), value)
    }

    pub(crate) fn json(&self) -> &Value {
        &self.0
    }
}

impl std::fmt::Display for PodSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
