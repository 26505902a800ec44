//! Files that are open and have no name any more: no walk through a folder finds them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The lengths of the files that this process holds open and that had their last name below a folder.
pub(super) fn bytes_below(root: &Path) -> io::Result<u64> {
    let mut known = HashSet::new();
    let mut bytes = 0_u64;
    for entry in fs::read_dir("/proc/self/fd")? {
        let descriptor = entry?.path();
        // The kernel names the place where the file was, and what was last above it.
        let below = fs::read_link(&descriptor).is_ok_and(|place| place.starts_with(root));
        if !below {
            continue;
        }
        // Closed meanwhile, or another file by now: the next measuring sees it.
        let Ok(file) = fs::metadata(&descriptor) else {
            continue;
        };
        let is_unnamed = file.is_file() && file.nlink() == 0;
        if is_unnamed && known.insert((file.dev(), file.ino())) {
            bytes = bytes.saturating_add(file.len());
        }
    }
    Ok(bytes)
}
