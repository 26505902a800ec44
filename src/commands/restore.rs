//! `sampan restore`: a data folder out of a backup.

use std::process::ExitCode;

use anyhow::bail;

use crate::cli::RestoreArgs;
use crate::commands::DATA_DIR_NAME;
use crate::data_dir;
use crate::signals;

pub(crate) async fn run(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let data = match args.data_dir {
        Some(path) => path,
        None => data_dir::default_path(DATA_DIR_NAME)?,
    };
    let shutdown = signals::shutdown_token()?;
    let layout = data_dir::layout();
    let restored = tokio::select! {
        restored = sampan_backup::restore(&args.file, &layout, &data) => restored?,
        () = shutdown.cancelled() => bail!("stopped; nothing was restored"),
    };
    let manifest = restored.manifest;
    println!(
        "Restored {} objects of {} to {}. Revisions go on above {}: every watch starts anew.",
        manifest.objects(),
        manifest.created,
        data.display(),
        restored.revision,
    );
    println!("Start it with  sampan up --data-dir {}", data.display());
    Ok(ExitCode::SUCCESS)
}
