//! Calls the functions of WASI 0.3 and checks what comes back. Its first argument says which, as for `../p2`.

#[path = "../../check.rs"]
mod check;
mod environment;
mod files;
mod http;
mod sockets;
mod time;

use wasip3::cli::environment::get_arguments;
use wasip3::cli::exit::{exit, exit_with_code};

wasip3::cli::command::export!(Guest);

struct Guest;

impl wasip3::exports::cli::run::Guest for Guest {
    async fn run() -> Result<(), ()> {
        let args = get_arguments();
        let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
        match words[..] {
            ["environment", ..] => environment::run().await,
            ["exit", code] => exit_with_code(code.parse().expect("a code")),
            ["exit-ok"] => exit(Ok(())),
            ["exit-err"] => exit(Err(())),
            ["clocks"] => time::clocks().await,
            ["random"] => time::random(),
            ["files"] => files::run().await,
            ["sockets"] => sockets::run().await,
            ["http", authority, cut] => http::run(authority, cut).await,
            _ => panic!("unknown group {words:?}"),
        }
        Ok(())
    }
}
