//! Finds the `.proto` text of k8s-rs-pb.
//!
//! The crate is a dependency of this package for no platform at all: Cargo.lock pins and checks
//! it, nothing compiles it, and so an ordinary build may not have downloaded it. Asking cargo
//! about a throw-away package that depends on nothing else, under our own Cargo.lock, finds it
//! or fetches it without fetching what other platforms need.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Result;

const CRATE: &str = "k8s-rs-pb";
/// Must equal the version in Cargo.toml.
const VERSION: &str = "0.5.0";
/// The newest Kubernetes version whose `.proto` files the crate has.
const FOLDER: &str = "src/v1_35";

/// The folder below which the packages' `generated.proto` files lie.
pub(crate) fn proto_root(out: &Path) -> Result<PathBuf> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR")?);
    let probe = probe_package(&package, &out.join("locate"))?;
    // Online only when it must be: builds of downloaded sources need no network.
    let metadata = metadata(&package, &probe, &["--offline"])
        .or_else(|_| metadata(&package, &probe, &[]))
        .map_err(|error| format!("cargo metadata does not find {CRATE} {VERSION}: {error}"))?;
    let root = crate_folder(&metadata)
        .ok_or_else(|| format!("cargo metadata does not name the folder of {CRATE} {VERSION}"))?
        .join(FOLDER);
    if root.is_dir() {
        Ok(root)
    } else {
        Err(format!("{} does not exist", root.display()))
    }
}

/// A package that depends on the crate alone, with our lock file beside it.
fn probe_package(package: &Path, folder: &Path) -> Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    let failed = |error| format!("writing {}: {error}", manifest.display());
    fs::create_dir_all(folder.join("src")).map_err(failed)?;
    fs::write(folder.join("src/lib.rs"), "").map_err(failed)?;
    let text = format!(
        "[package]\nname = \"locate\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\n{CRATE} = \"={VERSION}\"\n"
    );
    fs::write(&manifest, text).map_err(failed)?;
    if let Some(lock) = package
        .ancestors()
        .map(|dir| dir.join("Cargo.lock"))
        .find(|p| p.is_file())
    {
        fs::copy(lock, folder.join("Cargo.lock")).map_err(failed)?;
    }
    Ok(manifest)
}

fn metadata(package: &Path, manifest: &Path, more: &[&str]) -> Result<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let host = env::var("HOST").map_err(|error| format!("HOST: {error}"))?;
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--quiet",
            "--format-version=1",
            "--filter-platform",
            &host,
        ])
        .args(more)
        .arg("--manifest-path")
        .arg(manifest)
        // Cargo reads its configuration (mirrors, vendored sources) from here upwards.
        .current_dir(package)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn crate_folder(metadata: &Value) -> Option<PathBuf> {
    let found = metadata["packages"]
        .as_array()?
        .iter()
        .find(|package| package["name"] == CRATE && package["version"] == VERSION)?;
    Path::new(found["manifest_path"].as_str()?)
        .parent()
        .map(Path::to_path_buf)
}
