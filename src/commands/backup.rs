//! `sampan backup`: a cluster's state into one file.

use std::process::ExitCode;

use anyhow::bail;
use sampan_backup::Existing;

use crate::cli::BackupArgs;
use crate::commands::DATA_DIR_NAME;
use crate::data_dir;
use crate::signals;

/// The lowest priority but one: a server that runs beside it goes first.
const NICENESS: i32 = 10;

pub(crate) async fn run(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let data = match args.data_dir {
        Some(path) => path,
        None => data_dir::default_path(DATA_DIR_NAME)?,
    };
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the priority stays as it is");
    }
    let mut layout = data_dir::layout();
    if args.no_images {
        layout
            .folders
            .retain(|folder| !folder.ends_with(data_dir::REGISTRY));
    }
    let existing = if args.force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let shutdown = signals::shutdown_token()?;
    // What is half done goes with the work folder, which is dropped on the way out.
    let manifest = tokio::select! {
        written = sampan_backup::backup(&data, &layout, &args.file, existing) => written?,
        () = shutdown.cancelled() => bail!("stopped; no backup was written"),
    };
    let size = std::fs::metadata(&args.file).map_or(0, |metadata| metadata.len());
    println!(
        "Saved {} objects at revision {} of {} to {} ({size} bytes), and read them back.",
        manifest.objects(),
        manifest.revision,
        data.display(),
        args.file.display(),
    );
    Ok(ExitCode::SUCCESS)
}
