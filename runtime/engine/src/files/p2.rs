//! WASI p2: `wasi:filesystem/types` with limits and EROFS in front of wasmtime-wasi's own implementation.
//!
//! Every method delegates; what differs is that opening counts (the answer beyond the limit is `quota`, since p2 has
//! no code for too many open files) and that `not-permitted` because of a read-only mount becomes `read-only`.

mod account;
mod listing;
mod stream;

pub(crate) use account::Account;
pub(super) use account::{Change, Refusal};

use super::creation::{Refused, Wanted, creation};
use crate::state::ComponentState;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

/// Puts the guarded interface in front of the original. The linker must allow shadowing.
pub(crate) fn guard(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    types::add_to_linker::<ComponentState, HasFiles>(linker, files)?;
    preopens::add_to_linker::<ComponentState, HasFiles>(linker, files)
}

/// What a missing file means where none can be made.
fn missing(refused: Refused) -> ErrorCode {
    match refused {
        Refused::ReadOnly => ErrorCode::ReadOnly,
        Refused::Full => ErrorCode::InsufficientSpace,
    }
}

fn files(state: &mut ComponentState) -> Files<'_> {
    let (WasiCtxView { ctx, table }, account) = state.files();
    Files {
        wasi: WasiFilesystemCtxView {
            ctx: ctx.filesystem(),
            table,
        },
        account,
    }
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

struct Files<'a> {
    wasi: WasiFilesystemCtxView<'a>,
    account: &'a mut Account,
}

impl Files<'_> {
    fn is_read_only(&self, descriptor: u32) -> bool {
        let descriptor = Resource::<Descriptor>::new_borrow(descriptor);
        match self.wasi.table.get(&descriptor) {
            Ok(Descriptor::File(file)) => file.perms.write_not_permitted(),
            Ok(Descriptor::Dir(dir)) => dir.perms.write_not_permitted(),
            Err(_) => false,
        }
    }

    /// The answer to a write: a refusal because of a read-only mount says so.
    fn written<T>(&self, descriptors: &[u32], result: FsResult<T>) -> FsResult<T> {
        result.map_err(|error| match error.downcast_ref() {
            Some(ErrorCode::NotPermitted)
                if descriptors
                    .iter()
                    .any(|descriptor| self.is_read_only(*descriptor)) =>
            {
                ErrorCode::ReadOnly.into()
            }
            _ => error,
        })
    }
}

impl Files<'_> {
    /// The stream, within what the file's mount may hold.
    fn limited(
        &mut self,
        descriptor: u32,
        stream: Resource<DynOutputStream>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let Some(quota) = self.account.quota(descriptor) else {
            return Ok(stream);
        };
        let table = &mut self.wasi.table;
        let inner = table.delete(stream).map_err(FsError::trap)?;
        let limited: DynOutputStream = Box::new(stream::Limited::new(inner, quota));
        table.push(limited).map_err(FsError::trap)
    }
}

impl Files<'_> {
    fn may_stream(&self) -> FsResult<()> {
        match self.account.may_stream() {
            true => Ok(()),
            false => Err(ErrorCode::Quota.into()),
        }
    }
}

type Fd = Resource<Descriptor>;

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let directories = preopens::Host::get_directories(&mut self.wasi)?;
        self.account
            .told(directories.iter().map(|(fd, _)| fd.rep()));
        Ok(directories)
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.filesystem_error_code(error)
    }
}

impl HostDescriptor for Files<'_> {
    async fn advise(
        &mut self,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        self.wasi.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync_data(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.wasi.get_type(fd).await
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let rep = fd.rep();
        let result = self.wasi.set_size(fd, size).await;
        // Larger without a write: it takes no space yet, but counts from now on.
        if let Some(quota) = self.account.quota(rep) {
            quota.forget();
        }
        self.written(&[rep], result)
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let rep = fd.rep();
        let result = self.wasi.set_times(fd, accessed, modified).await;
        self.written(&[rep], result)
    }

    async fn read(
        &mut self,
        fd: Fd,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.wasi.read(fd, length, offset).await
    }

    async fn write(&mut self, fd: Fd, data: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let rep = fd.rep();
        let quota = self.account.quota(rep);
        let taken = match &quota {
            Some(quota) => {
                let taken = quota.take(data.len() as u64).await;
                Some(taken.ok_or(ErrorCode::InsufficientSpace)?)
            }
            None => None,
        };
        let result = self.wasi.write(fd, data, offset).await;
        drop(taken);
        self.written(&[rep], result)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let room = self.account.listing_room();
        let folder = match self.wasi.table.get(&fd).map_err(FsError::trap)? {
            Descriptor::Dir(dir) => dir.dir.clone(),
            // Refused by the original.
            Descriptor::File(_) => return self.wasi.read_directory(fd).await,
        };
        let bytes = listing::bytes(folder, room).await;
        let charge = bytes.and_then(|bytes| self.account.charge(bytes));
        let charge = charge.ok_or(ErrorCode::InsufficientMemory)?;
        let stream = self.wasi.read_directory(fd).await?;
        self.account.listed(stream.rep(), charge);
        Ok(stream)
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync(fd).await
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let rep = fd.rep();
        self.account.allowed(Change::Makes, &[rep]).await?;
        let result = self.wasi.create_directory_at(fd, path).await;
        self.written(&[rep], result)
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.wasi.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        self.wasi.stat_at(fd, flags, path).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let rep = fd.rep();
        let result = self
            .wasi
            .set_times_at(fd, flags, path, accessed, modified)
            .await;
        self.written(&[rep], result)
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FsResult<()> {
        let reps = [fd.rep(), new_fd.rep()];
        self.account.allowed(Change::Links, &reps).await?;
        let result = self.wasi.link_at(fd, flags, old, new_fd, new).await;
        self.written(&reps, result)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let Some(slot) = self.account.reserve() else {
            return Err(ErrorCode::Quota.into());
        };
        let rep = fd.rep();
        let writes = flags.contains(DescriptorFlags::WRITE)
            || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        let mark = self.account.marked(rep).map(|mark| mark.opened(&path));
        let wanted = Wanted {
            create: open_flags.contains(OpenFlags::CREATE),
            exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
        };
        let rules = creation(mark.as_ref(), wanted).await;
        let asked = match rules.missing {
            Some(_) => open_flags & !(OpenFlags::CREATE | OpenFlags::EXCLUSIVE),
            None => open_flags,
        };
        let result = self.wasi.open_at(fd, path_flags, path, asked, flags).await;
        let result = match (result, rules.missing) {
            (Err(error), Some(refused)) => match error.downcast_ref() {
                Some(ErrorCode::NoEntry) => return Err(missing(refused).into()),
                _ => Err(error),
            },
            (Ok(opened), _) if rules.must_be_new => {
                HostDescriptor::drop(&mut self.wasi, opened).map_err(FsError::trap)?;
                return Err(ErrorCode::Exist.into());
            }
            (result, _) => result,
        };
        if let Ok(opened) = &result {
            self.account.mark(opened.rep(), mark);
            match self.wasi.table.get(opened) {
                Ok(Descriptor::File(file)) => self.account.opened(&file.file, slot),
                Ok(Descriptor::Dir(dir)) => self.account.opened(&dir.dir, slot),
                Err(error) => return Err(FsError::trap(error)),
            }
        }
        if writes {
            self.written(&[rep], result)
        } else {
            result
        }
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.wasi, fd)?;
        self.account.closed();
        Ok(())
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.wasi.readlink_at(fd, path).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let rep = fd.rep();
        self.account.allowed(Change::Removes, &[rep]).await?;
        let result = self.wasi.remove_directory_at(fd, path).await;
        self.written(&[rep], result)
    }

    async fn rename_at(&mut self, fd: Fd, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        let reps = [fd.rep(), new_fd.rep()];
        self.account.allowed(Change::Moves, &reps).await?;
        let result = self.wasi.rename_at(fd, old, new_fd, new).await;
        self.written(&reps, result)
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let rep = fd.rep();
        self.account.allowed(Change::Makes, &[rep]).await?;
        let result = self.wasi.symlink_at(fd, target, path).await;
        self.written(&[rep], result)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let rep = fd.rep();
        self.account.allowed(Change::Removes, &[rep]).await?;
        let result = self.wasi.unlink_file_at(fd, path).await;
        self.written(&[rep], result)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.may_stream()?;
        self.wasi.read_via_stream(fd, offset)
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.may_stream()?;
        let rep = fd.rep();
        let result = self.wasi.write_via_stream(fd, offset);
        let stream = self.written(&[rep], result)?;
        self.limited(rep, stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.may_stream()?;
        let rep = fd.rep();
        let result = self.wasi.append_via_stream(fd);
        let stream = self.written(&[rep], result)?;
        self.limited(rep, stream)
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash_at(fd, flags, path).await
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.wasi.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.account.unlisted(stream.rep());
        HostDirectoryEntryStream::drop(&mut self.wasi, stream)
    }
}
