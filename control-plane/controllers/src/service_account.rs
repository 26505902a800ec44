//! Every namespace has a ServiceAccount `default`: pods are refused without one.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio_util::sync::CancellationToken;

use crate::driver::{self, Next, Reconcile};
use crate::metrics::WorkqueueMetrics;
use crate::namespace::is_active;
use crate::source;

const NAME: &str = "default";

struct DefaultServiceAccount {
    client: kube::Client,
}

pub(crate) async fn run(
    client: kube::Client,
    metrics: WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let namespaces = source::touched(source::objects(Api::<Namespace>::all(client.clone()), ""))
        .map(|namespace| namespace.name_any());
    let accounts = Api::<ServiceAccount>::all(client.clone());
    let accounts = source::touched(source::objects(accounts, &format!("metadata.name={NAME}")))
        .filter_map(async |account| account.namespace());
    let keys = stream::select(namespaces, accounts.boxed());
    driver::run(DefaultServiceAccount { client }, keys, &metrics, shutdown).await;
}

impl Reconcile for DefaultServiceAccount {
    type Key = String;
    type Error = kube::Error;
    const NAME: &'static str = "serviceaccount";

    async fn reconcile(&self, namespace: &String) -> Result<Next, kube::Error> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        if !is_active(&self.client, namespace).await? || api.get_opt(NAME).await?.is_some() {
            return Ok(Next::OnChange);
        }
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name: Some(NAME.to_string()),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        match api.create(&PostParams::default(), &account).await {
            Ok(_) => Ok(Next::OnChange),
            // Somebody was quicker, or the namespace is going.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409) => {
                Ok(Next::OnChange)
            }
            Err(error) => Err(error),
        }
    }
}
