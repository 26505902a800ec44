//! How a container ended, and the reading of a guest's error as one of these ends.

use wasmtime::{Trap, WasmBacktrace};

/// Frames of a trap's backtrace that are reported.
const MAX_FRAMES: usize = 8;

/// Longest message of a trap, in bytes.
const MAX_MESSAGE: usize = 2_048;

/// Longest name of a function in it.
const MAX_NAME: usize = 200;

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The guest returned or called exit with this code.
    Code(i32),
    /// The guest did something Wasm forbids: unreachable, out-of-bounds access, stack overflow...
    Trap {
        /// The reason and the innermost frames.
        message: String,
    },
    /// The guest wanted more memory than its limit and could not go on.
    OutOfMemory,
    /// The container was ended from outside: 9 for kill, else the signal of its specification.
    Signal(i32),
    /// The guest never ran, or the engine could not go on running it.
    Failed {
        /// What went wrong.
        message: String,
    },
}

impl Exit {
    /// The exit code a process with the same fate would have: 134 for a trap (SIGABRT), 137 for out of memory
    /// (SIGKILL), 128 + n for a signal, 128 for a guest that could not be run.
    pub fn code(&self) -> i32 {
        match self {
            Exit::Code(code) => *code,
            Exit::Trap { .. } => 134,
            Exit::OutOfMemory => 137,
            Exit::Signal(signal) => 128 + signal,
            Exit::Failed { .. } => 128,
        }
    }
}

/// Reads the error a guest's call ended with. `denied` tells that the guest was refused memory before.
pub(crate) fn from_error(error: &wasmtime::Error, denied: bool) -> Exit {
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        // Of what a process exits with the system tells the lowest byte.
        return match exit.0 & 0xff {
            0 => Exit::Code(0),
            _ if denied => Exit::OutOfMemory,
            code => Exit::Code(code),
        };
    }
    if denied {
        Exit::OutOfMemory
    } else {
        Exit::Trap {
            message: trap_message(error),
        }
    }
}

/// The reason of a trap and its innermost frames, without addresses.
pub(crate) fn trap_message(error: &wasmtime::Error) -> String {
    let mut message = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        for frame in backtrace.frames().iter().take(MAX_FRAMES) {
            let function = match frame.func_name() {
                Some(name) => readable(name),
                None => format!("function {}", frame.func_index()),
            };
            message.push_str("\n  at ");
            message.push_str(&function);
        }
        if backtrace.frames().len() > MAX_FRAMES {
            message.push_str("\n  ...");
        }
    }
    truncate(&mut message, MAX_MESSAGE);
    message
}

/// A function's name as its author wrote it, where the compiler mangled it, and not at any length.
fn readable(name: &str) -> String {
    let mut name = match rustc_demangle::try_demangle(name) {
        // Without the hash at its end.
        Ok(demangled) => format!("{demangled:#}"),
        Err(_) => name.to_owned(),
    };
    truncate(&mut name, MAX_NAME);
    name
}

/// Shortens to at most `limit` bytes without cutting a character in two.
pub(crate) fn truncate(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = (0..=limit)
            .rev()
            .find(|&i| text.is_char_boundary(i))
            .unwrap_or(0);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_shell() {
        let cases = [
            (Exit::Code(0), 0),
            (Exit::Code(42), 42),
            (Exit::Code(255), 255),
            (
                Exit::Trap {
                    message: String::new(),
                },
                134,
            ),
            (Exit::OutOfMemory, 137),
            (Exit::Signal(15), 143),
            (Exit::Signal(9), 137),
        ];
        for (exit, code) in cases {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn only_the_lowest_byte_of_an_exit_code_is_told() {
        for (given, told) in [(0, 0), (3, 3), (255, 255), (256, 0), (259, 3), (-1, 255)] {
            let error = wasmtime::Error::from(wasmtime_wasi::I32Exit(given));
            assert_eq!(from_error(&error, false).code(), told, "{given}");
        }
    }

    #[test]
    fn names_are_told_as_they_were_written() {
        let cases = [
            ("main", "main"),
            (
                "_ZN4core9panicking9panic_fmt17h0123456789abcdefE",
                "core::panicking::panic_fmt",
            ),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("$wasm.func-1", "$wasm.func-1"),
        ];
        for (mangled, expected) in cases {
            assert_eq!(readable(mangled), expected);
        }
        assert_eq!(readable(&"x".repeat(10_000)).len(), MAX_NAME);
    }

    #[test]
    fn truncation_keeps_characters_whole() {
        let mut text = "aé".to_owned();
        truncate(&mut text, 2);
        assert_eq!(text, "a");
    }
}
