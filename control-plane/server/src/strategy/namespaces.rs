//! Namespaces: created active, emptied by a controller, removed by `finalize`; and what may be created in them.

use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;

use crate::api::{Api, Result};
use crate::read::find;

/// These may not be deleted.
pub(super) const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Whether an object may be created in a namespace: it must be there, and not on its way out.
pub(crate) async fn accepts(
    api: &Api,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<()> {
    let namespaces = find_resource("", "v1", "namespaces").ok_or_else(Status::path_not_found)?;
    let Some(found) = find(api, namespaces, "", namespace).await? else {
        return Err(Status::not_found(namespaces, namespace));
    };
    if found.object.deletion().is_some() {
        return Err(Status::namespace_terminating(resource, name, namespace));
    }
    Ok(())
}
