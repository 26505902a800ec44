//! Tells when something in a folder changes, with one inotify instance for the whole node (users
//! have 128 by default, followers may be more).

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Bytes of one read: dozens of events.
const READ: usize = 4096;

pub(crate) struct FolderWatch {
    fd: AsyncFd<OwnedFd>,
    /// By watch descriptor: a counter of changes and how many listen.
    folders: Mutex<HashMap<i32, (watch::Sender<u64>, usize)>>,
}

/// One listener; dropping it ends its watch.
pub(crate) struct Changes {
    owner: Arc<FolderWatch>,
    descriptor: i32,
    changed: watch::Receiver<u64>,
}

impl FolderWatch {
    pub(crate) fn new() -> io::Result<Arc<FolderWatch>> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; this descriptor is owned and stays"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Arc::new(FolderWatch {
            fd,
            folders: Mutex::default(),
        }))
    }

    /// Listens to a folder. What changes after this call is told.
    pub(crate) fn listen(self: &Arc<FolderWatch>, folder: &Path) -> io::Result<Changes> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        let mut folders = self.folders.lock();
        // The same folder gives the same descriptor again.
        let descriptor = inotify::add_watch(self.fd.get_ref(), folder, flags)?;
        let (sender, listeners) = folders
            .entry(descriptor)
            .or_insert_with(|| (watch::Sender::new(0), 0));
        *listeners += 1;
        Ok(Changes {
            owner: self.clone(),
            descriptor,
            changed: sender.subscribe(),
        })
    }

    /// Passes on what the kernel tells until shutdown.
    pub(crate) async fn run(self: Arc<FolderWatch>, shutdown: CancellationToken) {
        loop {
            let ready = tokio::select! {
                ready = self.fd.readable() => ready,
                () = shutdown.cancelled() => return,
            };
            let Ok(mut ready) = ready else { return };
            let mut buffer = [const { MaybeUninit::uninit() }; READ];
            let mut reader = inotify::Reader::new(self.fd.get_ref(), &mut buffer);
            loop {
                match reader.next() {
                    Ok(event) => self.tell(event.wd()),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::AGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    Err(error) => {
                        tracing::error!(%error, "log changes can no longer be watched");
                        return;
                    }
                }
            }
        }
    }

    fn tell(&self, descriptor: i32) {
        let folders = self.folders.lock();
        match folders.get(&descriptor) {
            Some((sender, _)) => sender.send_modify(|changes| *changes = changes.wrapping_add(1)),
            // The kernel's queue overflowed (descriptor -1): everybody looks.
            None if descriptor < 0 => {
                for (sender, _) in folders.values() {
                    sender.send_modify(|changes| *changes = changes.wrapping_add(1));
                }
            }
            None => {}
        }
    }
}

impl Changes {
    /// Waits for a change since the last call.
    pub(crate) async fn next(&mut self) {
        if self.changed.changed().await.is_err() {
            // The sender lives as long as its listeners.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let mut folders = self.owner.folders.lock();
        let last = folders
            .get_mut(&self.descriptor)
            .is_some_and(|(_, listeners)| {
                *listeners -= 1;
                *listeners == 0
            });
        if last {
            folders.remove(&self.descriptor);
            // Fails when the folder is gone: then the kernel removed the watch itself.
            inotify::remove_watch(self.owner.fd.get_ref(), self.descriptor).ok();
        }
    }
}
