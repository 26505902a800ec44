//! Containers that join a pod that runs already.

use std::collections::HashSet;

use crate::object::{self, items, text};
use crate::status::{Errors, FieldError};

use super::super::path::Path;
use super::{Context, container};

const NOT_SET: &str = "cannot be set for an Ephemeral Container";
/// What they may not have.
const NOT_THEIRS: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

pub(super) fn all(context: &Context<'_>, path: &Path, out: &mut Errors) {
    let own = ["containers", "initContainers"];
    let others: HashSet<&str> = own
        .iter()
        .flat_map(|list| items(context.spec, list))
        .map(|container| text(container, "name"))
        .collect();
    let mut names = others.clone();
    for (at, one) in items(context.spec, "ephemeralContainers")
        .iter()
        .enumerate()
    {
        let here = path.index(at);
        container::common(one, context, &here, out);
        container::image_spaces(one, &here, out);
        container::unique_name(one, &here, &mut names, out);
        let target = text(one, "targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            let here = here.child("targetContainerName");
            out.push(|| FieldError::not_found(here, target));
        }
        for field in NOT_THEIRS {
            if !object::is_empty(one, field) {
                out.push(|| FieldError::forbidden(here.child(field), NOT_SET));
            }
        }
        for (at, mount) in items(one, "volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !text(mount, field).is_empty() {
                    let here = here.child("volumeMounts").index(at).child(field);
                    out.push(|| FieldError::forbidden(here, NOT_SET));
                }
            }
        }
    }
}
