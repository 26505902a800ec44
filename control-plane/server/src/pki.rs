//! The cluster's own certificate authority: made on first start, kept in `DIR/pki`, trusted by nobody else.
//!
//! Keys are ECDSA P-256, private files have mode 0600, and files appear whole or not at all. Leaves live a year and are
//! renewed when 30 days are left; the authority lives ten. There is no revocation: a leaf is refused when it expired
//! or when the authority was replaced.

mod authority;
mod files;
mod kubeconfig;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rcgen::KeyPair;

pub(crate) use authority::not_after;
pub use authority::{CertificateKind, CertificateRequest, Issued};
pub(crate) use files::write_private;
pub(crate) use kubeconfig::kubeconfig;

/// A leaf with less than this left is replaced.
pub(crate) const RENEW_BEFORE_DAYS: i64 = 30;

/// What can go wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read.
    #[error("reading {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("writing {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} does not hold a certificate or key that can be used; restore it from a backup, or remove {} to start with a new authority", .path.display(), .path.parent().unwrap_or(Path::new("pki")).display())]
    Corrupt {
        path: PathBuf,
        #[source]
        source: rcgen::Error,
    },
    /// A file holds a key of another kind than it should.
    #[error("{} does not hold a key that can be used ({message}); restore it from a backup, or remove it to start with a new key", .path.display())]
    Unusable { path: PathBuf, message: String },
    /// A certificate could not be read back.
    #[error("parsing a certificate: {message}")]
    Parse { message: String },
    /// Signing failed.
    #[error("signing the certificate of {subject}")]
    Sign {
        subject: String,
        #[source]
        source: rcgen::Error,
    },
}

/// The key kept in a file; a new one when there is none.
pub(crate) fn kept_key(path: &Path) -> Result<KeyPair, PkiError> {
    if let Some(pem) = files::read(path)? {
        return KeyPair::from_pem(&pem).map_err(|source| PkiError::Corrupt {
            path: path.into(),
            source,
        });
    }
    let key = KeyPair::generate().map_err(|source| PkiError::Sign {
        subject: path.display().to_string(),
        source,
    })?;
    files::write_private(path, key.serialize_pem().as_bytes())?;
    Ok(key)
}

/// The authority and the folder its leaves are kept in.
pub struct Pki {
    dir: PathBuf,
    authority: authority::Authority,
}

impl Pki {
    /// Opens `dir`, making the authority when there is none.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Pki, PkiError> {
        let dir = dir.into();
        files::private_dir(&dir)?;
        let authority = authority::Authority::open(&dir)?;
        Ok(Pki { dir, authority })
    }

    /// The authority's certificate in PEM: what clients are to trust.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// A fresh certificate and key, written nowhere.
    pub fn issue(&self, request: &CertificateRequest) -> Result<Issued, PkiError> {
        self.authority.issue(request)
    }

    /// The certificate kept as `NAME.crt` and `NAME.key`: the one there, or a new one if that is missing, expires within
    /// 30 days, was signed by another authority, or does not cover what is asked for.
    pub fn keep(&self, name: &str, request: &CertificateRequest) -> Result<Issued, PkiError> {
        let (crt, key) = (
            self.dir.join(format!("{name}.crt")),
            self.dir.join(format!("{name}.key")),
        );
        if let (Some(certificate_pem), Some(key_pem)) = (files::read(&crt)?, files::read(&key)?) {
            let issued = Issued {
                certificate_pem,
                key_pem,
            };
            if self.authority.covers(&issued, request, Timestamp::now()) {
                return Ok(issued);
            }
        }
        let issued = self.authority.issue(request)?;
        // The key first: a crash between the two leaves a pair that does not match, which `covers` refuses.
        files::write_private(&key, issued.key_pem.as_bytes())?;
        files::write_public(&crt, issued.certificate_pem.as_bytes())?;
        Ok(issued)
    }
}

#[cfg(test)]
mod tests;
