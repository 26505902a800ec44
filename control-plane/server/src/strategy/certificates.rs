//! Certificate requests: who asked is written down, and who approves or signs must be allowed to for that signer.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{defaults, object, validate};
use serde_json::{Value, json};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::api::{Api, Result};
use crate::authz::{Attributes, Object, What, decide};
use crate::user::{MASTERS, UserInfo};

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// Whose certificates make a node known; an agent asks for its own only.
const NODE_SIGNERS: [&str; 2] = [
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving",
];
const GROUP: &str = "certificates.k8s.io";

/// Writes down who asks, and refuses to let a signer of client certificates make masters, or a node ask in another's name.
pub(super) fn admit_new(user: &UserInfo, resource: &Resource, request: &mut Value) -> Result<()> {
    for field in ["username", "uid", "groups", "extra"] {
        object::remove(request, &format!("spec.{field}"));
    }
    object::set(request, "spec.username", user.name.as_str());
    if !user.uid.is_empty() {
        object::set(request, "spec.uid", user.uid.as_str());
    }
    if !user.groups.is_empty() {
        object::set(request, "spec.groups", json!(user.groups));
    }
    if !user.extra.is_empty() {
        let extra: BTreeMap<_, _> = user.extra.iter().cloned().collect();
        object::set(request, "spec.extra", json!(extra));
    }
    let signer = object::text(request, "spec.signerName");
    let node = user.node_name().filter(|_| NODE_SIGNERS.contains(&signer));
    if node.is_none() && signer != CLIENT_SIGNER {
        return Ok(());
    }
    let subject = match Subject::of(object::text(request, "spec.request")) {
        Ok(subject) => subject,
        // What is none at all is refused in the words of validation, which comes later here than upstream.
        Err(_) if !validate::create(resource, request).is_empty() => return Ok(()),
        Err(error) => {
            let what = node.map_or("failed to parse CSR", |_| "unable to parse csr");
            let why = format!("{what}: {error}");
            return Err(Status::forbidden(resource, object::name(request), &why));
        }
    };
    let why = match node {
        Some(node) if subject.name != UserInfo::node(node).name => format!(
            "can only create a node CSR with CN={}",
            UserInfo::node(node).name
        ),
        None if subject.groups.iter().any(|group| group == MASTERS) => {
            format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
        }
        _ => return Ok(()),
    };
    Err(Status::forbidden(resource, object::name(request), &why))
}

/// Whom a certificate is to be about.
struct Subject {
    name: String,
    groups: Vec<String>,
}

impl Subject {
    /// That of a request in PEM. Whoever signs it may read kinds of strings that are not read here, and find a name or a
    /// group in them: a subject is understood as a whole or not at all.
    fn of(request: &str) -> std::result::Result<Subject, String> {
        let pem = BASE64_STANDARD
            .decode(request)
            .map_err(|error| error.to_string())?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).map_err(|error| error.to_string())?;
        let (_, parsed) =
            X509CertificationRequest::from_der(&pem.contents).map_err(|error| error.to_string())?;
        let subject = &parsed.certification_request_info.subject;
        if subject.iter_attributes().any(|part| part.as_str().is_err()) {
            return Err("the subject holds a string that cannot be read".to_owned());
        }
        // Of several names, the last counts.
        let name = subject.iter_common_name().last();
        let name = name.and_then(|name| name.as_str().ok());
        let groups = subject.iter_organization();
        Ok(Subject {
            name: name.unwrap_or_default().to_owned(),
            groups: groups
                .filter_map(|group| group.as_str().ok())
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// Approving and signing are rights of their own.
pub(super) async fn admit_update(
    api: &Api,
    user: &UserInfo,
    resource: &Resource,
    part: &str,
    new: &mut Value,
    old: &Value,
) -> Result<()> {
    let verb = match part {
        "approval" => "approve",
        "status" => {
            defaults::stamp_conditions(new, old, Timestamp::now());
            let changed = |path| object::get(new, path) != object::get(old, path);
            if !changed("status.certificate") && !changed("status.conditions") {
                return Ok(());
            }
            "sign"
        }
        _ => return Ok(()),
    };
    let signer = object::text(old, "spec.signerName");
    let domain = signer.split_once('/').map_or(signer, |(domain, _)| domain);
    for name in [signer.to_owned(), format!("{domain}/*")] {
        let what = What::Resource(Object {
            group: GROUP,
            resource: "signers",
            name: &name,
            ..Object::default()
        });
        if decide(api, user, &Attributes { verb, what }).await?.allowed {
            return Ok(());
        }
    }
    let why = format!("user not permitted to {verb} requests with signerName {signer:?}");
    Err(Status::forbidden(resource, object::name(old), &why))
}
