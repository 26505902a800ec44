//! Writes and new files in mounts that may hold only so much, and in folders whose names are fixed.

use super::Written;
use crate::files::p2::{Change, Refusal};
use crate::files::quota::{self, Quota};
use crate::state::ComponentState;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, FutureReader, Linker, Resource, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

/// The interface that tells guests their mounts.
const PREOPENS: &str = "wasi:filesystem/preopens@0.3.0";

/// What is written at once.
const CHUNK: usize = 64 << 10;

pub(super) fn guard(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(PREOPENS)?;
    interface.func_wrap(
        "get-directories",
        |mut store: StoreContextMut<'_, ComponentState>, (): ()| {
            let (view, account) = store.data_mut().files();
            let mut wasi = WasiFilesystemCtxView {
                ctx: view.ctx.filesystem(),
                table: view.table,
            };
            let directories = preopens::Host::get_directories(&mut wasi)?;
            account.told(directories.iter().map(|(fd, _)| fd.rep()));
            Ok((directories,))
        },
    )?;
    Ok(())
}

/// What the rules of the mounts say before a function is called: the error if it must not be.
pub(super) async fn refused(
    accessor: &Accessor<ComponentState>,
    change: Option<Change>,
    descriptors: &[u32],
) -> Option<ErrorCode> {
    let Some(change) = change else {
        // Larger without a write: it takes no space yet, but counts from now on.
        let quota = accessor.with(|mut store| {
            let first = descriptors.first()?;
            store.get().files().1.quota(*first)
        });
        if let Some(quota) = quota {
            quota.forget();
        }
        return None;
    };
    let ruling = accessor.with(|mut store| store.get().files().1.ruling(change, descriptors));
    match ruling {
        Err(Refusal::ReadOnly) => Some(ErrorCode::ReadOnly),
        Err(Refusal::CrossDevice) => Some(ErrorCode::CrossDevice),
        Ok(Some(quota)) if !quota.take_entry().await => Some(ErrorCode::InsufficientSpace),
        Ok(_) => None,
    }
}

/// Takes the data to a file of a limited mount, and answers when it is there; gives it back if the mount has no limit.
pub(super) fn piped(
    store: &mut StoreContextMut<'_, ComponentState>,
    fd: &Resource<Descriptor>,
    data: StreamReader<u8>,
    offset: Option<u64>,
) -> wasmtime::Result<Result<StreamReader<u8>, Written>> {
    let (view, account) = store.data_mut().files();
    let (Some(quota), Descriptor::File(file)) = (account.quota(fd.rep()), view.table.get(fd)?)
    else {
        return Ok(Ok(data));
    };
    let (tell, told) = oneshot::channel();
    let writer = Writer {
        file: file.file.clone(),
        offset,
        quota,
        tell: Some(tell),
        under_way: None,
    };
    data.pipe(&mut *store, writer)?;
    Ok(Err(FutureReader::new(&mut *store, told)?))
}

/// Writes what comes, as long as there is room.
struct Writer {
    file: Arc<File>,
    /// Where the next byte goes; the end of the file if it is none.
    offset: Option<u64>,
    quota: Arc<Quota>,
    tell: Option<oneshot::Sender<Result<(), ErrorCode>>>,
    under_way: Option<Pin<Box<dyn Future<Output = io::Result<usize>> + Send>>>,
}

impl Writer {
    fn close(&mut self, result: Result<(), ErrorCode>) {
        if let Some(tell) = self.tell.take() {
            // The guest may not ask how it went.
            let _unheard = tell.send(result);
        }
    }

    fn write(&self, data: &[u8]) -> Pin<Box<dyn Future<Output = io::Result<usize>> + Send>> {
        let data = data[..data.len().min(CHUNK)].to_vec();
        let (file, quota, offset) = (self.file.clone(), self.quota.clone(), self.offset);
        Box::pin(async move {
            let Some(_taken) = quota.take(data.len() as u64).await else {
                return Err(quota::full());
            };
            let written = tokio::task::spawn_blocking(move || {
                let at = match offset {
                    Some(offset) => offset,
                    None => file.metadata()?.len(),
                };
                file.write_all_at(&data, at)?;
                Ok(data.len())
            });
            written.await.map_err(io::Error::other)?
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

impl<D> StreamConsumer<D> for Writer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let me = &mut *self;
        if me.under_way.is_none() {
            me.under_way = Some(me.write(source.remaining()));
        }
        let Some(under_way) = &mut me.under_way else {
            return Poll::Ready(Ok(StreamResult::Completed));
        };
        let Poll::Ready(written) = under_way.as_mut().poll(cx) else {
            if !finish {
                return Poll::Pending;
            }
            // What waits for room is given up; a write that has begun may still reach the file.
            me.under_way = None;
            return Poll::Ready(Ok(StreamResult::Cancelled));
        };
        me.under_way = None;
        Poll::Ready(Ok(match written {
            Ok(length) => {
                source.mark_read(length);
                me.offset = me.offset.map(|offset| offset.saturating_add(length as u64));
                StreamResult::Completed
            }
            Err(error) => {
                me.close(Err(error.into()));
                StreamResult::Dropped
            }
        }))
    }
}
