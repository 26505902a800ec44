//! WASI p3: limits and EROFS in front of wasmtime-wasi's own functions of `wasi:filesystem/types`.
//!
//! The rules are those of p2 (see `p2`), and the account of open files is the same. Only functions that open or write
//! are wrapped; each calls the original and corrects its answer.

mod limited;

use super::creation::{Refused, Wanted, creation};
use super::p2::Change;
use crate::state::ComponentState;
use wasmtime::StoreContextMut;
use wasmtime::component::{Access, Accessor, FutureReader, Linker, Resource, StreamReader};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, Filesize, HostDescriptorWithStore, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p3::filesystem::FilesystemResult;

/// The interface as wasmtime-wasi defines it; guests of other 0.3 versions are linked to it.
const INTERFACE: &str = "wasi:filesystem/types@0.3.0";

type Fd = Resource<Descriptor>;
type Files = Accessor<ComponentState, WasiFilesystem>;
type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;
type Written = FutureReader<Result<(), ErrorCode>>;

/// Longest path, as Linux has it. Calls wait side by side here, for a full volume or a free thread, each with its own.
const MAX_PATH_BYTES: usize = 4_096;

/// Replaces a function that writes by one that says `read-only` where the original says `not-permitted` because of
/// a read-only mount. `$fd` are the parameters that name the descriptors concerned, `$path` those that are paths.
macro_rules! read_only_is_said {
    ($interface:ident, $name:literal, $change:expr, $function:ident, ($($param:ident: $type:ty),*), [$($fd:ident),+], [$($path:ident),*]) => {
        $interface.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |accessor: &Accessor<ComponentState>, ($($param,)*): ($($type,)*)| {
                Box::pin(async move {
                    let reps = [$($fd.rep()),+];
                    if too_long(&[$(&$path),*]) {
                        return Ok((Err(ErrorCode::NameTooLong),));
                    }
                    if let Some(error) = limited::refused(accessor, $change, &reps).await {
                        return Ok((Err(error),));
                    }
                    let files = files(accessor);
                    let result = WasiFilesystem::$function(&files, $($param),*).await;
                    written(&files, &reps, result)
                })
            },
        )?;
    };
}

/// Replaces a function that only reads by one that refuses long paths.
macro_rules! paths_are_short {
    ($interface:ident, $name:literal, $function:ident, ($($param:ident: $type:ty),*), $path:ident) => {
        $interface.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |accessor: &Accessor<ComponentState>, ($($param,)*): ($($type,)*)| {
                Box::pin(async move {
                    if too_long(&[&$path]) {
                        return Ok((Err(ErrorCode::NameTooLong),));
                    }
                    let files = files(accessor);
                    written(&files, &[], WasiFilesystem::$function(&files, $($param),*).await)
                })
            },
        )?;
    };
}

/// Puts the wrapped functions in front of the originals. The linker must allow shadowing.
pub(crate) fn guard(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    read_only_is_said!(interface, "set-size", None, set_size, (fd: Fd, size: Filesize), [fd], []);
    read_only_is_said!(
        interface,
        "set-times",
        None,
        set_times,
        (fd: Fd, accessed: NewTimestamp, modified: NewTimestamp),
        [fd],
        []
    );
    read_only_is_said!(interface, "create-directory-at", Some(Change::Makes), create_directory_at, (fd: Fd, path: String), [fd], [path]);
    read_only_is_said!(
        interface,
        "set-times-at",
        None,
        set_times_at,
        (fd: Fd, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp),
        [fd],
        [path]
    );
    read_only_is_said!(
        interface,
        "link-at",
        Some(Change::Links),
        link_at,
        (fd: Fd, flags: PathFlags, old: String, new_fd: Fd, new: String),
        [fd, new_fd],
        [old, new]
    );
    read_only_is_said!(interface, "remove-directory-at", Some(Change::Removes), remove_directory_at, (fd: Fd, path: String), [fd], [path]);
    read_only_is_said!(
        interface,
        "rename-at",
        Some(Change::Moves),
        rename_at,
        (fd: Fd, old: String, new_fd: Fd, new: String),
        [fd, new_fd],
        [old, new]
    );
    read_only_is_said!(interface, "symlink-at", Some(Change::Makes), symlink_at, (fd: Fd, target: String, path: String), [fd], [target, path]);
    read_only_is_said!(interface, "unlink-file-at", Some(Change::Removes), unlink_file_at, (fd: Fd, path: String), [fd], [path]);
    paths_are_short!(interface, "stat-at", stat_at, (fd: Fd, flags: PathFlags, path: String), path);
    paths_are_short!(interface, "readlink-at", readlink_at, (fd: Fd, path: String), path);
    paths_are_short!(interface, "metadata-hash-at", metadata_hash_at, (fd: Fd, flags: PathFlags, path: String), path);
    interface.func_wrap_concurrent("[method]descriptor.open-at", |accessor, params| {
        Box::pin(open_at(accessor, params))
    })?;
    interface.func_wrap("[method]descriptor.write-via-stream", write_via_stream)?;
    interface.func_wrap("[method]descriptor.append-via-stream", append_via_stream)?;
    interface.resource(
        "descriptor",
        wasmtime::component::ResourceType::host::<Descriptor>(),
        |mut store, rep| {
            let fd = Resource::<Descriptor>::new_own(rep);
            let (view, account) = store.data_mut().files();
            view.table.delete(fd)?;
            account.closed();
            account.mark(rep, None);
            Ok(())
        },
    )?;
    limited::guard(linker)
}

fn files(accessor: &Accessor<ComponentState>) -> Files {
    accessor.with_getter::<WasiFilesystem>(ComponentState::filesystem)
}

fn too_long(paths: &[&String]) -> bool {
    paths.iter().any(|path| path.len() > MAX_PATH_BYTES)
}

type OpenParams = (Fd, PathFlags, String, OpenFlags, DescriptorFlags);

async fn open_at(
    accessor: &Accessor<ComponentState>,
    (fd, path_flags, path, open_flags, flags): OpenParams,
) -> Answer<Fd> {
    if too_long(&[&path]) {
        return Ok((Err(ErrorCode::NameTooLong),));
    }
    let Some(slot) = accessor.with(|mut store| store.get().files().1.reserve()) else {
        return Ok((Err(ErrorCode::Quota),));
    };
    let rep = fd.rep();
    let writes = flags.contains(DescriptorFlags::WRITE)
        || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
    let files = files(accessor);
    let mark = accessor.with(|mut store| {
        let account = store.get().files().1;
        account.marked(rep).map(|mark| mark.opened(&path))
    });
    let wanted = Wanted {
        create: open_flags.contains(OpenFlags::CREATE),
        exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
    };
    let rules = creation(mark.as_ref(), wanted).await;
    let asked = match rules.missing {
        Some(_) => open_flags & !(OpenFlags::CREATE | OpenFlags::EXCLUSIVE),
        None => open_flags,
    };
    let opened = WasiFilesystem::open_at(&files, fd, path_flags, path, asked, flags).await;
    let opened = match opened {
        Ok(opened) if rules.must_be_new => {
            accessor.with(|mut store| store.get().files().0.table.delete(opened))?;
            return Ok((Err(ErrorCode::Exist),));
        }
        Err(error) => match (error.downcast()?, rules.missing) {
            (ErrorCode::NoEntry, Some(Refused::ReadOnly)) => {
                return Ok((Err(ErrorCode::ReadOnly),));
            }
            (ErrorCode::NoEntry, Some(Refused::Full)) => {
                return Ok((Err(ErrorCode::InsufficientSpace),));
            }
            (error, _) => Err(error.into()),
        },
        opened => opened,
    };
    if let Ok(opened) = &opened {
        accessor.with(|mut store| -> wasmtime::Result<()> {
            let (view, account) = store.get().files();
            match view.table.get(opened)? {
                Descriptor::File(file) => account.opened(&file.file, slot),
                Descriptor::Dir(dir) => account.opened(&dir.dir, slot),
            }
            account.mark(opened.rep(), mark);
            Ok(())
        })?;
    }
    let reps = [rep];
    written(&files, if writes { &reps } else { &[] }, opened)
}

/// The answer to a write: a refusal because of a read-only mount says so.
fn written<T>(files: &Files, reps: &[u32], result: FilesystemResult<T>) -> Answer<T> {
    let error = match result {
        Ok(value) => return Ok((Ok(value),)),
        Err(error) => error.downcast()?,
    };
    let read_only =
        || files.with(|mut store| reps.iter().any(|rep| is_read_only(store.data_mut(), *rep)));
    Ok((Err(match error {
        ErrorCode::NotPermitted if read_only() => ErrorCode::ReadOnly,
        error => error,
    }),))
}

fn is_read_only(state: &mut ComponentState, rep: u32) -> bool {
    let descriptor = Resource::<Descriptor>::new_borrow(rep);
    match state.files().0.table.get(&descriptor) {
        Ok(Descriptor::File(file)) => file.perms.write_not_permitted(),
        Ok(Descriptor::Dir(dir)) => dir.perms.write_not_permitted(),
        Err(_) => false,
    }
}

fn write_via_stream(
    mut store: StoreContextMut<'_, ComponentState>,
    (fd, data, offset): (Fd, StreamReader<u8>, Filesize),
) -> wasmtime::Result<(Written,)> {
    let data = match writable(&mut store, &fd, data)? {
        Ok(data) => data,
        Err(refused) => return Ok((refused,)),
    };
    let data = match limited::piped(&mut store, &fd, data, Some(offset))? {
        Ok(data) => data,
        Err(written) => return Ok((written,)),
    };
    let files = Access::<_, WasiFilesystem>::new(store, ComponentState::filesystem);
    Ok((WasiFilesystem::write_via_stream(files, fd, data, offset)?,))
}

fn append_via_stream(
    mut store: StoreContextMut<'_, ComponentState>,
    (fd, data): (Fd, StreamReader<u8>),
) -> wasmtime::Result<(Written,)> {
    let data = match writable(&mut store, &fd, data)? {
        Ok(data) => data,
        Err(refused) => return Ok((refused,)),
    };
    let data = match limited::piped(&mut store, &fd, data, None)? {
        Ok(data) => data,
        Err(written) => return Ok((written,)),
    };
    let files = Access::<_, WasiFilesystem>::new(store, ComponentState::filesystem);
    Ok((WasiFilesystem::append_via_stream(files, fd, data)?,))
}

/// The data back if it may be written, else the answer.
fn writable(
    store: &mut StoreContextMut<'_, ComponentState>,
    fd: &Fd,
    mut data: StreamReader<u8>,
) -> wasmtime::Result<Result<StreamReader<u8>, Written>> {
    if !is_read_only(store.data_mut(), fd.rep()) {
        return Ok(Ok(data));
    }
    data.close(&mut *store)?;
    let answer = async { Ok::<_, wasmtime::Error>(Err(ErrorCode::ReadOnly)) };
    Ok(Err(FutureReader::new(&mut *store, answer)?))
}
