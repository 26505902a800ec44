//! Tables of volumes and of who provides them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, flag, get, items, text};

use super::format::{amount, default_name, strings};
use super::{
    AGE, Column, NAME, NONE, PLAIN, Printer, UNSET, age, boolean, column, integer, name, or, shown,
    wide,
};

const CAPACITY: Column = column("Capacity", "How much the volume holds.");
const ACCESS_MODES: Column = column("Access Modes", "How the volume may be mounted.");
const CLASS: Column = column("StorageClass", "Class of the volume.");
const ATTRIBUTES: Column = column("VolumeAttributesClass", "Class of the volume's attributes.");
const MODE: Column = wide(
    "VolumeMode",
    "Whether it is a file system or a bare device.",
);

pub(super) const PERSISTENT_VOLUME: Printer = Printer {
    columns: &[
        NAME,
        CAPACITY,
        ACCESS_MODES,
        column("Reclaim Policy", "What happens to it when it is released."),
        column("Status", "Whether the volume is free, bound or released."),
        column("Claim", "Claim the volume is bound to."),
        CLASS,
        ATTRIBUTES,
        column("Reason", "Why the volume failed."),
        AGE,
        MODE,
    ],
    cells: persistent_volume,
    ..PLAIN
};

pub(super) const PERSISTENT_VOLUME_CLAIM: Printer = Printer {
    columns: &[
        NAME,
        column("Status", "Whether the claim has a volume."),
        column("Volume", "Volume the claim is bound to."),
        CAPACITY,
        ACCESS_MODES,
        CLASS,
        ATTRIBUTES,
        AGE,
        MODE,
    ],
    cells: persistent_volume_claim,
    ..PLAIN
};

pub(super) const STORAGE_CLASS: Printer = Printer {
    columns: &[
        NAME,
        column("Provisioner", "Who makes volumes of this class."),
        column("ReclaimPolicy", "What happens to released volumes."),
        column("VolumeBindingMode", "When a claim is given its volume."),
        column("AllowVolumeExpansion", "Whether claims may grow."),
        AGE,
    ],
    cells: storage_class,
    ..PLAIN
};

pub(super) const VOLUME_ATTRIBUTES_CLASS: Printer = Printer {
    columns: &[
        NAME,
        column("DriverName", "Driver that knows the attributes."),
        AGE,
    ],
    cells: |value, now| vec![name(value), shown(value, "driverName"), age(value, now)],
    ..PLAIN
};

pub(super) const VOLUME_ATTACHMENT: Printer = Printer {
    columns: &[
        NAME,
        Column {
            format: "name",
            ..column("Attacher", "Driver that attaches the volume.")
        },
        column("PV", "Volume that is attached."),
        column("Node", "Node it is attached to."),
        boolean("Attached", "Whether it is attached."),
        AGE,
    ],
    cells: |value, now| {
        vec![
            name(value),
            shown(value, "spec.attacher"),
            shown(value, "spec.source.persistentVolumeName"),
            shown(value, "spec.nodeName"),
            json!(flag(value, "status.attached")),
            age(value, now),
        ]
    },
    ..PLAIN
};

pub(super) const CSI_NODE: Printer = Printer {
    columns: &[
        NAME,
        integer("Drivers", "Number of drivers on the node."),
        AGE,
    ],
    cells: |value, now| {
        let drivers = items(value, "spec.drivers").len();
        vec![name(value), json!(drivers), age(value, now)]
    },
    ..PLAIN
};

pub(super) const CSI_DRIVER: Printer = Printer {
    columns: &[
        NAME,
        boolean("AttachRequired", "Whether volumes have to be attached."),
        boolean("PodInfoOnMount", "Whether the driver is told of the pod."),
        boolean(
            "StorageCapacity",
            "Whether the driver publishes what is free.",
        ),
        column("TokenRequests", "Audiences of tokens the driver is given."),
        boolean("RequiresRepublish", "Whether mounts are refreshed."),
        column("Modes", "What kinds of volumes the driver has."),
        AGE,
    ],
    cells: csi_driver,
    ..PLAIN
};

fn persistent_volume(volume: &Value, now: Timestamp) -> Vec<Value> {
    let claim = get(volume, "spec.claimRef")
        .map(|claim| format!("{}/{}", text(claim, "namespace"), text(claim, "name")));
    vec![
        name(volume),
        json!(amount(get(volume, "spec.capacity.storage"))),
        json!(access_modes(volume, "spec.accessModes")),
        shown(volume, "spec.persistentVolumeReclaimPolicy"),
        json!(phase(volume)),
        json!(claim.unwrap_or_default()),
        json!(class(volume)),
        json!(set(volume, "spec.volumeAttributesClassName")),
        shown(volume, "status.reason"),
        age(volume, now),
        json!(set(volume, "spec.volumeMode")),
    ]
}

fn persistent_volume_claim(claim: &Value, now: Timestamp) -> Vec<Value> {
    let bound = !text(claim, "spec.volumeName").is_empty();
    let (capacity, modes) = if bound {
        (
            amount(get(claim, "status.capacity.storage")),
            access_modes(claim, "status.accessModes"),
        )
    } else {
        Default::default()
    };
    vec![
        name(claim),
        json!(phase(claim)),
        shown(claim, "spec.volumeName"),
        json!(capacity),
        json!(modes),
        json!(class(claim)),
        json!(set(claim, "spec.volumeAttributesClassName")),
        age(claim, now),
        json!(set(claim, "spec.volumeMode")),
    ]
}

fn phase(value: &Value) -> &str {
    match object::deletion_timestamp(value) {
        Some(_) => "Terminating",
        None => text(value, "status.phase"),
    }
}

/// The class, from the annotation that came before the field or from the field.
fn class(value: &Value) -> &str {
    object::annotation(value, "volume.beta.kubernetes.io/storage-class")
        .unwrap_or_else(|| text(value, "spec.storageClassName"))
}

fn set<'a>(value: &'a Value, path: &str) -> &'a str {
    get(value, path).and_then(Value::as_str).unwrap_or(UNSET)
}

/// The short names, each once, in this order.
fn access_modes(value: &Value, path: &str) -> String {
    const MODES: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let given = strings(value, path);
    let known = MODES.iter().filter(|(mode, _)| given.contains(mode));
    known.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

fn storage_class(class: &Value, now: Timestamp) -> Vec<Value> {
    const DEFAULT: [&str; 2] = [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ];
    vec![
        default_name(class, &DEFAULT),
        shown(class, "provisioner"),
        or(text(class, "reclaimPolicy"), "Delete"),
        or(text(class, "volumeBindingMode"), "Immediate"),
        json!(flag(class, "allowVolumeExpansion")),
        age(class, now),
    ]
}

fn csi_driver(driver: &Value, now: Timestamp) -> Vec<Value> {
    let attach = get(driver, "spec.attachRequired").and_then(Value::as_bool);
    let tokens = get(driver, "spec.tokenRequests").map(|_| {
        let requests = items(driver, "spec.tokenRequests").iter();
        let audiences: Vec<&str> = requests.map(|one| text(one, "audience")).collect();
        audiences.join(",")
    });
    vec![
        name(driver),
        json!(attach.unwrap_or(true)),
        json!(flag(driver, "spec.podInfoOnMount")),
        json!(flag(driver, "spec.storageCapacity")),
        json!(tokens.unwrap_or_else(|| UNSET.to_owned())),
        json!(flag(driver, "spec.requiresRepublish")),
        or(
            &strings(driver, "spec.volumeLifecycleModes").join(","),
            NONE,
        ),
        age(driver, now),
    ]
}
