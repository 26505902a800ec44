//! WASI p1: limits and EROFS in front of wasmtime-wasi's own functions.
//!
//! wasmtime-wasi keeps its descriptor table to itself, so this module keeps its own account of descriptors by number:
//! how many are open, and which are in read-only mounts. A function it wraps calls the original and then corrects
//! the answer; it never decides access on its own.

mod limited;
mod listing;

use super::creation::{Refused, Wanted, creation};
use super::mark::Mark;
use super::quota::Quota;
use super::{FileBudget, FileSlot};
use crate::state::P1State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wasmtime::{AsContextMut, Caller, Extern, Linker, Memory};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as p1, WasiSnapshotPreview1};
use wiggle::{GuestMemory, GuestPtr};

pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// `errno` values of WASI p1.
pub(crate) const SUCCESS: i32 = 0;
const EBADF: i32 = 8;
const EEXIST: i32 = 20;
const EILSEQ: i32 = 25;
const EIO: i32 = 29;
const EMFILE: i32 = 33;
const ENFILE: i32 = 41;
const ENOENT: i32 = 44;
const ENOSPC: i32 = 51;
const EPERM: i32 = 63;
const EROFS: i32 = 69;
const EXDEV: i32 = 75;

/// Flags of `path_open`.
const OFLAGS_CREAT: i32 = 1;
const OFLAGS_DIRECTORY: i32 = 2;
const OFLAGS_EXCL: i32 = 4;
const OFLAGS_TRUNC: i32 = 8;
const RIGHTS_FD_READ: i64 = 1 << 1;
const RIGHTS_FD_WRITE: i64 = 1 << 6;

/// The first descriptor number that is a mount; 0 to 2 are the standard streams.
const FIRST_MOUNT: u32 = 3;

/// The account of one instance's descriptors.
pub(crate) struct Account {
    budget: Arc<FileBudget>,
    limit: u32,
    /// Those the guest opened. Standard streams and mounts do not count.
    open: BTreeMap<u32, FileSlot>,
    /// Those in read-only mounts.
    read_only: BTreeSet<u32>,
    /// Those with further rules.
    marks: BTreeMap<u32, Mark>,
    /// Where the listings of folders are.
    listed: BTreeMap<u32, listing::Place>,
}

impl Account {
    pub(crate) fn new(budget: Arc<FileBudget>, limit: u32, mounts_read_only: &[bool]) -> Self {
        let read_only = (FIRST_MOUNT..)
            .zip(mounts_read_only)
            .filter_map(|(descriptor, read_only)| read_only.then_some(descriptor))
            .collect();
        Account {
            budget,
            limit,
            open: BTreeMap::new(),
            read_only,
            marks: BTreeMap::new(),
            listed: BTreeMap::new(),
        }
    }

    /// The further rules of the mounts, in the order of their descriptors.
    pub(crate) fn with_marks(mut self, mounts: &[Mark]) -> Self {
        let special = (FIRST_MOUNT..)
            .zip(mounts)
            .filter(|(_, mark)| !mark.is_plain());
        self.marks = special.map(|(fd, mark)| (fd, mark.clone())).collect();
        self
    }

    fn quota(&self, descriptor: u32) -> Option<Arc<Quota>> {
        self.marks.get(&descriptor)?.quota.clone()
    }

    fn is_fixed(&self, descriptor: u32) -> bool {
        let mark = self.marks.get(&descriptor);
        mark.is_some_and(|mark| mark.fixed.is_some())
    }

    /// Whether a name can move between two folders.
    fn is_same_filesystem(&self, one: u32, other: u32) -> bool {
        let plain = Mark::default();
        let mark = |descriptor| self.marks.get(&descriptor).unwrap_or(&plain);
        mark(one).is_same_filesystem(mark(other))
    }

    /// Room for one more descriptor, or the errno that says why not.
    fn reserve(&self) -> Result<FileSlot, i32> {
        if self.open.len() >= self.limit as usize {
            return Err(EMFILE);
        }
        self.budget.take().ok_or(ENFILE)
    }

    fn opened(&mut self, descriptor: u32, slot: FileSlot, read_only: bool, mark: Option<Mark>) {
        self.open.insert(descriptor, slot);
        if let Some(mark) = mark {
            self.marks.insert(descriptor, mark);
        }
        if read_only {
            self.read_only.insert(descriptor);
        }
    }

    fn closed(&mut self, descriptor: u32) {
        self.open.remove(&descriptor);
        self.read_only.remove(&descriptor);
        self.marks.remove(&descriptor);
        self.listed.remove(&descriptor);
    }

    /// `to` was closed, and what was `from` has its number now.
    fn renumbered(&mut self, from: u32, to: u32) {
        self.closed(to);
        if let Some(slot) = self.open.remove(&from) {
            self.open.insert(to, slot);
        }
        if self.read_only.remove(&from) {
            self.read_only.insert(to);
        }
        if let Some(mark) = self.marks.remove(&from) {
            self.marks.insert(to, mark);
        }
        if let Some(place) = self.listed.remove(&from) {
            self.listed.insert(to, place);
        }
    }
}

/// Whether a function makes, moves or removes names, or only changes what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Makes,
    Removes,
    /// A name goes from the first folder to the second.
    Moves,
    /// A file in the first folder gets another name in the second.
    Links,
    Content,
}

/// What the rules of the mounts say before a function is called: an errno if it must not be.
async fn refused(files: &Account, change: Change, fds: &[u32]) -> Option<i32> {
    let last = *fds.last()?;
    if change != Change::Content && fds.iter().any(|fd| files.is_fixed(*fd)) {
        return Some(EROFS);
    }
    if matches!(change, Change::Moves | Change::Links) && !files.is_same_filesystem(fds[0], last) {
        return Some(EXDEV);
    }
    let quota = files.quota(last)?;
    match change {
        Change::Makes | Change::Links if !quota.take_entry().await => return Some(ENOSPC),
        Change::Removes | Change::Moves => quota.loses_name(),
        Change::Makes | Change::Links | Change::Content => {}
    }
    None
}

/// Replaces a function by one that keeps the rules of mounts, and answers EROFS where the original answers EPERM because
/// of a read-only mount. `$fd` are the parameters that name the descriptors concerned.
macro_rules! read_only_is_erofs {
    ($linker:ident, $change:ident, $function:ident, ($($param:ident: $type:ty),*), [$($fd:ident),+]) => {
        $linker.func_wrap_async(
            MODULE,
            stringify!($function),
            |mut caller: Caller<'_, P1State>, ($($param,)*): ($($type,)*)| {
                Box::new(async move {
                    let memory = memory(&mut caller)?;
                    let (mut memory, state) = enter(&memory, &mut caller);
                    if let Some(errno) = refused(&state.files, Change::$change, &[$($fd as u32),+]).await {
                        return wasmtime::Result::Ok(errno);
                    }
                    let errno = p1::$function(&mut *state.wasi, &mut memory, $($param),*).await?;
                    let read_only = [$($fd as u32),+].iter().any(|fd| state.files.read_only.contains(fd));
                    wasmtime::Result::Ok(if errno == EPERM && read_only { EROFS } else { errno })
                })
            },
        )?;
    };
}

/// Puts the wrapped functions in front of the originals. The linker must allow shadowing.
pub(crate) fn guard(linker: &mut Linker<P1State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "path_open", |caller, params| {
        Box::new(path_open(caller, params))
    })?;
    linker.func_wrap_async(MODULE, "fd_close", |caller, params| {
        Box::new(fd_close(caller, params))
    })?;
    linker.func_wrap_async(MODULE, "fd_renumber", |caller, params| {
        Box::new(fd_renumber(caller, params))
    })?;
    read_only_is_erofs!(linker, Makes, path_create_directory, (fd: i32, path: i32, length: i32), [fd]);
    read_only_is_erofs!(linker, Removes, path_remove_directory, (fd: i32, path: i32, length: i32), [fd]);
    read_only_is_erofs!(linker, Removes, path_unlink_file, (fd: i32, path: i32, length: i32), [fd]);
    read_only_is_erofs!(
        linker,
        Moves,
        path_rename,
        (old_fd: i32, old: i32, old_length: i32, new_fd: i32, new: i32, new_length: i32),
        [old_fd, new_fd]
    );
    read_only_is_erofs!(
        linker,
        Links,
        path_link,
        (old_fd: i32, flags: i32, old: i32, old_length: i32, new_fd: i32, new: i32, new_length: i32),
        [old_fd, new_fd]
    );
    read_only_is_erofs!(
        linker,
        Makes,
        path_symlink,
        (target: i32, target_length: i32, fd: i32, path: i32, length: i32),
        [fd]
    );
    read_only_is_erofs!(
        linker,
        Content,
        path_filestat_set_times,
        (fd: i32, flags: i32, path: i32, length: i32, accessed: i64, modified: i64, which: i32),
        [fd]
    );
    limited::guard(linker)?;
    listing::guard(linker)?;
    read_only_is_erofs!(
        linker,
        Content,
        fd_filestat_set_times,
        (fd: i32, accessed: i64, modified: i64, which: i32),
        [fd]
    );
    Ok(())
}

type OpenParams = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

async fn path_open(mut caller: Caller<'_, P1State>, params: OpenParams) -> wasmtime::Result<i32> {
    let (dir, dir_flags, path, length, oflags, rights, inheriting, fd_flags, opened) = params;
    let memory = memory(&mut caller)?;
    let (mut memory, state) = enter(&memory, &mut caller);
    let slot = match state.files.reserve() {
        Ok(slot) => slot,
        Err(errno) => return Ok(errno),
    };
    let mark = match state.files.marks.get(&(dir as u32)) {
        Some(mark) => {
            let name = GuestPtr::<str>::new((path as u32, length as u32));
            // What is no text is refused by the original.
            let name = memory.as_cow_str(name).map(|name| name.into_owned());
            Some(mark.opened(&name.unwrap_or_default()))
        }
        None => None,
    };
    let wanted = Wanted {
        create: oflags & OFLAGS_CREAT != 0,
        exclusive: oflags & OFLAGS_EXCL != 0,
    };
    let rules = creation(mark.as_ref(), wanted).await;
    let asked = oflags;
    let oflags = match rules.missing {
        Some(_) => oflags & !(OFLAGS_CREAT | OFLAGS_EXCL),
        None => oflags,
    };
    let errno = p1::path_open(
        &mut *state.wasi,
        &mut memory,
        dir,
        dir_flags,
        path,
        length,
        oflags,
        rights,
        inheriting,
        fd_flags,
        opened,
    )
    .await?;
    let read_only = state.files.read_only.contains(&(dir as u32));
    match errno {
        SUCCESS => {
            let descriptor: u32 = memory.read(GuestPtr::new(opened as u32))?;
            if rules.must_be_new {
                p1::fd_close(&mut *state.wasi, &mut memory, descriptor as i32).await?;
                return Ok(EEXIST);
            }
            state.files.opened(descriptor, slot, read_only, mark);
            Ok(SUCCESS)
        }
        ENOENT => Ok(match rules.missing {
            Some(Refused::ReadOnly) => EROFS,
            Some(Refused::Full) => ENOSPC,
            None => ENOENT,
        }),
        EPERM if read_only && writes(asked, rights) => Ok(EROFS),
        errno => Ok(errno),
    }
}

fn writes(oflags: i32, rights: i64) -> bool {
    oflags & (OFLAGS_CREAT | OFLAGS_TRUNC) != 0 || rights & RIGHTS_FD_WRITE != 0
}

async fn fd_close(mut caller: Caller<'_, P1State>, (fd,): (i32,)) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (mut memory, state) = enter(&memory, &mut caller);
    let errno = p1::fd_close(&mut *state.wasi, &mut memory, fd).await?;
    if errno == SUCCESS {
        state.files.closed(fd as u32);
    }
    Ok(errno)
}

/// `to` is closed if it was open, and `from` takes its number.
async fn fd_renumber(
    mut caller: Caller<'_, P1State>,
    (from, to): (i32, i32),
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (mut memory, state) = enter(&memory, &mut caller);
    let errno = p1::fd_renumber(&mut *state.wasi, &mut memory, from, to).await?;
    if errno == SUCCESS && from != to {
        state.files.renumbered(from as u32, to as u32);
    }
    Ok(errno)
}

pub(crate) fn memory(caller: &mut Caller<'_, P1State>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(wasmtime::Error::msg(
            "the module does not export its memory",
        )),
    }
}

/// The guest's memory beside its state, with the budget of one host call.
pub(crate) fn enter<'a>(
    memory: &Memory,
    caller: &'a mut Caller<'_, P1State>,
) -> (GuestMemory<'a>, &'a mut P1State) {
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (data, state) = memory.data_and_store_mut(caller);
    state.wasi.set_hostcall_fuel(fuel);
    (GuestMemory::Unshared(data), state)
}
