//! Conflicts: an applied configuration wants what others own.

use super::managed::{Entry, Operation};
use super::set::{Set, shown};
use crate::status::{Cause, Details, Status, quote};

/// How many fields an answer names; the message still counts them all.
const MAX_SHOWN: usize = 1000;
/// How many bytes of them.
const MAX_BYTES: usize = 1024 * 1024;

/// What one manager owns and the configuration says otherwise.
#[derive(Clone, Debug)]
pub(super) struct Conflict<'a> {
    /// The manager, and what it owned before.
    pub(super) owner: Entry<'a>,
    /// The fields in question.
    pub(super) fields: Set<'a>,
}

/// 409, in upstream's words.
pub(super) fn status(mut conflicts: Vec<Conflict<'_>>) -> Status {
    conflicts.sort_by_cached_key(|conflict| conflict.owner.identity());
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for conflict in &conflicts {
        let who = manager(&conflict.owner);
        let paths = conflict.fields.paths();
        let room = MAX_SHOWN.saturating_sub(count);
        count += paths.len();
        lines.push(format!("conflicts with {who}:"));
        for path in paths.iter().take(room) {
            if bytes > MAX_BYTES {
                break;
            }
            let field = shown(path);
            bytes += field.len();
            lines.push(format!("- {field}"));
            causes.push(Cause {
                reason: "FieldManagerConflict".to_owned(),
                message: format!("conflict with {who}"),
                field,
            });
        }
    }
    let message = match causes.as_slice() {
        [only] => format!(
            "Apply failed with 1 conflict: {}: {}",
            only.message, only.field
        ),
        _ => format!("Apply failed with {count} conflicts: {}", lines.join("\n")),
    };
    Status {
        code: 409,
        reason: "Conflict",
        message,
        details: Some(Box::new(Details {
            causes,
            ..Details::default()
        })),
        continue_token: None,
    }
}

fn manager(entry: &Entry<'_>) -> String {
    let mut words = quote(entry.manager);
    if !entry.subresource.is_empty() {
        words += &format!(" with subresource {}", quote(entry.subresource));
    }
    if entry.operation == Operation::Update {
        words += &format!(" using {}", entry.api_version);
    }
    words
}
