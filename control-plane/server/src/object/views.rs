//! How else an object is shown than it rests: in another API version, or by another schema than it was stored under.
//!
//! A custom object whose definition changed since is pruned and defaulted by the new schema on its way out, once per
//! version and not once per reader.

use std::sync::OnceLock;

use bytes::Bytes;
use parking_lot::Mutex;
use sampan_api::convert::to_version;
use sampan_api::custom::Custom;
use sampan_api::resource::Resource;

/// What is known of an object's other forms.
#[derive(Debug, Default)]
pub(super) struct Views(OnceLock<Box<Mutex<Vec<View>>>>);

#[derive(Debug)]
struct View {
    of: (u64, usize),
    /// `None` when it looks as it rests.
    bytes: Option<Bytes>,
}

/// Built-in kinds have at most one other version.
const BUILTIN: (u64, usize) = (0, 0);

impl Views {
    pub(super) fn builtin(&self, raw: &Bytes, resource: &Resource) -> Bytes {
        self.get(BUILTIN, raw, || {
            let value = serde_json::from_slice(raw).ok()?;
            let converted = to_version(&value, &resource.api_version())?;
            Some(converted.to_string().into())
        })
    }

    pub(super) fn custom(&self, raw: &Bytes, custom: &Custom) -> Bytes {
        self.get(custom.stamp(), raw, || {
            let shown = custom.read(serde_json::from_slice(raw).ok()?).to_string();
            (shown.as_bytes() != &raw[..]).then(|| shown.into())
        })
    }

    pub(super) fn conforms(&self, custom: &Custom) {
        self.put(custom.stamp(), None);
    }

    fn get(&self, of: (u64, usize), raw: &Bytes, make: impl FnOnce() -> Option<Bytes>) -> Bytes {
        let known = self.0.get().and_then(|views| {
            let views = views.lock();
            let view = views.iter().find(|view| view.of == of)?;
            Some(view.bytes.clone())
        });
        let bytes = known.unwrap_or_else(|| {
            let bytes = make();
            self.put(of, bytes.clone());
            bytes
        });
        bytes.unwrap_or_else(|| raw.clone())
    }

    /// Keeps a view, and those of the same definition: there are as many as it has versions.
    fn put(&self, of: (u64, usize), bytes: Option<Bytes>) {
        let mut views = self.0.get_or_init(Box::default).lock();
        views.retain(|view| view.of.0 == of.0 && view.of != of);
        views.push(View { of, bytes });
    }
}
