//! Writes and new files in mounts that may hold only so much, and in folders whose names are fixed.

use super::*;

pub(super) fn guard(linker: &mut Linker<P1State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "fd_write", begin_write)?;
    linker.func_wrap_async(MODULE, "fd_pwrite", |caller, params| {
        Box::new(fd_pwrite(caller, params))
    })?;
    linker.func_wrap_async(MODULE, "fd_filestat_set_size", |caller, params| {
        Box::new(set_size(caller, params))
    })?;
    Ok(())
}

/// Not part of who calls it: the future is large, and made on the guest's stack, of which one page is all that many
/// guests ever touch.
#[inline(never)]
fn begin_write<'a>(
    caller: Caller<'a, P1State>,
    params: (i32, i32, i32, i32),
) -> Box<dyn Future<Output = wasmtime::Result<i32>> + Send + 'a> {
    Box::new(fd_write(caller, params))
}

async fn fd_write(
    mut caller: Caller<'_, P1State>,
    (fd, parts, count, written): (i32, i32, i32, i32),
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (mut memory, state) = enter(&memory, &mut caller);
    let quota = state.files.quota(fd as u32);
    let taken = match &quota {
        Some(quota) => match quota.take(first(&memory, parts, count)).await {
            Some(taken) => Some(taken),
            None => return Ok(ENOSPC),
        },
        None => None,
    };
    let errno = p1::fd_write(&mut *state.wasi, &mut memory, fd, parts, count, written).await?;
    drop(taken);
    Ok(errno)
}

async fn fd_pwrite(
    mut caller: Caller<'_, P1State>,
    (fd, parts, count, offset, written): (i32, i32, i32, i64, i32),
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (mut memory, state) = enter(&memory, &mut caller);
    let quota = state.files.quota(fd as u32);
    let taken = match &quota {
        Some(quota) => match quota.take(first(&memory, parts, count)).await {
            Some(taken) => Some(taken),
            None => return Ok(ENOSPC),
        },
        None => None,
    };
    let wasi = &mut *state.wasi;
    let errno = p1::fd_pwrite(wasi, &mut memory, fd, parts, count, offset, written).await?;
    drop(taken);
    Ok(errno)
}

async fn set_size(
    mut caller: Caller<'_, P1State>,
    (fd, size): (i32, i64),
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (mut memory, state) = enter(&memory, &mut caller);
    let errno = p1::fd_filestat_set_size(&mut *state.wasi, &mut memory, fd, size).await?;
    // Larger without a write: it takes no space yet, but counts from now on.
    if let Some(quota) = state.files.quota(fd as u32) {
        quota.forget();
    }
    let read_only = state.files.read_only.contains(&(fd as u32));
    Ok(if errno == EPERM && read_only {
        EROFS
    } else {
        errno
    })
}

/// The length of the first part that is not empty: no more is written by one call. What cannot be read counts nothing:
/// the original refuses it.
fn first(memory: &GuestMemory<'_>, parts: i32, count: i32) -> u64 {
    for part in 0..count as u32 {
        let at = (parts as u32)
            .wrapping_add(part.wrapping_mul(8))
            .wrapping_add(4);
        match memory.read::<u32>(GuestPtr::new(at)) {
            Ok(0) => {}
            Ok(length) => return u64::from(length),
            Err(_) => return 0,
        }
    }
    0
}
