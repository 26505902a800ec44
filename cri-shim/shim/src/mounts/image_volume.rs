//! An image as a volume: its root filesystem, or the one module it holds as a file.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use sampan_engine::Mount;
use sampan_image::{Content, Image};
use sampan_proto::v1;

/// The mount of an image, or of a path in it. Always read-only: all containers share it.
pub(super) fn mount(
    image: &Image,
    spec: &v1::ImageSpec,
    guest: &str,
    sub_path: &str,
) -> io::Result<Mount> {
    let (host, guest) = match &image.content {
        Content::Rootfs { dir } => (below(dir, sub_path)?, guest.to_string()),
        Content::Module { path, .. } => {
            let host = std::fs::canonicalize(path)?;
            let name = file_name(image, spec);
            match sub_path {
                "" => (host, format!("{}/{name}", guest.trim_end_matches('/'))),
                sub_path if sub_path == name => (host, guest.to_string()),
                _ => {
                    let message = format!("it holds nothing but the file {name:?}");
                    return Err(io::Error::new(io::ErrorKind::NotFound, message));
                }
            }
        }
    };
    Ok(Mount {
        host,
        guest,
        read_only: true,
    })
}

/// A path in a root filesystem, as the image itself means it: its absolute links begin at its root.
fn below(dir: &Path, sub_path: &str) -> io::Result<PathBuf> {
    let root = rustix::fs::open(dir, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let path = match sub_path {
        "" => ".",
        sub_path => sub_path,
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve)?;
    std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

/// `app.wasm` for `registry:5000/x/app:v1`: what a module is called that came without a name.
fn file_name(image: &Image, spec: &v1::ImageSpec) -> String {
    let asked = [&spec.user_specified_image, &spec.image];
    let known = image.repo_tags.iter().chain(&image.repo_digests);
    let name = asked
        .into_iter()
        .chain(known)
        .filter(|name| !name.starts_with("sha256:"))
        .find_map(|name| {
            let name = name.split('@').next()?.rsplit('/').next()?;
            let name = name.split(':').next()?;
            (!name.is_empty()).then_some(name)
        })
        .unwrap_or("module");
    match name.ends_with(".wasm") {
        true => name.to_string(),
        false => format!("{name}.wasm"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_image::RunConfig;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn image(content: Content) -> Image {
        Image {
            id: "sha256:1".into(),
            repo_tags: vec!["r:5000/x/app:v1".into()],
            repo_digests: Vec::new(),
            size: 1,
            config: RunConfig::default(),
            content,
        }
    }

    #[test]
    fn a_root_filesystem_and_a_module() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = temp.path().canonicalize().expect("it exists");
        fs::create_dir_all(dir.join("root/data")).expect("made");
        fs::write(dir.join("root/data/f"), "x").expect("written");
        fs::write(dir.join("blob"), "x").expect("written");
        fs::write(dir.join("outside"), "x").expect("written");
        symlink("/data", dir.join("root/absolute")).expect("linked");
        symlink("../../outside", dir.join("root/up")).expect("linked");
        let spec = v1::ImageSpec::default();
        let at = |image: &Image, sub_path: &str| {
            let mounted = mount(image, &spec, "/v", sub_path);
            mounted.map(|mount| {
                assert!(mount.read_only);
                let host = mount.host.strip_prefix(&dir).expect("below").to_owned();
                (host.display().to_string(), mount.guest)
            })
        };
        let rootfs = image(Content::Rootfs {
            dir: dir.join("root"),
        });
        let found = |host: &str, guest: &str| (host.to_string(), guest.to_string());
        assert_eq!(at(&rootfs, "").expect("there"), found("root", "/v"));
        assert_eq!(
            at(&rootfs, "data/f").expect("there"),
            found("root/data/f", "/v")
        );
        assert_eq!(
            at(&rootfs, "absolute").expect("there"),
            found("root/data", "/v")
        );
        for missing in ["none", "up", "../outside"] {
            assert!(at(&rootfs, missing).is_err(), "{missing}");
        }
        let module = image(Content::Module {
            digest: "sha256:2".into(),
            path: dir.join("blob"),
        });
        assert_eq!(
            at(&module, "").expect("there"),
            found("blob", "/v/app.wasm")
        );
        assert_eq!(at(&module, "app.wasm").expect("there"), found("blob", "/v"));
        let error = at(&module, "other").expect_err("there is none").to_string();
        assert!(error.contains("app.wasm"), "{error}");
    }
}
