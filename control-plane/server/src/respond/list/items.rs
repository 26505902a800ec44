//! A list's bytes, piece by piece.

use bytes::{BufMut, Bytes, BytesMut};
use sampan_api::custom::Custom;
use sampan_api::protobuf::{EncodeError, field_size, message, open_field};
use sampan_api::resource::Resource;
use sampan_api::schema::schemas;

use super::{ListMeta, TURN};
use crate::api::Result;
use crate::object::{Obj, Protobuf};
use crate::respond::Items;

/// Fields of every list in protobuf.
const METADATA: u8 = 1;
const ITEMS: u8 = 2;

/// How items are written.
pub(super) enum Writer {
    Json {
        resource: &'static Resource,
        /// The definition of a custom resource as it is now: it may change while the list is on its way, and its
        /// length is told before.
        custom: Option<Custom>,
        partial: bool,
    },
    Protobuf(Protobuf),
}

impl Writer {
    pub(super) fn json(resource: &'static Resource, partial: bool) -> Writer {
        Writer::Json {
            resource,
            custom: resource.custom(),
            partial,
        }
    }

    pub(super) fn protobuf(resource: &'static Resource, partial: bool) -> Result<Writer> {
        Ok(Writer::Protobuf(if partial {
            Protobuf::partial(resource)?
        } else {
            Protobuf::whole(resource)?
        }))
    }

    /// Bytes an item takes, with what separates it from the one before.
    fn size(&self, object: &Obj, first: bool) -> std::result::Result<usize, EncodeError> {
        Ok(match self {
            Writer::Json { partial: true, .. } => {
                let pieces = object.partial_pieces();
                pieces.into_iter().map(str::len).sum::<usize>() + usize::from(!first)
            }
            Writer::Json {
                resource, custom, ..
            } => json(object, resource, custom.as_ref()).len() + usize::from(!first),
            Writer::Protobuf(protobuf) => field_size(protobuf.length(object)?),
        })
    }

    fn put(
        &self,
        object: &Obj,
        first: bool,
        out: &mut BytesMut,
    ) -> std::result::Result<(), EncodeError> {
        match self {
            Writer::Json {
                resource,
                custom,
                partial,
            } => {
                if !first {
                    out.put_u8(b',');
                }
                if *partial {
                    for piece in object.partial_pieces() {
                        out.put_slice(piece.as_bytes());
                    }
                } else {
                    out.put_slice(&json(object, resource, custom.as_ref()));
                }
            }
            Writer::Protobuf(protobuf) => {
                let message = protobuf.message(object)?;
                open_field(ITEMS, message.len(), out);
                out.put_slice(&message);
            }
        }
        Ok(())
    }

    /// What stands before and after items of that many bytes.
    fn around(&self, meta: &ListMeta, items: usize) -> std::result::Result<Around, EncodeError> {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        match self {
            Writer::Json {
                resource, partial, ..
            } => {
                let (kind, api_version) = if *partial {
                    (
                        "PartialObjectMetadataList".into(),
                        "meta.k8s.io/v1".to_owned(),
                    )
                } else {
                    (resource.list_kind(), resource.api_version())
                };
                head = format!(
                    r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{},"items":["#,
                    meta.to_json()
                )
                .into_bytes();
                tail.put_slice(b"]}");
            }
            Writer::Protobuf(protobuf) => {
                let meta = list_meta(meta)?;
                let envelope = protobuf.list_envelope();
                envelope.open(field_size(meta.len()) + items, &mut head);
                open_field(METADATA, meta.len(), &mut head);
                head.put_slice(&meta);
                envelope.close(&mut tail);
            }
        }
        Ok(Around { head, tail })
    }
}

fn json(object: &Obj, resource: &Resource, custom: Option<&Custom>) -> Bytes {
    match custom {
        Some(custom) => object.raw_by(custom),
        None => object.raw_as(resource),
    }
}

struct Around {
    head: Vec<u8>,
    tail: Vec<u8>,
}

fn list_meta(meta: &ListMeta) -> std::result::Result<Vec<u8>, EncodeError> {
    const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
    match schemas().by_name(LIST_META) {
        Some(id) => message(id, meta.to_json().as_bytes()),
        // A registry without it would be empty.
        None => Ok(Vec::new()),
    }
}

pub(super) struct Pieces {
    writer: Writer,
    items: Items,
    around: Around,
    size: usize,
    /// How many items were written; the head was if any was.
    next: usize,
    begun: bool,
    done: bool,
}

impl Pieces {
    /// Measures a list.
    pub(super) async fn new(
        writer: Writer,
        meta: &ListMeta,
        items: Items,
    ) -> std::result::Result<Pieces, EncodeError> {
        let mut size = 0;
        for (at, item) in items.iter().enumerate() {
            size += writer.size(&item.object, at == 0)?;
            if at % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        let around = writer.around(meta, size)?;
        Ok(Pieces {
            size: around.head.len() + size + around.tail.len(),
            writer,
            items,
            around,
            next: 0,
            begun: false,
            done: false,
        })
    }

    /// Bytes of the whole list.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn done(&self) -> bool {
        self.done
    }

    /// Writes on until the buffer holds `limit` bytes or more.
    pub(super) fn fill(
        &mut self,
        out: &mut BytesMut,
        limit: usize,
    ) -> std::result::Result<(), EncodeError> {
        if !std::mem::replace(&mut self.begun, true) {
            out.put_slice(&self.around.head);
        }
        while out.len() < limit && !self.done {
            match self.items.get(self.next) {
                Some(item) => {
                    self.writer.put(&item.object, self.next == 0, out)?;
                    self.next += 1;
                }
                None => {
                    out.put_slice(&self.around.tail);
                    self.done = true;
                }
            }
        }
        Ok(())
    }
}
