//! `wasi:cli`: environment, standard streams, terminals.

use crate::check::{equal, holds, ok};
use wasip3::cli::{environment, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout};
use wasip3::wit_stream;

pub async fn run() {
    equal(&environment::get_arguments()[1..], ["environment", "two words"]);
    let variables = environment::get_environment();
    equal(variables, [("NAME".to_string(), "a=b".to_string()), ("EMPTY".to_string(), String::new())]);
    equal(environment::get_initial_cwd(), None);

    holds(terminal_stdin::get_terminal_stdin().is_none());
    holds(terminal_stdout::get_terminal_stdout().is_none());
    holds(terminal_stderr::get_terminal_stderr().is_none());

    let (input, read) = stdin::read_via_stream();
    equal(input.collect().await, b"");
    ok(read.await);
    let (mut text, stream) = wit_stream::new();
    let written = stdout::write_via_stream(stream);
    equal(text.write_all(b"to stdout\n".to_vec()).await, b"");
    drop(text);
    ok(written.await);
    let (mut text, stream) = wit_stream::new();
    let written = stderr::write_via_stream(stream);
    equal(text.write_all(b"to stderr\n".to_vec()).await, b"");
    drop(text);
    ok(written.await);
}
