//! How much the listing of a folder takes. The host reads one as a whole and keeps it until its stream is dropped.

use rustix::fs::{Dir, Mode, OFlags};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// What an entry takes beside its name.
const PER_ENTRY: usize = 64;

/// The bytes of a folder's listing; none if they are more than there is room for.
pub(super) async fn bytes(folder: Arc<File>, room: usize) -> Option<usize> {
    let counted = tokio::task::spawn_blocking(move || count(&folder, room)).await;
    match counted {
        Ok(Ok(bytes)) => bytes,
        // What cannot be read is an error of the reading itself, which comes next.
        Ok(Err(_)) => Some(0),
        Err(_cancelled) => None,
    }
}

fn count(folder: &File, room: usize) -> io::Result<Option<usize>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = rustix::fs::openat(folder, c".", flags, Mode::empty())?;
    let mut bytes = 0;
    for entry in Dir::new(own)? {
        bytes += entry?.file_name().to_bytes().len() + PER_ENTRY;
        if bytes > room {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listing_is_counted_until_it_is_too_long() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        for name in ["a", "b"] {
            std::fs::write(temp.path().join(name), "").expect("made");
        }
        let folder = Arc::new(File::open(temp.path()).expect("there"));
        // Two names of one letter, and the folder's own two.
        let whole = 4 * PER_ENTRY + 1 + 1 + 1 + 2;
        assert_eq!(bytes(folder.clone(), whole).await, Some(whole));
        assert_eq!(bytes(folder.clone(), whole - 1).await, None);
        let again = bytes(folder, whole).await;
        assert_eq!(
            again,
            Some(whole),
            "the guest's own descriptor is as before"
        );
    }
}
