//! What can go wrong with an image, sorted by what a caller does about it.

use std::io;
use std::path::PathBuf;

use crate::reference::ReferenceError;

/// Why content could not be fetched from one place. Cheap to clone: waiters share one outcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The place answered that it has no such thing.
    #[error("not found: {0}")]
    NotFound(String),
    /// The place wants credentials, or other ones.
    #[error("pull access denied, repository does not exist or may require authorization: {0}")]
    Unauthorized(String),
    /// The place could not be reached or is not well; trying later may help.
    #[error("registry unavailable: {0}")]
    Unavailable(String),
    /// The place is not well and says when to come back.
    #[error("registry unavailable: {reason}")]
    Busy {
        /// What it said.
        reason: String,
        /// How long it wants to be left alone.
        wait: std::time::Duration,
    },
    /// What came is not what was promised, or nothing we can run.
    #[error("invalid image: {0}")]
    Invalid(String),
    /// What came is over a limit.
    #[error("image too large: {0}")]
    TooLarge(String),
    /// Our own disk failed.
    #[error("image store: {0}")]
    Storage(String),
}

impl FetchError {
    /// An error of our own disk, with the step that failed.
    pub(crate) fn storage(step: &str, error: &io::Error) -> FetchError {
        FetchError::Storage(format!("{step}: {}", explain(error)))
    }

    pub(crate) fn invalid(text: impl Into<String>) -> FetchError {
        FetchError::Invalid(text.into())
    }

    /// The same failure as the outcome of pulling `image`.
    pub(crate) fn of_image(self, image: &str) -> PullError {
        let image = image.to_owned();
        match self {
            FetchError::NotFound(_) => PullError::NotFound {
                image,
                reason: self,
            },
            FetchError::Unauthorized(_) => PullError::Unauthorized {
                image,
                reason: self,
            },
            FetchError::Unavailable(_) | FetchError::Busy { .. } => PullError::Unavailable {
                image,
                reason: self,
            },
            FetchError::Invalid(_) => PullError::Invalid {
                image,
                reason: self,
            },
            FetchError::TooLarge(_) => PullError::TooLarge {
                image,
                reason: self,
            },
            FetchError::Storage(_) => PullError::Storage {
                image,
                reason: self,
            },
        }
    }
}

/// A disk error with the remedy where there is one.
pub(crate) fn explain(error: &io::Error) -> String {
    format!("{error}{}", remedy(error))
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (free space on the data folder's disk)"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            " (the data folder must be writable)"
        }
        _ => "",
    }
}

/// Why an image could not be pulled. The text is complete: it names the image and the reason, which is
/// therefore no further source.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PullError {
    /// The reference cannot be read (kubectl shows InvalidImageName).
    #[error("failed to parse image name {image:?}: {reason}")]
    InvalidName {
        /// What was asked for.
        image: String,
        /// What is wrong with it.
        reason: ReferenceError,
    },
    /// No such repository, tag, digest or file.
    #[error("failed to pull image {image:?}: {reason}")]
    NotFound {
        /// What was asked for.
        image: String,
        /// The place's answer.
        reason: FetchError,
    },
    /// Credentials are missing or wrong.
    #[error("failed to pull image {image:?}: {reason}")]
    Unauthorized {
        /// What was asked for.
        image: String,
        /// The place's answer.
        reason: FetchError,
    },
    /// The registry cannot be reached.
    #[error("failed to pull image {image:?}: {reason}")]
    Unavailable {
        /// What was asked for.
        image: String,
        /// What failed.
        reason: FetchError,
    },
    /// Bad manifest, digest mismatch, unsupported media type, hostile layer.
    #[error("failed to pull image {image:?}: {reason}")]
    Invalid {
        /// What was asked for.
        image: String,
        /// What is wrong.
        reason: FetchError,
    },
    /// Over one of the [`Limits`](crate::Limits).
    #[error("failed to pull image {image:?}: {reason}")]
    TooLarge {
        /// What was asked for.
        image: String,
        /// Which limit.
        reason: FetchError,
    },
    /// Our own disk failed.
    #[error("failed to pull image {image:?}: {reason}")]
    Storage {
        /// What was asked for.
        image: String,
        /// What failed.
        reason: FetchError,
    },
}

/// Why the store itself failed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A folder or file of the store cannot be used.
    #[error("image store {path}: cannot {step}{}", remedy(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A configured folder of plain files does not exist.
    #[error("folder of image files {path}")]
    FileRoot {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}
