//! Claims of devices that are in use, to look after them, are for namespaces that an administrator has marked.

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::{FieldError, Status};
use serde_json::Value;

use crate::api::{Api, Result};
use crate::read::find;

const LABEL: &str = "resource.kubernetes.io/admin-access";

/// The claim, or the template of claims, has its requests at `path`.
pub(super) async fn admit(api: &Api, resource: &Resource, claim: &Value, path: &str) -> Result<()> {
    let is_admin = |request: &Value| object::flag(request, "exactly.adminAccess");
    let requests = object::items(claim, path);
    let Some(at) = requests.iter().position(is_admin) else {
        return Ok(());
    };
    let namespaces = find_resource("", "v1", "namespaces").ok_or_else(Status::path_not_found)?;
    let namespace = find(api, namespaces, "", object::namespace(claim)).await?;
    if namespace.is_some_and(|found| found.object.label(LABEL) == Some("true")) {
        return Ok(());
    }
    // Upstream names the field so in templates, too, and the first that asks alone.
    let error = FieldError::forbidden(
        format!("spec.devices.requests[{at}].adminAccess"),
        format!(
            "admin access to devices requires the `{LABEL}: true` label on the containing namespace"
        ),
    );
    Err(Status::invalid(resource, object::name(claim), vec![error]))
}
