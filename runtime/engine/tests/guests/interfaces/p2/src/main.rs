//! Calls the functions of WASI 0.2 and checks what comes back. Its first argument says which: `environment`, `exit CODE`,
//! `exit-ok`, `exit-err`, `clocks`, `random`, `streams`, `files`, `sockets`, `http AUTHORITY CUT` (of `../p2-handler`, and
//! of a server that ends in the middle of a body).
//! A check that fails says so and ends the guest with its own number.

#[path = "../../check.rs"]
mod check;
mod environment;
mod files;
mod http;
mod sockets;
mod streams;
mod time;

use wasip2::cli::exit::{exit, exit_with_code};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["environment", ..] => environment::run(),
        ["exit", code] => exit_with_code(code.parse().expect("a code")),
        ["exit-ok"] => exit(Ok(())),
        ["exit-err"] => exit(Err(())),
        ["clocks"] => time::clocks(),
        ["random"] => time::random(),
        ["streams"] => streams::run(),
        ["files"] => files::run(),
        ["sockets"] => sockets::run(),
        ["http", authority, cut] => http::run(authority, cut),
        _ => panic!("unknown group {words:?}"),
    }
}
