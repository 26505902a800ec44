//! The protobuf forms of a version: written once for everyone who wants it at about the same time, and not kept.
//!
//! Objects rest as JSON. A second copy of each, because some clients speak protobuf, would nearly double what the server
//! holds; writing one takes microseconds. So a version knows its protobuf form only as long as somebody else holds it: a
//! list on its way out, or [`Recent`], which holds what watchers were sent last. The length alone is kept, since a list
//! has to say beforehand how long it will be.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sampan_api::protobuf::{EncodeError, Envelope, message, message_in};
use sampan_api::resource::Resource;
use sampan_api::schema::{TypeId, schemas};
use sampan_api::status::{MEDIA_TYPES, Status};

use super::Obj;
use crate::api::Result;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// The field of a PartialObjectMetadata that holds it.
const METADATA: u32 = 1;

/// Writes objects of one resource: whole, or their metadata alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protobuf {
    resource: &'static Resource,
    partial: bool,
    /// The type of what is written.
    id: TypeId,
}

impl Protobuf {
    /// For the objects themselves. A kind that is not built in has no protobuf form.
    pub(crate) fn whole(resource: &'static Resource) -> Result<Protobuf> {
        Protobuf::of(resource, false, resource.type_name)
    }

    /// For their PartialObjectMetadata.
    pub(crate) fn partial(resource: &'static Resource) -> Result<Protobuf> {
        Protobuf::of(resource, true, OBJECT_META)
    }

    fn of(resource: &'static Resource, partial: bool, type_name: &str) -> Result<Protobuf> {
        let id = schemas()
            .by_name(type_name)
            .ok_or_else(|| Status::not_acceptable(MEDIA_TYPES))?;
        Ok(Protobuf {
            resource,
            partial,
            id,
        })
    }

    /// The envelope of one object.
    pub(crate) fn envelope(&self) -> Envelope {
        let (api_version, kind) = self.type_meta();
        Envelope::new(&api_version, kind)
    }

    /// The envelope of a list of them.
    pub(crate) fn list_envelope(&self) -> Envelope {
        let (api_version, kind) = self.type_meta();
        Envelope::new(&api_version, &format!("{kind}List"))
    }

    fn type_meta(&self) -> (String, &'static str) {
        if self.partial {
            ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata")
        } else {
            (self.resource.api_version(), self.resource.kind)
        }
    }

    /// An object's message.
    pub(crate) fn message(&self, object: &Obj) -> std::result::Result<Arc<Vec<u8>>, EncodeError> {
        self.written(object).map(|(message, _)| message)
    }

    /// An object's message, kept for those who will want it next.
    pub(crate) fn shared(
        &self,
        object: &Obj,
        recent: &Recent,
    ) -> std::result::Result<Arc<Vec<u8>>, EncodeError> {
        let (message, fresh) = self.written(object)?;
        if fresh {
            recent.keep(Arc::clone(&message));
        }
        Ok(message)
    }

    /// The message of an object that has nothing but this metadata.
    pub(crate) fn only(&self, metadata: &str) -> std::result::Result<Vec<u8>, EncodeError> {
        if self.partial {
            message_in(METADATA, self.id, metadata.as_bytes())
        } else {
            let object = format!(r#"{{"metadata":{metadata}}}"#);
            message(self.id, object.as_bytes())
        }
    }

    /// The length of an object's message.
    pub(crate) fn length(&self, object: &Obj) -> std::result::Result<usize, EncodeError> {
        let known = self
            .slot(object)
            .map_or(UNKNOWN, |slot| slot.length.load(Ordering::Relaxed));
        if known == UNKNOWN {
            return self.message(object).map(|message| message.len());
        }
        Ok(known as usize - 1)
    }

    /// An object's message, and whether it was written just now.
    fn written(&self, object: &Obj) -> std::result::Result<(Arc<Vec<u8>>, bool), EncodeError> {
        let Some(slot) = self.slot(object) else {
            return Ok((Arc::new(self.write(object)?), false));
        };
        // Whoever comes second waits for the first instead of writing the same again.
        let mut place = slot.message.lock();
        if let Some(message) = place.upgrade() {
            return Ok((message, false));
        }
        let message = Arc::new(self.write(object)?);
        // Objects are at most a few MiB.
        let length = u32::try_from(message.len() + 1).unwrap_or(UNKNOWN);
        slot.length.store(length, Ordering::Relaxed);
        *place = Arc::downgrade(&message);
        Ok((message, true))
    }

    fn write(&self, object: &Obj) -> std::result::Result<Vec<u8>, EncodeError> {
        if self.partial {
            message_in(METADATA, self.id, object.metadata().as_bytes())
        } else {
            message(self.id, &object.raw_as(self.resource))
        }
    }

    /// Where the object remembers this form; it does so only for the API version it rests in.
    fn slot<'o>(&self, object: &'o Obj) -> Option<&'o Slot> {
        (self.partial || object.rests_as(self.resource))
            .then(|| &object.forms.protobuf.get_or_init(Box::default).0[usize::from(self.partial)])
    }
}

/// What a version remembers of its protobuf forms: the whole, and the metadata alone.
#[derive(Debug, Default)]
pub(super) struct Slots([Slot; 2]);

#[derive(Debug, Default)]
struct Slot {
    /// One more than the length of the message.
    length: AtomicU32,
    message: Mutex<Weak<Vec<u8>>>,
}

const UNKNOWN: u32 = 0;

/// The messages watchers were sent last. The first of many watchers writes an event's object, the others find it here.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Arc<Vec<u8>>>,
    bytes: usize,
}

impl Recent {
    /// Most bytes kept: watchers that are further apart than this many bytes of events write again.
    const LIMIT: usize = 4 << 20;

    fn keep(&self, message: Arc<Vec<u8>>) {
        let mut kept = self.0.lock();
        kept.bytes += message.len();
        kept.messages.push_back(message);
        while kept.bytes > Recent::LIMIT {
            match kept.messages.pop_front() {
                Some(oldest) => kept.bytes -= oldest.len(),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sampan_api::protobuf::decode;
    use sampan_api::resource::find;
    use sampan_store::{Codec, Key, Revision};
    use serde_json::{Value, json};

    use super::*;
    use crate::object::ObjCodec;

    fn object(data: &str) -> Obj {
        let stored = json!({"kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"name": "a", "namespace": "d", "uid": "u", "resourceVersion": ""},
            "data": {"k": data}})
        .to_string();
        ObjCodec
            .decode(&Key::new("configmaps", "d/a"), Revision(42), &stored.into())
            .expect("decodes")
    }

    fn configmaps() -> &'static Resource {
        find("", "v1", "configmaps").expect("is served")
    }

    #[test]
    fn written_once_while_somebody_holds_it() {
        let protobuf = Protobuf::whole(configmaps()).expect("is built in");
        let (object, recent) = (object("v"), Recent::default());
        let first = protobuf.message(&object).expect("encodes");
        let again = protobuf.message(&object).expect("encodes");
        assert!(Arc::ptr_eq(&first, &again));
        let (_, value) = decode(&protobuf.envelope().wrap(&first)).expect("decodes");
        assert_eq!(value["metadata"]["resourceVersion"], "42");
        let (weak, length) = (Arc::downgrade(&first), first.len());
        drop((first, again));
        assert!(weak.upgrade().is_none());
        assert_eq!(protobuf.length(&object).expect("known"), length);
        let kept = Arc::downgrade(&protobuf.shared(&object, &recent).expect("encodes"));
        assert!(kept.upgrade().is_some());
        let found = protobuf.shared(&object, &recent).expect("encodes");
        assert!(
            kept.upgrade()
                .is_some_and(|kept| Arc::ptr_eq(&kept, &found))
        );
        assert_eq!(recent.0.lock().messages.len(), 1);
    }

    #[test]
    fn metadata_alone() {
        let protobuf = Protobuf::partial(configmaps()).expect("always there");
        let message = protobuf.message(&object("v")).expect("encodes");
        // Field 1 is the ObjectMeta, whose fields 1, 3, 5 and 6 are name, namespace, uid and resourceVersion.
        assert_eq!(*message, b"\x0a\x0d\x0a\x01a\x1a\x01d\x2a\x01u\x32\x0242");
        let bytes = protobuf.envelope().wrap(&message);
        assert!(
            bytes.starts_with(b"k8s\0\x0a\x27\x0a\x0emeta.k8s.io/v1\x12\x15PartialObjectMetadata")
        );
    }

    #[test]
    fn other_versions_of_a_kind_are_written_too() {
        let stored = r#"{"kind":"Event","apiVersion":"v1","metadata":{"name":"e","namespace":"d","resourceVersion":""},"involvedObject":{"name":"p"},"message":"m"}"#;
        let event = ObjCodec
            .decode(&Key::new("events", "d/e"), Revision(1), &stored.into())
            .expect("decodes");
        for (group, field) in [("", "message"), ("events.k8s.io", "note")] {
            let resource = find(group, "v1", "events").expect("is served");
            let protobuf = Protobuf::whole(resource).expect("is built in");
            let message = protobuf.message(&event).expect("encodes");
            assert_eq!(protobuf.length(&event).expect("encodes"), message.len());
            let (_, value): (_, Value) =
                decode(&protobuf.envelope().wrap(&message)).expect("decodes");
            assert_eq!(value[field], "m");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let protobuf = Protobuf::whole(configmaps()).expect("is built in");
        let recent = Recent::default();
        let text = "x".repeat(Recent::LIMIT / 4);
        for _ in 0..10 {
            protobuf.shared(&object(&text), &recent).expect("encodes");
        }
        let kept = recent.0.lock();
        let bytes: usize = kept.messages.iter().map(|message| message.len()).sum();
        assert_eq!(kept.bytes, bytes);
        assert!(
            bytes <= Recent::LIMIT && kept.messages.len() == 3,
            "{bytes}"
        );
    }
}
