//! Termination messages: the file a container writes why it ends into, and the log's tail instead.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;
use sampan_proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};

use crate::content::Limit;
use crate::cri::Observed;
use crate::limits::{
    TERMINATION_FILE_MAX, TERMINATION_LOG_BYTES, TERMINATION_LOG_LINES, TERMINATION_MESSAGE_MAX,
};
use crate::plan::Run;

/// Where a container finds the file unless told otherwise.
const DEFAULT_MESSAGE_PATH: &str = "/dev/termination-log";

/// The file on the host.
pub(super) fn message_path(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir
        .join("containers")
        .join(container)
        .join(attempt.to_string())
}

/// The file a container writes why it ends into, empty at first.
pub(super) fn message_file(
    container: &Container,
    pod_dir: &Path,
    attempt: u32,
) -> std::io::Result<(v1::Mount, Limit)> {
    let host = message_path(pod_dir, &container.name, attempt);
    if let Some(parent) = host.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::File::create(&host)?;
    let path = container
        .termination_message_path
        .as_deref()
        .filter(|path| !path.is_empty());
    let host_path = host.to_string_lossy().into_owned();
    let limit = Limit {
        path: host_path.clone(),
        bytes: TERMINATION_FILE_MAX,
    };
    let mount = v1::Mount {
        container_path: path.unwrap_or(DEFAULT_MESSAGE_PATH).to_owned(),
        host_path,
        ..v1::Mount::default()
    };
    Ok((mount, limit))
}

/// Adds the termination message to a container that has ended.
pub(crate) async fn finished(mut observed: Observed) -> Observed {
    let Some(Run::Exited(exit)) = &mut observed.run else {
        return observed;
    };
    let written = match &observed.message_file {
        Some(file) => read_end(Path::new(file)).await,
        None => String::new(),
    };
    if !written.is_empty() {
        exit.message = written;
    } else if observed.falls_back_to_log && exit.code != 0 && !observed.log_path.is_empty() {
        let tail = crate::logs::tail(
            Path::new(&observed.log_path),
            TERMINATION_LOG_LINES,
            TERMINATION_LOG_BYTES,
        )
        .await;
        if !tail.is_empty() {
            exit.message = tail;
        }
    }
    observed
}

/// The end of a termination message file, as text.
async fn read_end(path: &Path) -> String {
    let read = async {
        let mut file = tokio::fs::File::open(path).await?;
        let length = file.metadata().await?.len();
        let start = length.saturating_sub(TERMINATION_MESSAGE_MAX as u64);
        file.seek(SeekFrom::Start(start)).await?;
        let mut bytes = Vec::new();
        let mut file = file.take(TERMINATION_MESSAGE_MAX as u64);
        file.read_to_end(&mut bytes).await?;
        std::io::Result::Ok(bytes)
    };
    match read.await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}
