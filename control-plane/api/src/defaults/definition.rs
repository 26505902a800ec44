//! CustomResourceDefinitions: names that follow from the kind, and the record of versions that were stored.

use serde_json::{Value, json};

use crate::object::{self, flag, items, set, set_default, text};

pub(super) fn apply(definition: &mut Value) {
    let kind = text(definition, "spec.names.kind").to_owned();
    if text(definition, "spec.names.singular").is_empty() {
        set(definition, "spec.names.singular", kind.to_lowercase());
    }
    if text(definition, "spec.names.listKind").is_empty() && !kind.is_empty() {
        set(definition, "spec.names.listKind", format!("{kind}List"));
    }
    set_default(definition, "spec.conversion", json!({"strategy": "None"}));
    let webhook = "spec.conversion.webhook.clientConfig.service";
    if object::get(definition, webhook).is_some() {
        set_default(definition, &format!("{webhook}.port"), 443);
    }
}

/// What a new definition's status says before anybody looked at it.
pub(super) fn initial_status(definition: &Value) -> Value {
    let storage = storage(definition).into_iter().collect::<Vec<_>>();
    json!({"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": storage})
}

fn storage(definition: &Value) -> Option<&str> {
    let versions = items(definition, "spec.versions").iter();
    let mut storage = versions.filter(|version| flag(version, "storage"));
    storage.next().map(|version| text(version, "name"))
}

/// Remembers the storage version among those that were one.
pub(super) fn note_storage(definition: &mut Value) {
    let Some(name) = storage(definition).map(str::to_owned) else {
        return;
    };
    let mut stored = items(definition, "status.storedVersions").to_vec();
    if !stored.iter().any(|known| *known == name) {
        stored.push(name.into());
        set(definition, "status.storedVersions", stored);
    }
}
