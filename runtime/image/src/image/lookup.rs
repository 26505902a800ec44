//! Finding the program of a container in its image, as an operating system would.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::image::{Content, Image, ModuleFile, is_wasm};
use crate::rootfs::{Found, look_up};

/// Where a command without a slash is looked for when no `PATH` is set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program is looked up by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// argv\[0\]; the image's own entrypoint when absent.
    pub arg0: Option<String>,
    /// The value of `PATH`; the usual folders when absent.
    pub path: Option<String>,
    /// Where relative paths begin; `/` when empty.
    pub working_dir: String,
}

/// Why an image has no module to load.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Neither the image nor the caller names a file.
    #[error("no command specified: the image has a root filesystem and no entrypoint")]
    NoCommand,
    /// A name that is in no folder of `PATH`.
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotInPath(String),
    /// A path that leads nowhere.
    #[error("exec: {0:?}: stat {0}: no such file or directory")]
    NoSuchFile(String),
    /// A path that leads to a folder.
    #[error("exec: {0:?}: is a directory")]
    Directory(String),
    /// The file is no Wasm binary.
    #[error("exec: {0:?}: exec format error: not a WebAssembly binary")]
    NotWasm(String),
    /// The file cannot be read.
    #[error("read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl ModuleError {
    /// Whether a command was given that names no program: container runtimes tell that when they start the container.
    pub fn is_missing(&self) -> bool {
        !matches!(self, ModuleError::NoCommand | ModuleError::Io { .. })
    }
}

impl Image {
    /// The module to load when argv\[0\] is `arg0`, by the image's own `PATH` and working folder. See [`Image::find`].
    pub fn module(&self, arg0: Option<&str>) -> Result<ModuleFile, ModuleError> {
        let mut env = self.config.env.iter();
        self.find(&Program {
            arg0: arg0.map(str::to_owned),
            path: env.find_map(|pair| Some(pair.strip_prefix("PATH=")?.to_owned())),
            working_dir: self.config.working_dir.clone(),
        })
    }

    /// The module to load for a program.
    ///
    /// A module image holds one, whatever it is called by. In a root filesystem it is a path, or a name looked up in
    /// `PATH`, then in the working folder; links are followed inside the root. Reads the whole file for its digest:
    /// call it where blocking is allowed.
    pub fn find(&self, program: &Program) -> Result<ModuleFile, ModuleError> {
        let dir = match &self.content {
            Content::Module { digest, path } => {
                return Ok(ModuleFile {
                    digest: digest.clone(),
                    path: path.clone(),
                });
            }
            Content::Rootfs { dir } => dir,
        };
        let own = self.config.entrypoint.first().or(self.config.cmd.first());
        let arg0 = program.arg0.as_ref().or(own);
        let arg0 = arg0
            .filter(|text| !text.is_empty())
            .ok_or(ModuleError::NoCommand)?;
        // runwasi's convention: the part behind '#' names the function to call.
        let file = arg0.split('#').next().unwrap_or(arg0);
        let path = locate(dir, file, program)?;
        let digest = wasm_digest(&path)
            .map_err(|source| ModuleError::Io {
                path: path.clone(),
                source,
            })?
            .ok_or_else(|| ModuleError::NotWasm(arg0.to_owned()))?;
        Ok(ModuleFile {
            digest: digest.into(),
            path,
        })
    }
}

/// The file a command names in the root filesystem at `dir`.
fn locate(dir: &Path, file: &str, program: &Program) -> Result<PathBuf, ModuleError> {
    let in_working_dir = format!("/{}/{file}", program.working_dir);
    if file.contains('/') {
        let path = if file.starts_with('/') {
            file
        } else {
            &in_working_dir
        };
        return match look_up(dir, path) {
            Some(Found::File(found)) => Ok(found),
            Some(Found::Folder) => Err(ModuleError::Directory(file.to_owned())),
            None => Err(ModuleError::NoSuchFile(file.to_owned())),
        };
    }
    let folders = program.path.as_deref().unwrap_or(DEFAULT_PATH).split(':');
    // An empty part of PATH is the working folder, which comes last in any case: images name `app.wasm` there.
    let folders = folders.filter(|folder| !folder.is_empty());
    let mut candidates = folders
        .map(|folder| format!("/{folder}/{file}"))
        .chain([in_working_dir]);
    let found = candidates.find_map(|path| match look_up(dir, &path) {
        Some(Found::File(found)) => Some(found),
        _ => None,
    });
    found.ok_or_else(|| ModuleError::NotInPath(file.to_owned()))
}

/// The digest of a Wasm file; none when it is something else.
fn wasm_digest(path: &Path) -> io::Result<Option<Digest>> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if hasher.bytes() == 0 && !is_wasm(&buffer[..count]) {
            return Ok(None);
        }
        if count == 0 {
            return Ok(Some(hasher.finish()));
        }
        hasher.update(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::RunConfig;

    #[test]
    fn finds_the_entrypoint_in_a_root_filesystem() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("usr/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("app"), b"\0asm\x01\0\0\0").unwrap();
        std::fs::write(dir.path().join("app.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        std::fs::write(bin.join("sh"), b"\x7fELF").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", bin.join("escape")).unwrap();
        let mut image = Image {
            id: Digest::of(b"x").into(),
            repo_tags: vec![],
            repo_digests: vec![],
            size: 1,
            config: RunConfig::default(),
            content: Content::Rootfs {
                dir: dir.path().to_owned(),
            },
        };
        let file = |image: &Image, arg0| image.module(arg0).map(|module| module.path);
        assert!(matches!(file(&image, None), Err(ModuleError::NoCommand)));
        assert_eq!(file(&image, Some("app")).unwrap(), bin.join("app"));
        assert_eq!(
            file(&image, Some("/app.wasm#run")).unwrap(),
            dir.path().join("app.wasm")
        );
        assert_eq!(
            file(&image, Some("app.wasm")).unwrap(),
            dir.path().join("app.wasm")
        );
        assert!(matches!(
            file(&image, Some("/usr/bin/escape")),
            Err(ModuleError::NoSuchFile(_))
        ));
        assert!(matches!(
            file(&image, Some("escape")),
            Err(ModuleError::NotInPath(_))
        ));
        assert!(matches!(
            file(&image, Some("/usr/bin")),
            Err(ModuleError::Directory(_))
        ));
        let program = |arg0: &str, path: &str, working_dir: &str| Program {
            arg0: Some(arg0.into()),
            path: Some(path.into()),
            working_dir: working_dir.into(),
        };
        let find = |program: Program| image.find(&program).map(|module| module.path);
        std::os::unix::fs::symlink("../usr/bin/app", dir.path().join("usr/called")).unwrap();
        std::os::unix::fs::symlink("/usr/called", bin.join("twice")).unwrap();
        assert_eq!(
            find(program("called", "/sbin:/usr", "")).unwrap(),
            bin.join("app")
        );
        assert_eq!(
            find(program("twice", "/usr/bin", "")).unwrap(),
            bin.join("app")
        );
        assert_eq!(
            find(program("./app", "", "/usr/bin")).unwrap(),
            bin.join("app")
        );
        assert_eq!(
            find(program("bin/app", "", "usr")).unwrap(),
            bin.join("app")
        );
        assert_eq!(
            find(program("app", "/nowhere", "/usr/bin")).unwrap(),
            bin.join("app")
        );
        let missing = find(program("app", "/nowhere", "/")).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "exec: \"app\": executable file not found in $PATH"
        );
        assert!(missing.is_missing());
        assert!(matches!(
            file(&image, Some("sh")),
            Err(ModuleError::NotWasm(_))
        ));
        image.config.entrypoint = vec!["/app.wasm".into()];
        let digest = image.module(None).unwrap().digest;
        assert_eq!(digest, Digest::of(b"\0asm\x0d\0\x01\0").as_str());
    }
}
