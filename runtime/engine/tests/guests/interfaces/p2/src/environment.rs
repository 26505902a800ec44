//! `wasi:cli`: environment, standard streams, terminals.

use crate::check::{equal, holds, ok};
use wasip2::cli::{
    environment, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use wasip2::io::streams::StreamError;

pub fn run() {
    equal(&environment::get_arguments()[1..], ["environment", "two words"]);
    let variables = environment::get_environment();
    equal(variables, [("NAME".to_string(), "a=b".to_string()), ("EMPTY".to_string(), String::new())]);
    equal(environment::initial_cwd(), None);

    holds(terminal_stdin::get_terminal_stdin().is_none());
    holds(terminal_stdout::get_terminal_stdout().is_none());
    holds(terminal_stderr::get_terminal_stderr().is_none());

    holds(matches!(stdin::get_stdin().blocking_read(1), Err(StreamError::Closed)));
    ok(stdout::get_stdout().blocking_write_and_flush(b"to stdout\n"));
    ok(stderr::get_stderr().blocking_write_and_flush(b"to stderr\n"));
}
