//! Reading the repositories back at the start.
//!
//! On disk a repository is a folder with a small file per manifest (its media type) and per tag (a digest).

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::{Held, Index, needed, repositories_dir};
use crate::content::ContentDir;
use crate::digest::Digest;
use crate::manifest::{Document, Referrer};
use crate::reference::{check_repository, is_tag};

impl Index {
    /// Reads the repositories. What cannot be understood is skipped with a warning: the rest still serves.
    pub(crate) fn load(root: &Path, content: &ContentDir) -> io::Result<Index> {
        let mut index = Index::default();
        let top = repositories_dir(root);
        fs::create_dir_all(&top)?;
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if !entry.file_name().to_string_lossy().starts_with('_')
                    && entry.file_type()?.is_dir()
                {
                    folders.push(entry.path());
                }
            }
            let name = folder
                .strip_prefix(&top)
                .ok()
                .and_then(Path::to_str)
                .unwrap_or_default();
            if check_repository(name).is_ok() {
                index.load_repository(&folder, name, content)?;
            }
        }
        Ok(index)
    }

    fn load_repository(
        &mut self,
        folder: &Path,
        name: &str,
        content: &ContentDir,
    ) -> io::Result<()> {
        for file in small_files(&folder.join("_manifests"))? {
            let held = Digest::from_hex(&file.name).ok().and_then(|digest| {
                let bytes = fs::read(content.path(&digest)).ok()?;
                let held = Held::read(&bytes, &file.text, file.modified).ok()?;
                Some((digest, held))
            });
            match held {
                Some((digest, held)) => self.insert(name, digest, held, None),
                None => tracing::warn!(
                    repository = name,
                    manifest = file.name,
                    "skipping a damaged manifest"
                ),
            }
        }
        for file in small_files(&folder.join("_tags"))? {
            let tag = file.name;
            let digest = file.text.parse::<Digest>().ok();
            let held = digest.filter(|digest| self.find(name, digest.as_str()).is_some());
            match (held, self.repositories.get_mut(name)) {
                (Some(digest), Some(repository)) if is_tag(&tag) => {
                    repository.tags.insert(tag, digest);
                    self.tags += 1;
                }
                _ => tracing::warn!(
                    repository = name,
                    tag,
                    "skipping a tag without its manifest"
                ),
            }
        }
        Ok(())
    }
}

impl Held {
    /// What the registry remembers of a manifest or index.
    pub(crate) fn read(
        bytes: &[u8],
        media_type: &str,
        stored: SystemTime,
    ) -> Result<Held, crate::error::FetchError> {
        let document = Document::parse(bytes, media_type)?;
        let Referrer {
            subject,
            artifact_type,
            ..
        } = Referrer::parse(bytes)?;
        Ok(Held {
            media_type: media_type.to_owned(),
            blobs: needed(&document),
            subject,
            artifact_type,
            stored,
        })
    }
}

struct SmallFile {
    name: String,
    text: String,
    modified: SystemTime,
}

/// The files of a folder with their text; a folder that is not there has none.
fn small_files(folder: &Path) -> io::Result<Vec<SmallFile>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let modified = entry.metadata().and_then(|found| found.modified());
        files.push(SmallFile {
            name: entry.file_name().to_string_lossy().into_owned(),
            text: fs::read_to_string(entry.path()).unwrap_or_default(),
            modified: modified.unwrap_or_else(|_| SystemTime::now()),
        });
    }
    Ok(files)
}
