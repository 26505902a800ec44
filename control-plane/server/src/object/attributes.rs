//! Which values of an object its field labels stand for.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::OnceLock;

use sampan_api::custom::RESTING;
use sampan_api::resource::{Resource, resources};

use super::{Obj, light};

/// A stored kind: its row, and the paths worth reading out of its bytes.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(super) resource: &'static Resource,
    pub(super) wanted: Wanted,
}

impl Kind {
    /// Of a resource whose fields nobody selects by.
    pub(super) fn plain(resource: &'static Resource) -> Kind {
        Kind {
            resource,
            wanted: Wanted::default(),
        }
    }
}

/// A tree of field names; a leaf carries the index of the label it is the value of.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) label: Option<u8>,
    pub(super) fields: Vec<(&'static str, Wanted)>,
}

impl Wanted {
    fn of(resource: &'static Resource) -> Wanted {
        let mut root = Wanted::default();
        for (index, label) in resource.field_labels.iter().enumerate() {
            let Ok(index) = u8::try_from(index) else {
                break;
            };
            let mut node = &mut root;
            for field in path(resource, label).split('.') {
                let at = match node.fields.iter().position(|(name, _)| *name == field) {
                    Some(at) => at,
                    None => {
                        node.fields.push((field, Wanted::default()));
                        node.fields.len() - 1
                    }
                };
                node = &mut node.fields[at].1;
            }
            node.label = Some(index);
        }
        root
    }

    pub(super) fn field(&self, name: &str) -> Option<&Wanted> {
        self.fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, wanted)| wanted)
    }
}

/// Where a label's value is. The same as the label, but for events, whose field is called otherwise.
fn path(resource: &Resource, label: &'static str) -> &'static str {
    match (resource.bucket, label) {
        ("events", "source") => "source.component",
        _ => label,
    }
}

/// The label whose value one has that is not set: an event's source may be told the newer way.
pub(super) fn instead(resource: &Resource, label: &str) -> Option<&'static str> {
    (resource.bucket == "events" && label == "source").then_some("reportingComponent")
}

/// What a label reads as when the object does not set it.
pub(super) fn unset(label: &str) -> &'static str {
    match label {
        "spec.unschedulable" | "spec.hostNetwork" => "false",
        "status.successful" | "status.replicas" => "0",
        _ => "",
    }
}

/// The position of a label in its row. Events stored as core/v1 are also asked by events.k8s.io names.
pub(super) fn index(resource: &Resource, label: &str) -> Option<usize> {
    let position = |label: &str| {
        resource
            .field_labels
            .iter()
            .position(|known| *known == label)
    };
    position(label).or_else(|| match (resource.bucket, label) {
        ("events", "reportingController") => position("reportingComponent"),
        ("events", _) => {
            let rest = label.strip_prefix("regarding.")?;
            resource.field_labels.iter().position(|known| {
                known
                    .strip_prefix("involvedObject.")
                    .is_some_and(|known| known == rest)
            })
        }
        _ => None,
    })
}

/// The kind stored in a bucket. Custom resources are told by the dot in their bucket's name, and nothing is kept beside
/// their bytes: their definitions are stored like they are, and not known yet when the store is opened.
pub(super) fn kind(bucket: &str) -> Option<&'static Kind> {
    static CUSTOM: Kind = Kind {
        resource: &RESTING,
        wanted: Wanted {
            label: None,
            fields: Vec::new(),
        },
    };
    if bucket.contains('.') {
        return Some(&CUSTOM);
    }
    static KINDS: OnceLock<HashMap<&'static str, Kind>> = OnceLock::new();
    KINDS
        .get_or_init(|| {
            let mut kinds = HashMap::new();
            for resource in resources()
                .iter()
                .filter(|resource| !resource.bucket.is_empty())
            {
                // The first row of a bucket is the version its objects rest in.
                kinds.entry(resource.bucket).or_insert_with(|| Kind {
                    resource,
                    wanted: Wanted::of(resource),
                });
            }
            kinds
        })
        .get(bucket)
}

/// The row of what is stored in a bucket.
pub(crate) fn stored_row(bucket: &str) -> Option<&'static Resource> {
    kind(bucket).map(|kind| kind.resource)
}

/// The row under which objects of `resource` rest.
pub(crate) fn storage_row(resource: &'static Resource) -> &'static Resource {
    if resource.is_custom() {
        return resource;
    }
    kind(resource.bucket).map_or(resource, |kind| kind.resource)
}

/// The selectable fields of a custom resource, which are looked for in the bytes when somebody selects by them.
#[derive(Debug)]
pub(crate) struct FieldsOf(Kind);

impl FieldsOf {
    pub(crate) fn custom(resource: &'static Resource) -> Option<FieldsOf> {
        resource.is_custom().then(|| {
            FieldsOf(Kind {
                resource,
                wanted: Wanted::of(resource),
            })
        })
    }

    /// The fields of one object.
    pub(crate) fn of<'a>(&'a self, object: &'a Obj) -> FieldsIn<'a> {
        FieldsIn {
            kind: &self.0,
            object,
            found: OnceCell::new(),
        }
    }
}

/// The selectable fields of one object. Its bytes are read once, when they are asked for first.
pub(crate) struct FieldsIn<'a> {
    kind: &'a Kind,
    object: &'a Obj,
    found: OnceCell<Vec<(u8, Box<str>)>>,
}

impl FieldsIn<'_> {
    /// The value of a field label; what is not set reads as the empty string.
    pub(crate) fn read(&self, label: &str) -> Option<String> {
        match label {
            "metadata.name" => return Some(self.object.name().to_owned()),
            "metadata.namespace" => return Some(self.object.namespace().to_owned()),
            _ => {}
        }
        let at = index(self.kind.resource, label)?;
        let found = self.found.get_or_init(|| {
            let raw = self.object.raw_as(self.kind.resource);
            light::parse(&raw, self.kind).map_or_else(|_| Vec::new(), |light| light.fields)
        });
        let value = found.iter().find(|(index, _)| usize::from(*index) == at);
        Some(value.map_or_else(String::new, |(_, value)| value.to_string()))
    }
}
