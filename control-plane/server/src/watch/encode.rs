//! Watch events as bytes.

use std::sync::Arc;

use bytes::Bytes;
use sampan_api::protobuf::{EncodeError, Envelope, message};
use sampan_api::resource::Resource;
use sampan_api::schema::schemas;
use sampan_api::status::Status;
use sampan_store::Revision;

use super::frame::{Batch, Buffer, Framing};
use crate::api::{Api, Result};
use crate::content::Form;
use crate::metrics::WatchMeter;
use crate::object::{Obj, Protobuf};
use crate::respond::{ListMeta, Table};

/// Writes the events of one watch.
pub(super) struct Encoder {
    api: Arc<Api>,
    resource: &'static Resource,
    form: Form,
    framing: Framing,
    /// For events in protobuf.
    protobuf: Option<(Protobuf, Envelope)>,
    /// A Table's columns are sent once.
    columns_sent: bool,
    meter: WatchMeter,
}

impl Encoder {
    pub(super) fn new(
        api: &Arc<Api>,
        resource: &'static Resource,
        form: Form,
        framing: Framing,
    ) -> Result<Encoder> {
        let protobuf = match form {
            _ if !framing.is_protobuf() => None,
            Form::Partial => Some(Protobuf::partial(resource)?),
            Form::Whole | Form::Table(_) => Some(Protobuf::whole(resource)?),
        };
        Ok(Encoder {
            api: Arc::clone(api),
            resource,
            form,
            framing,
            protobuf: protobuf.map(|protobuf| (protobuf, protobuf.envelope())),
            columns_sent: false,
            meter: api.metrics.watcher(resource),
        })
    }

    pub(super) fn resource(&self) -> &'static Resource {
        self.resource
    }

    /// What was written since the last call is on its way.
    pub(super) fn count(&mut self) {
        self.meter.flush();
    }

    pub(super) fn event(&mut self, kind: &str, object: &Obj, buffer: &mut Buffer) {
        let before = buffer.len();
        if self.write(kind, object, buffer) {
            self.meter.event(buffer.len() - before);
        }
    }

    /// Writes an event; false when that is not possible.
    fn write(&mut self, kind: &str, object: &Obj, buffer: &mut Buffer) -> bool {
        if let Some((protobuf, envelope)) = &self.protobuf {
            match protobuf.shared(object, &self.api.recent) {
                Ok(message) => buffer.protobuf(self.framing, kind, envelope, &message),
                Err(error) => {
                    unwritable(&error);
                    return false;
                }
            }
            return true;
        }
        let body = match self.form {
            Form::Whole => object.raw_as(self.resource),
            Form::Partial => object.partial(),
            Form::Table(include) => {
                let mut table = Table::of(self.resource);
                if let Err(error) = table.push(self.resource, object, include) {
                    tracing::error!(%error, "an object cannot be shown as a row");
                    return false;
                }
                self.table(table, object.revision())
            }
        };
        buffer.json(self.framing, kind, &body);
        true
    }

    /// A bookmark: an object of the right kind with nothing but its revision.
    pub(super) fn bookmark(&mut self, revision: Revision, ends_initial: bool, buffer: &mut Buffer) {
        const KIND: &str = "BOOKMARK";
        let annotations = if ends_initial {
            r#","annotations":{"k8s.io/initial-events-end":"true"}"#
        } else {
            ""
        };
        let metadata = format!(r#"{{"resourceVersion":"{revision}"{annotations}}}"#);
        if let Some((protobuf, envelope)) = &self.protobuf {
            match protobuf.only(&metadata) {
                Ok(message) => buffer.protobuf(self.framing, KIND, envelope, &message),
                Err(error) => unwritable(&error),
            }
            return;
        }
        let object = |kind: &str, api_version: &str| {
            format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata}}}"#)
        };
        let partial = || object("PartialObjectMetadata", "meta.k8s.io/v1");
        let body: Bytes = match self.form {
            Form::Partial => partial().into(),
            Form::Whole => object(self.resource.kind, &self.resource.api_version()).into(),
            Form::Table(_) => {
                let mut table = Table::of(self.resource);
                table.push_bookmark(&partial());
                self.table(table, &revision.to_string())
            }
        };
        buffer.json(self.framing, KIND, &body);
    }

    /// The last event of a watch that failed.
    pub(super) fn error(&self, status: &Status) -> Batch {
        const KIND: &str = "ERROR";
        let mut buffer = Buffer::default();
        let json = status.to_bytes();
        let id = schemas().by_gvk("", "v1", "Status");
        match id.filter(|_| self.protobuf.is_some()) {
            None => buffer.json(self.framing, KIND, &json),
            Some(id) => match message(id, &json) {
                Ok(message) => {
                    let envelope = Envelope::new("v1", "Status");
                    buffer.protobuf(self.framing, KIND, &envelope, &message);
                }
                Err(error) => unwritable(&error),
            },
        }
        buffer.finish()
    }

    fn table(&mut self, table: Table, revision: &str) -> Bytes {
        let meta = ListMeta {
            resource_version: revision.to_owned(),
            ..ListMeta::default()
        };
        if std::mem::replace(&mut self.columns_sent, true) {
            table.finish_without_columns(&meta)
        } else {
            table.finish(&meta)
        }
    }
}

/// Our own bytes should always be writable, and a watch has no other way to say that they are not.
fn unwritable(error: &EncodeError) {
    tracing::error!(%error, "an event cannot be written");
}
