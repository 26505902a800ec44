//! One module per verb.

mod agent;
mod backup;
mod images;
mod push;
mod restore;
mod run;
mod server;
mod up;

use std::process::ExitCode;

use crate::cli::Command;

/// Name of the default data folder, inside the user's data folder.
pub(crate) const DATA_DIR_NAME: &str = "sampan";

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Server(args) => server::run(args).await,
        Command::Agent(args) => agent::run(args).await,
        Command::Push(args) => push::run(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Images(args) => images::run(args).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Restore(args) => restore::run(args).await,
    }
}
