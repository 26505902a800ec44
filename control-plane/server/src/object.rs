//! An object at rest: its JSON bytes, and beside them only what selectors and deletion rules ask for.
//!
//! Stored bytes carry an empty `resourceVersion`, because the store decides the revision after they are written; the
//! codec splices it in, once per version. Nothing here builds a `Value`: a light parse borrows from the bytes.

mod attributes;
mod light;
mod metadata;
mod parts;
mod protobuf;
mod views;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use sampan_api::custom::Custom;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_store::{Codec, DecodeError, Entry, Key, Revision};
use serde_json::Value;

use attributes::Kind;
pub(crate) use attributes::{FieldsOf, storage_row, stored_row};
use light::Light;
use parts::{Part, Parts};
pub(crate) use protobuf::{Protobuf, Recent};

/// A version of an object, shared by the store, every list and every watcher.
pub(crate) type Stored = Arc<Entry<Obj>>;

/// What stored bytes say where the revision belongs. Written first in `metadata` after the identity, so that the first
/// occurrence is the right one (inside JSON strings the quotes would be escaped).
const REVISION_FIELD: &[u8] = br#""resourceVersion":""#;

/// The resting form. What it takes counts a hundred thousand times.
#[derive(Debug)]
pub(crate) struct Obj {
    /// The row it is stored under.
    pub(crate) resource: &'static Resource,
    /// The object with its resourceVersion.
    pub(crate) raw: Bytes,
    parts: Parts,
    /// None for the many that have nothing of it.
    extra: Option<Box<Extra>>,
    forms: Forms,
}

/// What not every object has.
#[derive(Clone, Debug, Default)]
struct Extra {
    labels: Box<[(Box<str>, Box<str>)]>,
    /// Values of the row's field labels that are set, by index into `field_labels`.
    fields: Box<[(u8, Box<str>)]>,
    /// When deletion was asked for.
    deletion: Option<Box<str>>,
    /// Name, namespace and uid where the bytes spell one of them with escapes.
    identity: Option<Box<[Box<str>; 3]>>,
}

/// What there is to know of an object whose bytes were read, beside them.
fn known(light: Light<'_>, raw: &[u8], revision: Range<usize>) -> (Parts, Option<Box<Extra>>) {
    let mut parts = Parts::default();
    let identity = [&light.name, &light.namespace, &light.uid];
    let [name, namespace, uid] = identity;
    let plain = parts.set(Part::Revision, revision)
        && parts.note(Part::Name, name, raw)
        && parts.note(Part::Namespace, namespace, raw)
        && parts.note(Part::Uid, uid, raw);
    let extra = Extra {
        identity: (!plain).then(|| Box::new(identity.map(|text| text.as_ref().into()))),
        labels: light.labels,
        fields: light.fields.into_boxed_slice(),
        deletion: light.deletion,
    };
    let none = extra.labels.is_empty()
        && extra.fields.is_empty()
        && extra.deletion.is_none()
        && extra.identity.is_none();
    (parts, (!none).then(|| Box::new(extra)))
}

/// What is known of other forms of a version, once somebody wanted them.
#[derive(Debug, Default)]
struct Forms {
    /// Where its metadata is.
    metadata: metadata::Place,
    /// In other API versions, and by other schemas.
    views: views::Views,
    /// What is remembered of its protobuf forms.
    protobuf: OnceLock<Box<protobuf::Slots>>,
}

impl Obj {
    pub(crate) fn name(&self) -> &str {
        self.identity(Part::Name)
    }

    /// Empty for cluster-scoped kinds.
    pub(crate) fn namespace(&self) -> &str {
        self.identity(Part::Namespace)
    }

    pub(crate) fn uid(&self) -> &str {
        self.identity(Part::Uid)
    }

    fn identity(&self, part: Part) -> &str {
        let spelled = self
            .extra
            .as_ref()
            .and_then(|extra| extra.identity.as_ref());
        match spelled {
            Some(identity) => &identity[part as usize],
            None => self.parts.text(part, &self.raw),
        }
    }

    /// When deletion was asked for.
    pub(crate) fn deletion(&self) -> Option<&str> {
        self.extra.as_ref()?.deletion.as_deref()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let labels = &self.extra.as_ref()?.labels;
        labels
            .iter()
            .find(|(label, _)| &**label == key)
            .map(|(_, value)| &**value)
    }

    /// The value of a supported field label; what is not set reads as the empty string or its default.
    pub(crate) fn field(&self, label: &str) -> Option<&str> {
        match label {
            "metadata.name" => return Some(self.name()),
            "metadata.namespace" => return Some(self.namespace()),
            _ => {}
        }
        let at = attributes::index(self.resource, label)?;
        let fields = self.extra.iter().flat_map(|extra| &extra.fields);
        let set = fields
            .into_iter()
            .find(|(index, _)| usize::from(*index) == at)
            .map(|(_, value)| &**value);
        match (set, attributes::instead(self.resource, label)) {
            (Some(value), _) => Some(value),
            (None, Some(other)) => self.field(other),
            (None, None) => Some(attributes::unset(label)),
        }
    }

    /// The resourceVersion.
    pub(crate) fn revision(&self) -> &str {
        self.parts.text(Part::Revision, &self.raw)
    }

    /// The metadata as it is in the bytes.
    pub(crate) fn metadata(&self) -> &str {
        self.forms.metadata.of(&self.raw)
    }

    /// The PartialObjectMetadata of this version, for whoever writes it somewhere.
    pub(crate) fn partial_pieces(&self) -> [&str; 3] {
        metadata::partial(self.metadata())
    }

    /// The PartialObjectMetadata of this version, made anew.
    pub(crate) fn partial(&self) -> Bytes {
        self.partial_pieces().concat().into()
    }

    /// This version in the API version of `resource`.
    pub(crate) fn raw_as(&self, resource: &Resource) -> Bytes {
        if let Some(custom) = resource.custom() {
            return self.raw_by(&custom);
        }
        if self.rests_as(resource) {
            return self.raw.clone();
        }
        self.forms.views.builtin(&self.raw, resource)
    }

    /// This version as a definition shows it.
    pub(crate) fn raw_by(&self, custom: &Custom) -> Bytes {
        self.forms.views.custom(&self.raw, custom)
    }

    /// Remembers that the object was written by the schema its definition has now, so that nobody needs to look again.
    pub(crate) fn conforms(&self, resource: &Resource) {
        if let Some(custom) = resource.custom().filter(Custom::is_storage) {
            self.forms.views.conforms(&custom);
        }
    }

    /// Whether its bytes are in the API version of `resource`.
    fn rests_as(&self, resource: &Resource) -> bool {
        (resource.group, resource.version) == (self.resource.group, self.resource.version)
    }

    /// The same state at another revision: what a watcher gets when an object leaves its selector.
    pub(crate) fn at(&self, revision: Revision) -> Obj {
        let (raw, span) = splice(&self.raw, self.parts.span(Part::Revision), revision);
        Obj {
            resource: self.resource,
            raw,
            parts: self.parts.with_revision(span),
            extra: self.extra.clone(),
            forms: Forms::default(),
        }
    }
}

fn splice(bytes: &[u8], span: Range<usize>, revision: Revision) -> (Bytes, Range<usize>) {
    let digits = revision.0.to_string();
    let mut raw = BytesMut::with_capacity(bytes.len() + digits.len());
    raw.extend_from_slice(&bytes[..span.start]);
    raw.extend_from_slice(digits.as_bytes());
    raw.extend_from_slice(&bytes[span.end..]);
    (raw.freeze(), span.start..span.start + digits.len())
}

/// Where the revision's digits belong in stored bytes.
fn revision_slot(stored: &[u8]) -> Option<usize> {
    stored
        .windows(REVISION_FIELD.len())
        .position(|window| window == REVISION_FIELD)
        .map(|at| at + REVISION_FIELD.len())
}

/// An object that rests nowhere and has no revision, for lists of what is made up on the spot. `value` has a place for
/// the revision.
pub(crate) fn unstored(resource: &'static Resource, value: &Value) -> Result<Stored, Status> {
    let raw = Bytes::from(value.to_string());
    let kind = Kind::plain(resource);
    let light = light::parse(&raw, &kind).map_err(|error| Status::internal(error.to_string()))?;
    let slot = revision_slot(&raw).unwrap_or(0);
    let (parts, extra) = known(light, &raw, slot..slot);
    let object = Obj {
        resource,
        raw,
        parts,
        extra,
        forms: Forms::default(),
    };
    Ok(Arc::new(Entry {
        key: Key::new(resource.plural, object.name()),
        create_revision: Revision(0),
        revision: Revision(0),
        object,
    }))
}

/// Turns stored bytes into `Obj`s.
pub(crate) struct ObjCodec;

impl Codec for ObjCodec {
    type Object = Obj;

    fn decode(&self, key: &Key, revision: Revision, stored: &Bytes) -> Result<Obj, DecodeError> {
        let Some(kind) = attributes::kind(key.bucket()) else {
            return Err(DecodeError::new(format!(
                "{}: no served resource is stored there",
                key.as_str()
            )));
        };
        let Some(slot) = revision_slot(stored) else {
            return Err(DecodeError::new(format!(
                "{}: the object has no place for its revision",
                key.as_str()
            )));
        };
        let (raw, span) = splice(stored, slot..slot, revision);
        let light = light::parse(&raw, kind)
            .map_err(|error| DecodeError::new(format!("{}: {error}", key.as_str())))?;
        let (parts, extra) = known(light, &raw, span);
        Ok(Obj {
            resource: kind.resource,
            raw,
            parts,
            extra,
            forms: Forms::default(),
        })
    }

    fn restamp(&self, object: &Obj, revision: Revision) -> Obj {
        object.at(revision)
    }

    fn size(&self, object: &Obj) -> usize {
        object.raw.len() + 256
    }
}

#[cfg(test)]
mod tests;
