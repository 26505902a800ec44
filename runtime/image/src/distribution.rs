//! The seam between a pull and the place it pulls from: a foreign registry, our own registry in
//! process, or a layout folder. A place only hands out bytes; the pull verifies them.

use std::fmt;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::digest::Digest;
use crate::error::FetchError;

/// A place that holds repositories of manifests and blobs.
#[async_trait]
pub trait Distribution: Send + Sync + 'static {
    /// The manifest or index called `reference` (a tag or a digest) in repository `name`.
    async fn manifest(&self, name: &str, reference: &str) -> Result<Manifest, FetchError>;
    /// A blob of repository `name`, from byte `start` on. A place that cannot begin in the middle gives the whole.
    async fn blob(&self, name: &str, digest: &Digest, start: u64) -> Result<Blob, FetchError>;
}

/// A manifest or index, byte for byte.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What the digest is over.
    pub bytes: Bytes,
    /// As the place declared it.
    pub media_type: String,
    /// The digest of `bytes`, computed, not believed.
    pub digest: Digest,
}

/// Chunks of a blob.
pub type BlobStream = BoxStream<'static, io::Result<Bytes>>;

/// A blob on its way. Neither form is verified yet.
pub enum Blob {
    /// A file on this machine that is never changed in place, so that it may be hard-linked.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// Bytes.
    Stream {
        /// Where the stream begins: 0, or where it was asked to.
        start: u64,
        /// The announced length of the whole blob.
        size: Option<u64>,
        /// The chunks.
        stream: BlobStream,
    },
}

/// Credentials for one registry, as a pull secret holds them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Auth {
    /// User name and password.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A refresh token that the registry's authorization server turns into access tokens.
    IdentityToken(String),
    /// A bearer token that is sent to the registry as it is.
    RegistryToken(String),
}

impl fmt::Debug for Auth {
    /// Never shows a secret: errors and traces may print this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::Basic { username, .. } => write!(f, "Basic({username:?}, ..)"),
            Auth::IdentityToken(_) => f.write_str("IdentityToken(..)"),
            Auth::RegistryToken(_) => f.write_str("RegistryToken(..)"),
        }
    }
}
