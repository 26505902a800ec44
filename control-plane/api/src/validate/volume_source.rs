//! Where the content of a volume comes from: what volumes of pods and persistent volumes share.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, text};
use crate::status::{Errors, FieldError};

use super::path::{Path, anything, in_range, invalid, optional_choice, required_text};

const HOST_PATH_TYPES: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];
/// Longest name of a storage driver.
const MAX_DRIVER: usize = 63;
/// Fields that sources of one kind cannot do without. What else drivers ask of them is theirs to say.
const REQUIRED: [(&str, &[&str]); 16] = [
    ("awsElasticBlockStore", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("azureFile", &["secretName", "shareName"]),
    ("cephfs", &["monitors"]),
    ("cinder", &["volumeID"]),
    ("flexVolume", &["driver"]),
    ("gcePersistentDisk", &["pdName"]),
    ("gitRepo", &["repository"]),
    ("glusterfs", &["endpoints", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("quobyte", &["registry", "volume"]),
    ("rbd", &["monitors", "image"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("vsphereVolume", &["volumePath"]),
];

/// A source that is told apart by its field's name alone.
pub(super) fn common(kind: &str, source: &Value, path: &Path, out: &mut Errors) {
    match kind {
        "hostPath" => {
            required_text(out, source, path, "path", no_backsteps);
            let found = text(source, "type");
            if !is_empty(source, "path") && !HOST_PATH_TYPES.contains(&found) {
                let at = path.child("type");
                out.push(|| FieldError::not_supported(at, found, &HOST_PATH_TYPES));
            }
        }
        "nfs" => {
            required_text(out, source, path, "server", anything);
            required_text(out, source, path, "path", absolute);
        }
        _ => {
            let fields = REQUIRED.iter().find(|(name, _)| *name == kind);
            for field in fields.map_or(&[][..], |(_, fields)| fields) {
                if is_empty(source, field) {
                    out.push(|| FieldError::required(path.child(field), ""));
                }
            }
            match kind {
                "iscsi" => in_range(out, source, path, "lun", (0, 255)),
                "azureDisk" => azure_disk(source, path, out),
                _ => {}
            }
        }
    }
}

/// Where the disk is, which is written as its kind has it.
fn azure_disk(source: &Value, path: &Path, out: &mut Errors) {
    const CACHING: [&str; 3] = ["None", "ReadOnly", "ReadWrite"];
    const KINDS: [&str; 3] = ["Dedicated", "Managed", "Shared"];
    const BLOB: &str =
        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    const MANAGED: &str = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    optional_choice(out, source, path, "cachingMode", &CACHING);
    optional_choice(out, source, path, "kind", &KINDS);
    let (start, form) = match text(source, "kind") {
        "Managed" => ("/subscriptions/", MANAGED),
        _ => ("https://", BLOB),
    };
    let uri = text(source, "diskURI");
    if !uri.starts_with(start) {
        out.push(|| FieldError::not_supported(path.child("diskURI"), uri, &[form]));
    }
}

/// The name of a storage driver, in any case.
pub(super) fn driver_name(name: &str, path: &Path, out: &mut Errors) {
    if name.is_empty() {
        out.push(|| FieldError::required(path, ""));
        return;
    }
    if name.len() > MAX_DRIVER {
        out.push(|| FieldError::too_long(path, MAX_DRIVER));
    }
    let wrong = names::dns1123_subdomain(&name.to_lowercase());
    invalid(out, path, name, wrong);
}

/// A Secret in any namespace.
pub(super) fn secret_reference(source: &Value, field: &str, path: &Path, out: &mut Errors) {
    if let Some(secret) = get(source, field) {
        let here = path.child(field);
        required_text(out, secret, &here, "name", names::dns1123_subdomain);
        required_text(out, secret, &here, "namespace", names::dns1123_label);
    }
}

/// At least `low`, when it is there at all.
pub(super) fn at_least(
    out: &mut Errors,
    value: &Value,
    path: &Path,
    (field, low): (&str, i64),
    why: &str,
) {
    if let Some(number) = int(value, field).filter(|number| *number < low) {
        out.push(|| FieldError::invalid(path.child(field), number, why));
    }
}

pub(super) fn no_backsteps(path: &str) -> Vec<String> {
    if path.split('/').any(|part| part == "..") {
        vec!["must not contain '..'".to_owned()]
    } else {
        Vec::new()
    }
}

fn absolute(path: &str) -> Vec<String> {
    if path.starts_with('/') {
        Vec::new()
    } else {
        vec!["must be an absolute path".to_owned()]
    }
}
