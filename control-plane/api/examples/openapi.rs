//! Writes every OpenAPI document into a folder, for validators and comparisons:
//! `cargo run -p sampan-api --example openapi -- FOLDER`

use std::path::PathBuf;

use sampan_api::openapi;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&folder)?;
    for one in openapi::built_in() {
        let name = format!("v3_{}.json", one.path.replace('/', "__"));
        std::fs::write(folder.join(name), one.document.bytes())?;
    }
    std::fs::write(folder.join("v2.json"), openapi::v2(&[]).bytes())?;
    std::fs::write(folder.join("v2.pb"), openapi::v2_protobuf(&[]).bytes())
}
