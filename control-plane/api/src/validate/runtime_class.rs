//! RuntimeClasses.

use std::collections::HashSet;

use serde_json::Value;

use crate::defaults::toleration_identity;
use crate::names;
use crate::object::{get, items, text};
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::path::{Path, amounts, invalid, labels};
use super::pod::tolerations;

pub(super) fn create(value: &Value, out: &mut Errors) {
    let handler = text(value, "handler");
    if handler.is_empty() {
        out.push(|| FieldError::required("handler", ""));
    } else {
        let wrong = names::dns1123_label(handler);
        invalid(out, &Path::new("handler"), handler, wrong);
    }
    if let Some(overhead) = get(value, "overhead") {
        amounts(out, overhead, &Path::new("overhead"), "podFixed");
    }
    if let Some(scheduling) = get(value, "scheduling") {
        let path = Path::new("scheduling");
        labels(out, scheduling, &path, "nodeSelector");
        let path = path.child("tolerations");
        tolerations(scheduling, &path, out);
        let mut seen = HashSet::new();
        for (at, one) in items(scheduling, "tolerations").iter().enumerate() {
            if !seen.insert(toleration_identity(one)) {
                out.push(|| FieldError::duplicate(path.index(at), one));
            }
        }
    }
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    if text(new, "handler") != text(old, "handler") {
        out.push(|| FieldError::invalid("handler", text(new, "handler"), IMMUTABLE));
    }
    create(new, out);
}
