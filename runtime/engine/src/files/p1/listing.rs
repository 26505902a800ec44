//! Listing a folder, one buffer of the guest at a time.
//!
//! wasmtime-wasi reads the whole folder for each call, with every entry's metadata, however little of it the guest has
//! room for. Here the file system is asked to go on where the guest is: a call takes the memory of one chunk, a long
//! listing takes as long as it is, and a guest that removes what it has seen misses nothing of the rest. That is so where
//! the file system's offsets stay with their entries. Where they are positions (tmpfs before Linux 6.6, a merged
//! overlayfs), a guest that removes while it lists may miss entries.

use super::*;
use rustix::fs::{AtFlags, FileType, RawDir, SeekFrom};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtxView};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor as _, PathFlags};

/// What stands before each name: a cookie, an inode, the length of the name and a kind.
const HEAD: usize = 24;

const DIRECTORY: u8 = 3;

/// Bytes for the guest that are read from the file system at once, about.
const CHUNK: usize = 32 << 10;

/// Where a listing is: the guest's cookie, which is the number of entries before it, and what the file system calls the
/// same place.
#[derive(Clone, Copy)]
pub(super) struct Place {
    cookie: u64,
    offset: u64,
}

impl Place {
    /// Behind the folder itself and the one above it, which are always listed first.
    const FIRST: Place = Place {
        cookie: 2,
        offset: 0,
    };
}

struct Entry {
    name: String,
    kind: u8,
    /// Where the file system goes on behind it.
    next: u64,
}

pub(super) fn guard(linker: &mut Linker<P1State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "fd_readdir", |caller, params| {
        Box::new(fd_readdir(caller, params))
    })?;
    Ok(())
}

async fn fd_readdir(
    mut caller: Caller<'_, P1State>,
    (fd, buffer, length, cookie, used): (i32, i32, i32, i64, i32),
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (memory, state) = enter(&memory, &mut caller);
    let folder = match Folder::open(&mut state.wasi, fd).await? {
        Ok(folder) => folder,
        Err(errno) => return Ok(errno),
    };
    let mut target = Target {
        memory,
        at: GuestPtr::new(buffer as u32),
        left: length as u32,
    };
    let known = state.files.listed.get(&(fd as u32)).copied();
    let (wasi, cookie) = (&mut *state.wasi, cookie as u64);
    let listed = folder.list(wasi, known, cookie, &mut target).await?;
    state.wasi.ctx().table.delete(folder.own)?;
    match listed {
        Ok(place) => {
            state.files.listed.insert(fd as u32, place);
            let written = length as u32 - target.left;
            target
                .memory
                .write(GuestPtr::<u32>::new(used as u32), written)?;
            Ok(SUCCESS)
        }
        Err(errno) => Ok(errno),
    }
}

/// Memory for what is told of a descriptor, or for a path and the descriptor that it becomes.
#[repr(align(8))]
struct Own([u8; HEAD]);

/// A folder of the guest's, opened once more.
struct Folder {
    own: Resource<Descriptor>,
    file: Arc<File>,
}

impl Folder {
    /// Opens it, or says with which errno not.
    async fn open(wasi: &mut WasiP1Ctx, fd: i32) -> wasmtime::Result<Result<Folder, i32>> {
        let mut own = Own([0; HEAD]);
        let stat = p1::fd_fdstat_get(wasi, &mut GuestMemory::Unshared(&mut own.0), fd, 0).await?;
        if stat != SUCCESS || own.0[0] != DIRECTORY {
            return Ok(Err(EBADF));
        }
        own.0[0] = b'.';
        let mut own = GuestMemory::Unshared(&mut own.0);
        // wasmtime-wasi does not tell what is behind a number: it is the folder that was not in its table before.
        let before: BTreeSet<usize> = folders(wasi.ctx().table).map(address).collect();
        let (path, opened) = ((0, 1), 4);
        let (flags, rights) = (OFLAGS_DIRECTORY, RIGHTS_FD_READ);
        let errno = p1::path_open(
            wasi, &mut own, fd, 0, path.0, path.1, flags, rights, 0, 0, opened,
        )
        .await?;
        if errno != SUCCESS {
            return Ok(Err(errno));
        }
        let number: u32 = own.read(GuestPtr::new(opened as u32))?;
        let folder = folders(wasi.ctx().table).find(|folder| !before.contains(&address(folder)));
        let folder = folder.cloned();
        p1::fd_close(wasi, &mut own, number as i32).await?;
        let folder = folder.ok_or_else(|| wasmtime::Error::msg("no folder was opened"))?;
        let file = folder.dir.clone();
        let own = wasi.ctx().table.push(Descriptor::Dir(folder))?;
        Ok(Ok(Folder { own, file }))
    }

    fn own(&self) -> Resource<Descriptor> {
        Resource::new_borrow(self.own.rep())
    }

    /// Lists it from a cookie on until the buffer is full. The place behind the last entry that had room, or an errno.
    async fn list(
        &self,
        wasi: &mut WasiP1Ctx,
        known: Option<Place>,
        cookie: u64,
        target: &mut Target<'_>,
    ) -> wasmtime::Result<Result<Place, i32>> {
        let view = wasi.ctx();
        let mut files = WasiFilesystemCtxView {
            ctx: view.ctx.filesystem(),
            table: view.table,
        };
        let mut place = Place::FIRST;
        let Ok(inode) = files.metadata_hash(self.own()).await else {
            return Ok(Err(EIO));
        };
        for (number, name) in [".", ".."].into_iter().enumerate().skip(cookie as usize) {
            if !target.entry(number as u64 + 1, inode.lower, DIRECTORY, name)? {
                return Ok(Ok(place));
            }
        }
        if let Some(known) = known.filter(|known| known.cookie <= cookie) {
            place = known;
        }
        let mut skip = cookie.saturating_sub(place.cookie);
        let mut at = place.cookie + skip;
        while target.left > 0 {
            let (file, from) = (self.file.clone(), place.offset);
            let room = CHUNK.min(target.left as usize);
            let read = move || entries(&file, from, skip, room);
            let entries = match tokio::task::spawn_blocking(read).await? {
                // Also if not all could be skipped: then nothing is known of the place asked for.
                Ok(entries) if entries.is_empty() => break,
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Err(EILSEQ)),
                Err(_) => return Ok(Err(EIO)),
            };
            skip = 0;
            for entry in entries {
                let (fd, name) = (self.own(), entry.name.clone());
                let hash = files.metadata_hash_at(fd, PathFlags::empty(), name).await;
                match hash {
                    Ok(hash) => {
                        let next = at + 1;
                        if !target.entry(next, hash.lower, entry.kind, &entry.name)? {
                            return Ok(Ok(place));
                        }
                        at = next;
                    }
                    // Removed meanwhile.
                    Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)) => {}
                    Err(_) => return Ok(Err(EIO)),
                }
                place = Place {
                    cookie: at,
                    offset: entry.next,
                };
            }
        }
        Ok(Ok(place))
    }
}

/// The folders that are open.
fn folders(table: &mut ResourceTable) -> impl Iterator<Item = &Dir> {
    let entries = table.iter_mut().map(|entry| entry.downcast_ref());
    entries.filter_map(|entry| match entry? {
        Descriptor::Dir(folder) => Some(folder),
        Descriptor::File(_) => None,
    })
}

/// No other folder that is open has this one's.
fn address(folder: &Dir) -> usize {
    Arc::as_ptr(&folder.dir).addr()
}

/// What the guest has room for.
struct Target<'a> {
    memory: GuestMemory<'a>,
    at: GuestPtr<u8>,
    left: u32,
}

impl Target<'_> {
    /// Writes an entry, or as much of it as there is room for. Whether that was all of it.
    fn entry(&mut self, next: u64, inode: u64, kind: u8, name: &str) -> wasmtime::Result<bool> {
        let mut bytes = Vec::with_capacity(HEAD + name.len());
        bytes.extend(next.to_le_bytes());
        bytes.extend(inode.to_le_bytes());
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend([kind, 0, 0, 0]);
        bytes.extend(name.as_bytes());
        let most = bytes.len().min(self.left as usize);
        let length = most as u32;
        self.memory
            .copy_from_slice(&bytes[..most], self.at.as_array(length))?;
        self.at = self.at.add(length)?;
        self.left -= length;
        Ok(most == bytes.len())
    }
}

/// The entries from a place on, without the first of them, until they fill so many bytes. Blocks.
fn entries(folder: &File, from: u64, mut skip: u64, room: usize) -> io::Result<Vec<Entry>> {
    rustix::fs::seek(folder, SeekFrom::Start(from))?;
    let mut buffer = Vec::with_capacity(CHUNK);
    let mut raw = RawDir::new(folder, buffer.spare_capacity_mut());
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while bytes < room
        && let Some(entry) = raw.next()
    {
        let entry = match entry {
            // The folder itself was removed.
            Err(Errno::NOENT) => break,
            entry => entry?,
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let name = match name.to_str() {
            Ok(name) => name.to_owned(),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        bytes += HEAD + name.len();
        entries.push(Entry {
            kind: kind(folder, entry.file_type(), &name),
            next: entry.next_entry_cookie(),
            name,
        });
    }
    Ok(entries)
}

/// The kind of an entry in WASI p1, which has none for pipes.
fn kind(folder: &File, told: FileType, name: &str) -> u8 {
    let kind = match told {
        // Not every file system tells.
        FileType::Unknown => rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| {
                FileType::from_raw_mode(stat.st_mode)
            }),
        told => told,
    };
    match kind {
        FileType::BlockDevice => 1,
        FileType::CharacterDevice => 2,
        FileType::Directory => DIRECTORY,
        FileType::RegularFile => 4,
        FileType::Symlink => 7,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_pieces_of_the_size_asked_for() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let mut made: Vec<String> = (0..3_000).map(|number| format!("{number:0>40}")).collect();
        for name in &made {
            std::fs::write(temp.path().join(name), "").expect("made");
        }
        let folder = File::open(temp.path()).expect("there");
        let (mut from, mut seen, mut pieces) = (0, Vec::new(), 0);
        loop {
            let piece = entries(&folder, from, 0, 1_000).expect("read");
            assert!(piece.len() <= 1_000 / (HEAD + 40) + 1);
            let Some(last) = piece.last() else { break };
            from = last.next;
            assert!(piece.iter().all(|entry| entry.kind == 4));
            seen.extend(piece.into_iter().map(|entry| entry.name));
            pieces += 1;
        }
        assert!(pieces >= 3_000 / 16);
        seen.sort();
        made.sort();
        assert_eq!(seen, made);
        let skipped = entries(&folder, 0, 2_999, 1_000).expect("read");
        assert_eq!(skipped.len(), 1);
    }
}
