//! Folders as images: packed, pushed, pulled, and what is in them found.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use sampan_image::{
    Content, ImageConfig, ImageStore, PackError, Program, Registry, RunConfig, rootfs_image,
};

use crate::client::{put_manifest, upload};
use crate::fixtures::*;

/// A program at `bin/box`, called by the names `cat` and `ls` as well.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("bin")).unwrap();
    std::fs::create_dir_all(dir.path().join("empty")).unwrap();
    std::fs::create_dir_all(dir.path().join("usr")).unwrap();
    let program = dir.path().join("bin/box");
    std::fs::write(&program, module("box")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(dir.path().join("motd"), "hello").unwrap();
    symlink("box", dir.path().join("bin/cat")).unwrap();
    symlink("/bin/box", dir.path().join("bin/ls")).unwrap();
    symlink("../bin", dir.path().join("usr/bin")).unwrap();
    dir
}

#[tokio::test]
async fn a_folder_is_pushed_and_its_programs_are_found_by_their_links() {
    let dir = folder();
    let run = RunConfig {
        entrypoint: vec!["/bin/cat".into()],
        cmd: vec!["/motd".into()],
        env: vec!["PATH=/usr/bin".into()],
        working_dir: "/bin".into(),
        user: String::new(),
    };
    let image = rootfs_image(dir.path(), &run, 1 << 20).unwrap();
    assert_eq!(image, rootfs_image(dir.path(), &run, 1 << 20).unwrap());
    let store_dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(store_dir.path().join("registry")).unwrap();
    let server = serve(registry.router()).await;
    let base = format!("http://{}", server.address);
    for blob in [&image.artifact.config, &image.layer] {
        assert_eq!(upload(&base, "box", blob).await.status().as_u16(), 201);
    }
    let manifest = image.artifact.manifest.to_vec();
    let put = put_manifest(&base, "box", "v1", manifest).await;
    assert_eq!(put.status().as_u16(), 201);
    let mut config = ImageConfig::new(store_dir.path().join("store"));
    config.local = Some(Arc::clone(&registry) as _);
    let store = ImageStore::open(config).unwrap();
    let pulled = store.pull("box:v1", None).await.unwrap();
    assert_eq!(pulled.config, run);
    let Content::Rootfs { dir: root } = &pulled.content else {
        panic!("a root filesystem");
    };
    assert_eq!(tree(root), tree(dir.path()));
    let program = root.join("bin/box");
    for arg0 in [
        None,
        Some("cat"),
        Some("ls"),
        Some("/usr/bin/ls"),
        Some("./cat"),
    ] {
        assert_eq!(pulled.module(arg0).unwrap().path, program, "{arg0:?}");
    }
    let elsewhere = Program {
        arg0: Some("cat".into()),
        path: Some("/empty".into()),
        working_dir: "/".into(),
    };
    let missing = pulled.find(&elsewhere).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "exec: \"cat\": executable file not found in $PATH"
    );
}

#[test]
fn what_is_no_file_or_too_much_is_refused() {
    let dir = folder();
    let run = RunConfig::default();
    let small = rootfs_image(dir.path(), &run, 10);
    assert!(matches!(small, Err(PackError::TooLarge(_))));
    let empty = rootfs_image(&dir.path().join("empty"), &run, 10);
    assert!(matches!(empty, Err(PackError::Empty(_))));
    let absent = rootfs_image(&dir.path().join("absent"), &run, 10);
    assert!(matches!(absent, Err(PackError::Read { .. })));
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let special = rootfs_image(dir.path(), &run, 1 << 20).unwrap_err();
    assert!(special.to_string().contains("socket"), "{special}");
}
