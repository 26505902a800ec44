//! A stream into a file of a mount that may hold only so much.

use crate::files::quota::{self, Quota};
use bytes::Bytes;
use std::sync::Arc;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

/// What is taken from the quota at once.
const CHUNK: u64 = 64 << 10;

pub(super) struct Limited {
    inner: DynOutputStream,
    quota: Arc<Quota>,
    /// Taken and not yet written.
    room: u64,
    full: bool,
}

impl Limited {
    pub(super) fn new(inner: DynOutputStream, quota: Arc<Quota>) -> Self {
        Limited {
            inner,
            quota,
            room: 0,
            full: false,
        }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.quota.give_back(self.room);
    }
}

#[async_trait::async_trait]
impl Pollable for Limited {
    async fn ready(&mut self) {
        self.inner.ready().await;
        if self.room == 0 {
            self.room = self.quota.take_some(CHUNK).await;
            self.full = self.room == 0;
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for Limited {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len() as u64;
        if length > self.room {
            let message = "more is written than check-write permitted";
            return Err(StreamError::Trap(wasmtime::Error::msg(message)));
        }
        self.room -= length;
        let begun = self.inner.write(bytes);
        self.quota.wrote(length);
        begun
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let permitted = self.inner.check_write()?;
        if self.room == 0 {
            self.room = self.quota.take_now(CHUNK);
        }
        // Full only if it was measured: without room the guest waits for that.
        if self.room == 0 && std::mem::take(&mut self.full) {
            let error = quota::full();
            return Err(StreamError::LastOperationFailed(error.into()));
        }
        Ok(permitted.min(usize::try_from(self.room).unwrap_or(usize::MAX)))
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::quota::Quotas;
    use std::io::{self, Write as _};

    /// Writes to a file at once.
    struct Plain(std::fs::File);

    #[async_trait::async_trait]
    impl Pollable for Plain {
        async fn ready(&mut self) {}
    }

    impl OutputStream for Plain {
        fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
            self.0.write_all(&bytes).expect("the disk has room");
            Ok(())
        }

        fn flush(&mut self) -> StreamResult<()> {
            Ok(())
        }

        fn check_write(&mut self) -> StreamResult<usize> {
            Ok(1 << 20)
        }
    }

    #[tokio::test]
    async fn a_stream_fills_its_volume_to_the_last_byte() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let root = temp.path().canonicalize().expect("it exists");
        let quota = Quotas::default().of(&root, 100_000);
        let open = |name: &str| {
            let file = std::fs::File::create(root.join(name)).expect("made");
            Limited::new(Box::new(Plain(file)), quota.clone())
        };
        // Takes room and gives it back unused.
        let mut idle = open("idle");
        idle.ready().await;
        drop(idle);
        let mut stream = open("f");
        let full = loop {
            stream.ready().await;
            match stream.check_write() {
                Ok(permitted) => {
                    let length = permitted.min(40_000);
                    stream
                        .write(Bytes::from(vec![0; length]))
                        .expect("permitted");
                }
                Err(error) => break error,
            }
        };
        let StreamError::LastOperationFailed(error) = full else {
            panic!("{full:?}");
        };
        let code = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        assert_eq!(code, quota::full().raw_os_error());
        let length = std::fs::metadata(root.join("f")).expect("there").len();
        assert_eq!(length, 100_000);
        std::fs::write(root.join("f"), "").expect("emptied");
        stream.ready().await;
        assert!(stream.check_write().expect("there is room again") > 0);
    }
}
