//! `sampan images`: what the cluster's own registry holds, and freeing what it does not need.

use std::process::ExitCode;

use crate::cli::{ImagesAction, ImagesArgs, Output};
use crate::registry_client;

pub(crate) async fn run(args: ImagesArgs) -> anyhow::Result<ExitCode> {
    let client = args.connect.client().await?;
    if let Some(ImagesAction::Prune { older_than }) = args.action {
        let pruned = registry_client::prune(&client, older_than).await?;
        match args.output {
            Output::Json => println!("{}", serde_json::to_string_pretty(&pruned)?),
            Output::Table => println!(
                "pruned {} images: {} blobs, {} bytes",
                pruned.manifests, pruned.blobs, pruned.bytes
            ),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let images = registry_client::list(&client).await?;
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&images)?),
        Output::Table => {
            let width = images
                .iter()
                .map(|image| image.image.len())
                .max()
                .unwrap_or(0)
                .max(5);
            println!("{:width$}  {:12}  {:>10}", "IMAGE", "DIGEST", "SIZE");
            for image in images {
                let short: String = image
                    .digest
                    .trim_start_matches("sha256:")
                    .chars()
                    .take(12)
                    .collect();
                println!("{:width$}  {short:12}  {:>10}", image.image, image.size);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
