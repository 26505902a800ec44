//! The storage class of a cluster in one process: claims that name none get a folder of the node.

use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use serde_json::json;

/// The class's name.
const NAME: &str = "local";

/// Makes the class, unless one of its name is there: what somebody made of it stays.
pub(crate) async fn default_class(client: &kube::Client) -> anyhow::Result<()> {
    let class: StorageClass = serde_json::from_value(json!({
        "metadata": {
            "name": NAME,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "sampan.dev/local",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": false,
    }))?;
    let classes: Api<StorageClass> = Api::all(client.clone());
    match classes.create(&PostParams::default(), &class).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}
