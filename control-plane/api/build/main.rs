//! Generates the schema registry.
//!
//! Shapes, descriptions and required fields come from k8s-openapi, which knows them as JSON
//! Schemas. Protobuf tags and merge markers come from the `.proto` text that k8s-rs-pb ships and
//! that is read but never compiled. What neither knows stands in `overlay.txt` and `enums.txt`. Out come two
//! compressed blobs that the library includes: the registry, and its descriptions.

mod blob;
mod enums;
mod locate;
mod merge;
mod names;
mod overlay;
mod proto;
mod shapes;
mod types;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A build failure, told to the person at the terminal.
type Result<T> = std::result::Result<T, String>;

/// Higher levels gain little on a text of this size and cost seconds in a debug build.
const ZSTD_LEVEL: i32 = 12;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build");
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: cannot generate the schema registry: {message}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let messages = proto::read(&locate::proto_root(&out)?)?;
    let overlay = overlay::parse(include_str!("overlay.txt"))?;
    let mut types = merge::merge(shapes::definitions(), &messages, &overlay)?;
    enums::parse(include_str!("enums.txt"))?.note(&mut types)?;
    write(&out.join("schemas.zst"), &blob::schemas(&types)?)?;
    write(&out.join("descriptions.zst"), &blob::descriptions(&types))
}

fn write(path: &Path, plain: &[u8]) -> Result<()> {
    let packed = zstd::bulk::compress(plain, ZSTD_LEVEL)
        .map_err(|error| format!("compressing {}: {error}", path.display()))?;
    // The length lets the reader allocate once.
    let mut bytes = u32::try_from(plain.len())
        .map_err(|_| format!("{} is too large", path.display()))?
        .to_le_bytes()
        .to_vec();
    bytes.extend(packed);
    fs::write(path, bytes).map_err(|error| format!("writing {}: {error}", path.display()))
}
