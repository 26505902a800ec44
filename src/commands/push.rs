//! `sampan push`: a module or a folder into the cluster's own registry.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use sampan_image::{Artifact, RunConfig, rootfs_image, wasm_artifact};

use crate::cli::PushArgs;
use crate::registry_client::{self, ImageName, MAX_MODULE_BYTES};

pub(crate) async fn run(args: PushArgs) -> anyhow::Result<ExitCode> {
    let image = ImageName::parse(&args.image)?;
    let (artifact, layer) = match args.module.is_dir() {
        true => folder(&args)?,
        false => module(&args)?,
    };
    let client = args.connect.client().await?;
    let bytes = layer.len();
    registry_client::push_artifact(&client, &artifact, layer, &image).await?;
    println!("pushed {image} ({bytes} bytes)");
    println!("{}", artifact.manifest_digest);
    Ok(ExitCode::SUCCESS)
}

fn module(args: &PushArgs) -> anyhow::Result<(Artifact, Vec<u8>)> {
    let words = args.entrypoint.len() + args.cmd.len() + args.env.len() + args.workdir.len();
    if words > 0 {
        bail!(
            "--entrypoint, --cmd, --env and --workdir are for a folder: a module is run as the pod says"
        );
    }
    let module = registry_client::read_module(&args.module)?;
    Ok((wasm_artifact(&module)?, module))
}

fn folder(args: &PushArgs) -> anyhow::Result<(Artifact, Vec<u8>)> {
    let run = RunConfig {
        entrypoint: args.entrypoint.clone(),
        cmd: args.cmd.clone(),
        env: args
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        working_dir: args.workdir.clone(),
        user: String::new(),
    };
    let folder: &Path = &args.module;
    let packed = rootfs_image(folder, &run, MAX_MODULE_BYTES)?;
    Ok((packed.artifact, packed.layer.to_vec()))
}
