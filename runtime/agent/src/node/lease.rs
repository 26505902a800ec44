//! The node's heartbeat: a Lease in `kube-node-lease`, renewed every ten seconds.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::agent::{api_message, in_time};
use crate::limits::{API_RETRY, LEASE_DURATION_SECONDS, LEASE_RENEW};
use crate::plan::Backoff;

const NAMESPACE: &str = "kube-node-lease";

/// Renews until shutdown; begins when the Node is registered.
pub(crate) async fn renew_loop(
    client: kube::Client,
    node: String,
    mut registered: tokio::sync::watch::Receiver<Option<String>>,
    shutdown: CancellationToken,
) {
    let leases: Api<Lease> = Api::namespaced(client, NAMESPACE);
    let work = async {
        let mut retry = Backoff::default();
        loop {
            let uid = registered.borrow_and_update().clone();
            let Some(uid) = uid else {
                if registered.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let pause = match renew(&leases, &node, &uid).await {
                Ok(()) => {
                    retry.reset();
                    LEASE_RENEW
                }
                Err(error) => {
                    tracing::warn!(reason = api_message(&error), "node lease not renewed");
                    retry.fail(Timestamp::now(), API_RETRY);
                    retry.delay()
                }
            };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}

/// One renewal: a patch of one field, so that nothing has to be read first.
async fn renew(leases: &Api<Lease>, node: &str, uid: &str) -> Result<(), kube::Error> {
    let now = MicroTime(Timestamp::now());
    let patch = json!({ "spec": {
        "holderIdentity": node,
        "leaseDurationSeconds": LEASE_DURATION_SECONDS,
        "renewTime": now,
    }});
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    match in_time(leases.patch(node, &params, &patch)).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(error),
    }
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(node.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".into(),
                kind: "Node".into(),
                name: node.to_owned(),
                uid: uid.to_owned(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(node.to_owned()),
            lease_duration_seconds: Some(LEASE_DURATION_SECONDS),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }),
    };
    in_time(leases.create(&PostParams::default(), &lease))
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_is_given_up() {
        let silent = axum::Router::new().fallback(std::future::pending::<()>);
        let leases = Api::namespaced(kube::Client::new(silent, "default"), NAMESPACE);
        let hour = Duration::from_secs(3_600);
        let renewed = tokio::time::timeout(hour, renew(&leases, "n", "u")).await;
        let error = renewed.expect("within an hour").unwrap_err();
        let text = api_message(&error);
        assert!(text.contains("did not answer in time"), "{text}");
    }
}
