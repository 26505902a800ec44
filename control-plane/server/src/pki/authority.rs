//! The certificate authority and what it signs.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{PkiError, RENEW_BEFORE_DAYS, files};

const DAY: Duration = Duration::from_secs(24 * 3600);
const AUTHORITY_DAYS: u32 = 3650;
const LEAF_DAYS: u32 = 365;

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKind {
    /// To be shown by a server; also usable as a client.
    Server,
    /// To be shown by a client.
    Client,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// Its use.
    pub kind: CertificateKind,
    /// The user name, or a server's name.
    pub common_name: String,
    /// The user's group. One at most: no certificate of ours needs more.
    pub organization: Option<String>,
    /// DNS names and IP addresses a server is reached by.
    pub names: Vec<String>,
}

impl CertificateRequest {
    /// A client's, for a user in a group.
    pub fn client(name: impl Into<String>, group: Option<&str>) -> CertificateRequest {
        CertificateRequest {
            kind: CertificateKind::Client,
            common_name: name.into(),
            organization: group.map(str::to_owned),
            names: Vec::new(),
        }
    }

    /// A server's, reached by `names`.
    pub fn server(
        name: impl Into<String>,
        names: impl IntoIterator<Item = String>,
    ) -> CertificateRequest {
        CertificateRequest {
            kind: CertificateKind::Server,
            common_name: name.into(),
            organization: None,
            names: names.into_iter().collect(),
        }
    }

    fn params(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name.as_str());
        if let Some(organization) = &self.organization {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organization.as_str());
        }
        for name in &self.names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            });
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match self.kind {
            CertificateKind::Server => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            CertificateKind::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        validity(&mut params, LEAF_DAYS);
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key, PKCS #8.
    pub key_pem: String,
}

pub(super) struct Authority {
    pem: String,
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn open(dir: &Path) -> Result<Authority, PkiError> {
        let (crt, key) = (dir.join("ca.crt"), dir.join("ca.key"));
        let (pem, pair) = match (files::read(&crt)?, files::read(&key)?) {
            (Some(pem), Some(key_pem)) => {
                let pair = KeyPair::from_pem(&key_pem)
                    .map_err(|source| PkiError::Corrupt { path: key, source })?;
                (pem, pair)
            }
            _ => {
                let (pem, pair) = make().map_err(|source| PkiError::Sign {
                    subject: "the authority".into(),
                    source,
                })?;
                files::write_private(&key, pair.serialize_pem().as_bytes())?;
                files::write_public(&crt, pem.as_bytes())?;
                (pem, pair)
            }
        };
        let der = der(&pem)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, pair)
            .map_err(|source| PkiError::Corrupt { path: crt, source })?;
        Ok(Authority { pem, der, issuer })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn issue(&self, request: &CertificateRequest) -> Result<Issued, PkiError> {
        let sign = || {
            let key = KeyPair::generate()?;
            let certificate = request.params()?.signed_by(&key, &self.issuer)?;
            Ok(Issued {
                certificate_pem: certificate.pem(),
                key_pem: key.serialize_pem(),
            })
        };
        sign().map_err(|source| PkiError::Sign {
            subject: request.common_name.clone(),
            source,
        })
    }

    /// Whether a kept certificate still does what is asked.
    pub(super) fn covers(
        &self,
        issued: &Issued,
        request: &CertificateRequest,
        now: Timestamp,
    ) -> bool {
        let Ok(der) = der(&issued.certificate_pem) else {
            return false;
        };
        let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
            return false;
        };
        let Ok((_, authority)) = X509Certificate::from_der(&self.der) else {
            return false;
        };
        let Ok(key) = KeyPair::from_pem(&issued.key_pem) else {
            return false;
        };
        let left = certificate.validity().not_after.timestamp() - now.as_second();
        let subject = certificate.subject();
        let names: Vec<String> = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|names| names.value.general_names.iter().filter_map(san).collect())
            .unwrap_or_default();
        left > RENEW_BEFORE_DAYS * 24 * 3600
            && certificate
                .verify_signature(Some(authority.public_key()))
                .is_ok()
            && certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
            && subject
                .iter_common_name()
                .next()
                .and_then(|name| name.as_str().ok())
                == Some(&request.common_name)
            && subject
                .iter_organization()
                .filter_map(|name| name.as_str().ok())
                .eq(request.organization.as_deref())
            && request.names.iter().all(|name| names.contains(name))
    }
}

fn make() -> Result<(String, KeyPair), rcgen::Error> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params
        .distinguished_name
        .push(DnType::CommonName, "sampan-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    validity(&mut params, AUTHORITY_DAYS);
    Ok((params.self_signed(&pair)?.pem(), pair))
}

/// From an hour ago, because the clocks of small boards disagree.
fn validity(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(3600)).into();
    params.not_after = (now + DAY * days).into();
}

fn der(pem: &str) -> Result<Vec<u8>, PkiError> {
    x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map(|(_, parsed)| parsed.contents)
        .map_err(|error| PkiError::Parse {
            message: error.to_string(),
        })
}

fn san(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|octets| IpAddr::from(octets).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|octets| IpAddr::from(octets).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// When a PEM certificate ends.
pub(crate) fn not_after(pem: &str) -> Result<Timestamp, PkiError> {
    let der = der(pem)?;
    let parse = |error: String| PkiError::Parse { message: error };
    let (_, certificate) =
        X509Certificate::from_der(&der).map_err(|error| parse(error.to_string()))?;
    Timestamp::from_second(certificate.validity().not_after.timestamp())
        .map_err(|error| parse(error.to_string()))
}
