//! Watch events as bytes: one JSON document per line.

use bytes::{BufMut, Bytes, BytesMut};
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_store::Revision;

use crate::content::Form;
use crate::metrics::WatchMeter;
use crate::object::Obj;
use crate::respond::{ListMeta, Table};

/// Writes the events of one watch.
pub(super) struct Encoder {
    resource: &'static Resource,
    form: Form,
    /// A Table's columns are sent once.
    columns_sent: bool,
    meter: WatchMeter,
}

impl Encoder {
    pub(super) fn new(resource: &'static Resource, form: Form, meter: WatchMeter) -> Encoder {
        Encoder {
            resource,
            form,
            columns_sent: false,
            meter,
        }
    }

    /// What was written since the last call is on its way.
    pub(super) fn count(&mut self) {
        self.meter.flush();
    }

    pub(super) fn event(&mut self, kind: &str, object: &Obj, buffer: &mut BytesMut) {
        let body = match self.form {
            Form::Whole => object.raw_as(self.resource),
            Form::Partial => object.partial(),
            Form::Table(include) => {
                let mut table = Table::new(self.resource.group, self.resource.kind);
                if let Err(error) = table.push(self.resource, object, include) {
                    return tracing::error!(%error, "an object cannot be shown as a row");
                }
                self.table(table, object.revision())
            }
        };
        let before = buffer.len();
        line(kind, &body, buffer);
        self.meter.event(buffer.len() - before);
    }

    /// A bookmark: an object of the right kind with nothing but its revision.
    pub(super) fn bookmark(
        &mut self,
        revision: Revision,
        ends_initial: bool,
        buffer: &mut BytesMut,
    ) {
        let annotations = if ends_initial {
            r#","annotations":{"k8s.io/initial-events-end":"true"}"#
        } else {
            ""
        };
        let metadata = format!(r#"{{"resourceVersion":"{revision}"{annotations}}}"#);
        let partial = format!(
            r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{metadata}}}"#
        );
        let body: Bytes = match self.form {
            Form::Partial => partial.into(),
            Form::Whole => format!(
                r#"{{"kind":"{}","apiVersion":"{}","metadata":{metadata}}}"#,
                self.resource.kind,
                self.resource.api_version(),
            )
            .into(),
            Form::Table(_) => {
                let mut table = Table::new(self.resource.group, self.resource.kind);
                table.push_bookmark(&partial);
                self.table(table, &revision.to_string())
            }
        };
        line("BOOKMARK", &body, buffer);
    }

    pub(super) fn error(&self, status: &Status) -> Bytes {
        let mut buffer = BytesMut::new();
        line("ERROR", &status.to_bytes(), &mut buffer);
        buffer.freeze()
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

fn line(kind: &str, body: &[u8], buffer: &mut BytesMut) {
    const FRAME: usize = r#"{"type":"","object":}"#.len() + 1;
    buffer.reserve(FRAME + kind.len() + body.len());
    buffer.put_slice(br#"{"type":""#);
    buffer.put_slice(kind.as_bytes());
    buffer.put_slice(br#"","object":"#);
    buffer.put_slice(body);
    buffer.put_slice(b"}\n");
}
