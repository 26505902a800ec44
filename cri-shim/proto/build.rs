//! Compiles `proto/` to Rust with protox, so that no `protoc` is needed.

use std::io::Error;
use std::path::PathBuf;

fn main() -> Result<(), Error> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["api.proto"], ["proto"]).map_err(Error::other)?;
    let out = PathBuf::from(
        std::env::var_os("OUT_DIR").ok_or_else(|| Error::other("OUT_DIR is not set"))?,
    );
    prost_build::Config::new()
        .out_dir(out)
        // Ordered maps: the same state always has the same bytes and the same Debug text.
        .btree_map(["."])
        // It has a Debug of its own, which does not show secrets.
        .skip_debug(["runtime.v1.AuthConfig"])
        .compile_fds(files)
}
