//! `sampan push`: a module into the cluster's own registry.

use std::process::ExitCode;

use crate::cli::PushArgs;
use crate::registry_client::{self, ImageName};

pub(crate) async fn run(args: PushArgs) -> anyhow::Result<ExitCode> {
    let image = ImageName::parse(&args.image)?;
    let module = registry_client::read_module(&args.module)?;
    let client = args.connect.client().await?;
    let digest = registry_client::push(&client, &module, &image).await?;
    println!("pushed {image} ({} bytes)", module.len());
    println!("{digest}");
    Ok(ExitCode::SUCCESS)
}
