//! Files that are shown as copies and may be written: at the end what was written comes to the original.
//!
//! A copy that nobody wrote to is left: somebody else may have changed the original meanwhile. What cannot be written to
//! the original is kept, since it is nowhere else.

use super::super::host;
use super::{MAX_COPY, Pace, check, transfer};
use crate::module::private_dir;
use rustix::fs::{AtFlags, CWD, FallocateFlags, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The folder below an engine's private ones where copies are kept.
const KEPT: &str = "kept";

/// Copies that are kept, the newest of them, and of each original one.
const MOST_KEPT: usize = 16;

/// Bytes of all of them: as many as that many of the largest that are copied to begin with.
const MOST_KEPT_BYTES: u64 = MOST_KEPT as u64 * MAX_COPY;

/// How many copies this process began to keep.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// A file's time is as coarse as the kernel's clock. What was changed earlier than this has another time.
const COARSE: Duration = Duration::from_secs(1);

/// Gives a copy that was just filled a time of which each later write is seen.
pub(super) fn filled(copy: &File, from: &File) -> io::Result<()> {
    let modified = from.metadata()?.modified()?;
    copy.set_modified(modified.min(SystemTime::now() - COARSE))
}

/// What a write changes.
#[derive(PartialEq, Eq)]
struct Content {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Content {
    fn of(metadata: &fs::Metadata) -> Self {
        Content {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A copy, and the file it is one of.
pub(super) struct Copied {
    shown: PathBuf,
    original: PathBuf,
    shown_first: Content,
}

impl Copied {
    pub(super) fn new(shown: &Path, original: &Path) -> io::Result<Self> {
        Ok(Copied {
            shown: shown.to_owned(),
            original: original.to_owned(),
            shown_first: Content::of(&fs::symlink_metadata(shown)?),
        })
    }

    pub(super) fn original(&self) -> &Path {
        &self.original
    }

    /// Writes what was written to the copy to the original; what the original refuses is kept below `root`.
    pub(super) fn bring_back(&self, root: &Path, pace: &Pace) -> io::Result<()> {
        // What is there by now may be no file any more, but a link to somewhere else, or a pipe that nobody writes to.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut copy = fs::OpenOptions::new();
        let copy = copy.read(true).custom_flags(flags.bits() as i32);
        let copy = copy.open(&self.shown)?;
        let metadata = copy.metadata()?;
        if Content::of(&metadata) == self.shown_first {
            return Ok(());
        }
        if metadata.is_file() {
            pace.copies(&copy)?;
        }
        let checked = check(&metadata, MAX_COPY);
        let written = checked.and_then(|()| self.write_back(&copy, metadata.len()));
        written.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => error,
            _ if !metadata.is_file() => error,
            _ => {
                let kept = keep(&copy, &self.original, root);
                let where_to = match kept {
                    Ok(path) => format!("what was written to it is in {}", path.display()),
                    Err(error) => format!("what was written to it cannot be kept: {error}"),
                };
                io::Error::new(error.kind(), format!("{error}; {where_to}"))
            }
        })
    }

    fn write_back(&self, copy: &File, length: u64) -> io::Result<()> {
        let original = host::overwrite(&self.original)?;
        // Room for all of it comes first: until then nothing is lost of what is there.
        let room = rustix::fs::fallocate(&original, FallocateFlags::KEEP_SIZE, 0, length.max(1));
        match room {
            // Not every file system can.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        let written = transfer(copy, &original, MAX_COPY)?;
        original.set_len(written)
    }
}

/// Keeps a copy where no end of a container or engine removes it.
fn keep(copy: &File, original: &Path, root: &Path) -> io::Result<PathBuf> {
    check(&copy.metadata()?, MOST_KEPT_BYTES)?;
    let folder = root.join(KEPT);
    private_dir(&folder)?;
    // Its own name may be as long as names can be.
    let hash = Sha256::digest(original.as_os_str().as_encoded_bytes());
    let kept = folder.join(hex::encode(hash));
    // The one kept before stays until this one is there.
    let number = BEGUN.fetch_add(1, Ordering::Relaxed);
    let begun = kept.with_extension(format!("{}-{number}", std::process::id()));
    let done = put(copy, &begun).and_then(|()| fs::rename(&begun, &kept));
    done.inspect_err(|_| super::remove_file(&begun))?;
    // Of what is kept already, both names are still there.
    let _gone = fs::remove_file(&begun);
    forget_oldest(&folder, &kept)?;
    Ok(kept)
}

fn put(mut copy: &File, to: &Path) -> io::Result<()> {
    let source = format!("/proc/self/fd/{}", copy.as_raw_fd());
    // A link needs no room.
    if rustix::fs::linkat(CWD, source, CWD, to, AtFlags::SYMLINK_FOLLOW).is_ok() {
        return Ok(());
    }
    copy.rewind()?;
    transfer(copy, &File::create_new(to)?, MOST_KEPT_BYTES)?;
    Ok(())
}

/// Leaves the newest, and of the others the newest again while there is room for them. Others may do the same at the
/// same time.
fn forget_oldest(folder: &Path, newest: &Path) -> io::Result<()> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        all.push((path == newest, changed, metadata.len(), path));
    }
    all.sort();
    let (mut kept, mut bytes) = (0, 0);
    for (_, _, length, path) in all.into_iter().rev() {
        kept += 1;
        bytes += length;
        if kept <= MOST_KEPT && bytes <= MOST_KEPT_BYTES {
            continue;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{HostPath, PrivateFolder, Scratch};
    use super::*;
    use crate::Mount;
    use rustix::fs::{FileType, MemfdFlags, Mode};
    use tempfile::TempDir;

    /// A file that is shown as a copy.
    struct Case {
        temp: TempDir,
        original: PathBuf,
        shown: PathBuf,
        folder: PrivateFolder,
        _scratch: Scratch,
    }

    impl Case {
        fn new() -> Self {
            Case::named("original")
        }

        fn named(original: &str) -> Self {
            let temp = tempfile::tempdir().expect("a folder");
            let original = temp.path().join(original);
            fs::write(&original, "before").expect("written");
            let scratch = Scratch::open(temp.path(), 4).expect("opened");
            let mut folder = scratch.folder().expect("made");
            let mount = Mount {
                host: original.clone(),
                guest: "/x/name".to_owned(),
                read_only: false,
            };
            let file = HostPath::open(&original).expect("there");
            let shown = folder.show("name", &file, &mount, true, &Pace::Slow);
            assert!(matches!(shown, Ok(super::super::Shown::Copy(_))));
            Case {
                shown: folder.path().join("name"),
                temp,
                original,
                folder,
                _scratch: scratch,
            }
        }

        fn brought_back(&mut self) -> String {
            assert!(self.folder.bring_back(&Pace::Slow));
            fs::read_to_string(&self.original).expect("there")
        }

        fn kept(&self) -> Vec<String> {
            let kept = fs::read_dir(self.temp.path().join("mounts").join(KEPT));
            let kept = kept.into_iter().flatten().flatten();
            kept.map(|entry| fs::read_to_string(entry.path()).expect("kept"))
                .collect()
        }
    }

    #[test]
    fn a_copy_that_was_only_read_leaves_what_others_wrote() {
        let mut case = Case::new();
        assert_eq!(fs::read_to_string(&case.shown).expect("shown"), "before");
        fs::write(&case.original, "edited").expect("written");
        assert_eq!(case.brought_back(), "edited");
    }

    #[test]
    fn what_was_written_is_brought_back_at_whatever_length() {
        for content in ["wrote!", "", "longer than before", "short"] {
            let mut case = Case::new();
            fs::write(&case.shown, content).expect("written");
            assert_eq!(case.brought_back(), content);
            assert_eq!(case.kept(), [""; 0]);
        }
    }

    #[test]
    fn what_became_too_large_does_not_empty_the_original() {
        let mut case = Case::new();
        let grown = File::create(&case.shown).expect("made");
        grown.set_len(MAX_COPY + 1).expect("sparse");
        assert_eq!(case.brought_back(), "before");
        let folder = case.temp.path().join("mounts").join(KEPT);
        let kept = fs::read_dir(folder).expect("there").next();
        let kept = kept.expect("it is kept").expect("read");
        assert_eq!(kept.metadata().expect("there").len(), MAX_COPY + 1);
    }

    #[test]
    fn what_the_original_refuses_is_kept() {
        // The name is as long as names can be.
        let mut case = Case::named(&"n".repeat(255));
        fs::write(&case.shown, "written").expect("written");
        fs::remove_file(&case.original).expect("there");
        fs::create_dir(&case.original).expect("made");
        assert!(case.folder.bring_back(&Pace::Slow));
        assert_eq!(case.kept(), ["written"]);
        drop(case.folder);
        let folder = case.temp.path().join("mounts").join(KEPT);
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 1);
        // Not for ever: there is a bound.
        for number in 0..2 * MOST_KEPT {
            let copy = case.temp.path().join("copy");
            fs::write(&copy, number.to_string()).expect("written");
            let copy = File::open(&copy).expect("there");
            let original = PathBuf::from(format!("/original-{number}"));
            keep(&copy, &original, &case.temp.path().join("mounts")).expect("kept");
        }
        assert_eq!(fs::read_dir(folder).expect("there").count(), MOST_KEPT);
    }

    /// A copy of zeros on a file system of its own, or on that of the folder.
    fn of_zeros(folder: Option<&Path>, length: u64) -> File {
        let file = match folder {
            Some(folder) => File::create(folder.join("zeros")).expect("made"),
            None => rustix::fs::memfd_create("zeros", MemfdFlags::CLOEXEC)
                .expect("made")
                .into(),
        };
        file.set_len(length).expect("sparse");
        file
    }

    #[test]
    fn a_large_copy_on_another_file_system_is_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let copy = of_zeros(None, MAX_COPY + 1);
        let kept = keep(&copy, Path::new("/original"), root.path()).expect("kept");
        assert_eq!(fs::metadata(kept).expect("there").len(), MAX_COPY + 1);
    }

    #[test]
    fn what_is_kept_has_a_bound_in_bytes() {
        let temp = tempfile::tempdir().expect("a folder");
        let (root, folder) = (temp.path(), temp.path().join(KEPT));
        let kept = |number: u64, length: u64| {
            let copy = of_zeros(Some(root), length);
            let kept = keep(&copy, &PathBuf::from(format!("/{number}")), root);
            // The next one is another file.
            fs::remove_file(root.join("zeros")).expect("there");
            kept
        };
        let bytes = || -> u64 {
            let kept = fs::read_dir(&folder).expect("there").flatten();
            kept.map(|entry| entry.metadata().expect("there").len())
                .sum()
        };
        for number in 0..10 {
            let path = kept(number, MOST_KEPT_BYTES / 4).expect("kept");
            assert!(path.exists(), "the newest is");
            assert_eq!(bytes(), MOST_KEPT_BYTES / 4 * (number + 1).min(4));
        }
        // Of one original, the last.
        kept(9, 1).expect("kept");
        assert_eq!(bytes(), MOST_KEPT_BYTES / 4 * 3 + 1);
        let error = kept(9, MOST_KEPT_BYTES + 1).expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(bytes(), MOST_KEPT_BYTES / 4 * 3 + 1, "the others stay");
        kept(10, MOST_KEPT_BYTES).expect("kept");
        assert_eq!(bytes(), MOST_KEPT_BYTES);
    }

    #[test]
    fn nobody_waits_for_a_pipe_in_the_place_of_the_copy() {
        let mut case = Case::new();
        fs::remove_file(&case.shown).expect("there");
        let (pipe, owner) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
        rustix::fs::mknodat(CWD, &case.shown, pipe, owner, 0).expect("made");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send((case.brought_back(), case.kept())));
        let told = told.recv_timeout(Duration::from_secs(20));
        assert_eq!(told, Ok(("before".to_owned(), Vec::new())));
    }

    #[test]
    fn nothing_is_kept_of_what_has_no_original_any_more() {
        let mut case = Case::new();
        fs::write(&case.shown, "written").expect("written");
        fs::remove_file(&case.original).expect("there");
        assert!(case.folder.bring_back(&Pace::Slow));
        assert_eq!(case.kept(), [""; 0]);
    }
}
