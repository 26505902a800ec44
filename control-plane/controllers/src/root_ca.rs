//! Every namespace has the ConfigMap `kube-root-ca.crt`, by which pods know the API server.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio_util::sync::CancellationToken;

use crate::driver::{self, Next, Reconcile};
use crate::metrics::WorkqueueMetrics;
use crate::namespace::is_active;
use crate::source;

const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";

struct RootCa {
    client: kube::Client,
    pem: String,
}

pub(crate) async fn run(
    client: kube::Client,
    pem: String,
    metrics: WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let namespaces = source::touched(source::objects(Api::<Namespace>::all(client.clone()), ""))
        .map(|namespace| namespace.name_any());
    let published = Api::<ConfigMap>::all(client.clone());
    let published = source::touched(source::objects(published, &format!("metadata.name={NAME}")))
        .filter_map(async |map| map.namespace());
    let keys = stream::select(namespaces, published.boxed());
    driver::run(RootCa { client, pem }, keys, &metrics, shutdown).await;
}

impl RootCa {
    fn wanted(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(KEY.to_string(), self.pem.clone())])
    }

    fn object(&self) -> ConfigMap {
        let description =
            "Contains a CA bundle that can be used to verify the API server of this cluster";
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(NAME.to_string()),
                annotations: Some(BTreeMap::from([(
                    DESCRIPTION.to_string(),
                    description.to_string(),
                )])),
                ..ObjectMeta::default()
            },
            data: Some(self.wanted()),
            ..ConfigMap::default()
        }
    }
}

impl Reconcile for RootCa {
    type Key = String;
    type Error = kube::Error;
    const NAME: &'static str = "root-ca";

    async fn reconcile(&self, namespace: &String) -> Result<Next, kube::Error> {
        if !is_active(&self.client, namespace).await? {
            return Ok(Next::OnChange);
        }
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let result = match api.get_opt(NAME).await? {
            Some(live) if live.data.as_ref() == Some(&self.wanted()) => return Ok(Next::OnChange),
            Some(mut live) => {
                live.data = Some(self.wanted());
                api.replace(NAME, &PostParams::default(), &live).await
            }
            None => api.create(&PostParams::default(), &self.object()).await,
        };
        match result {
            Ok(_) => Ok(Next::OnChange),
            // Somebody was quicker (their write comes as a change), or the namespace is going.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409) => {
                Ok(Next::OnChange)
            }
            Err(error) => Err(error),
        }
    }
}
