//! Objects that are brought back when somebody changes or removes them: the system's namespaces, the Service
//! `default/kubernetes` and where it leads, the range of Service addresses, and what other servers need to believe our
//! clients.
//!
//! They are watched, not polled: nothing happens until somebody writes one of them.

use futures::future::select_all;
use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{defaults, object, time};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::row;
use crate::api::{Api, Result};
use crate::read::{find, key, prefix};
use crate::respond::parse;
use crate::user::UserInfo;
use crate::write::{Attempts, Managers, replace, store_new, store_own};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// After a failure it is tried again, but not at once.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// An object and what of it must be so.
pub(super) struct Kept {
    resource: &'static Resource,
    value: Value,
    /// Paths at which the object must say the same; elsewhere it is anybody's.
    fixed: &'static [&'static str],
    /// Labels that must be there.
    labels: Map<String, Value>,
}

/// All of them, each after what it needs.
pub(super) fn objects(api: &Api) -> Result<Vec<Kept>> {
    let (address, port) = (api.advertised.ip(), api.advertised.port());
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let mut all = Vec::new();
    for name in NAMESPACES {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        all.push(Kept::new(namespace, &[])?);
    }
    let cidr = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [api.facts.service_cidr]},
        "status": {"conditions": [{
            "type": "Ready", "status": "True", "reason": "", "lastTransitionTime": time::seconds(Timestamp::now()),
            "message": "Kubernetes default Service CIDR is ready",
        }]},
    });
    all.push(Kept::new(cidr, &[])?);
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": api.facts.service_ip.to_string(), "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    });
    all.push(Kept::new(
        service,
        &["spec.ports", "spec.type", "spec.selector"],
    )?);
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{
            "addresses": [{"ip": address.to_string()}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }],
    });
    all.push(Kept::new(endpoints, &["subsets"])?);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": family,
        "endpoints": [{"addresses": [address.to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "protocol": "TCP", "port": port}],
    });
    all.push(Kept::new(slice, &["endpoints", "ports"])?);
    let trust = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {"client-ca-file": api.facts.ca_pem},
    });
    all.push(Kept::new(trust, &["data.client-ca-file"])?);
    Ok(all)
}

impl Kept {
    fn new(mut value: Value, fixed: &'static [&'static str]) -> Result<Kept> {
        let resource = row(&value)?;
        defaults::apply(resource, &mut value);
        Ok(Kept {
            resource,
            fixed,
            labels: object::labels(&value).cloned().unwrap_or_default(),
            value,
        })
    }

    fn namespace(&self) -> &str {
        object::namespace(&self.value)
    }

    fn name(&self) -> &str {
        object::name(&self.value)
    }

    /// Creates it, or puts it right.
    pub(super) async fn ensure(&self, api: &Api) -> Result<()> {
        let key = key(self.resource, self.namespace(), self.name());
        let mut attempts = Attempts::new(api, key);
        loop {
            attempts.next().await?;
            let Some(current) = find(api, self.resource, self.namespace(), self.name()).await?
            else {
                match self.create(api).await {
                    Err(status) if status.reason == "AlreadyExists" => continue,
                    outcome => return outcome,
                }
            };
            let value = parse(&current.object.raw)?;
            let Some(right) = self.put_right(&value) else {
                return Ok(());
            };
            if replace(api, self.resource, &current, right)
                .await?
                .is_some()
            {
                return Ok(());
            }
        }
    }

    async fn create(&self, api: &Api) -> Result<()> {
        let value = self.value.clone();
        // A Service takes its address from the pool; the others are what we say they are.
        if self.resource.bucket == "services" {
            store_new(
                api,
                &UserInfo::server(),
                self.resource,
                value,
                Managers::server(self.resource),
                &mut Vec::new(),
            )
            .await
            .map(drop)
        } else {
            store_own(api, self.resource, value).await.map(drop)
        }
    }

    /// The object as it must be; `None` when it is so already, or on its way out.
    fn put_right(&self, current: &Value) -> Option<Value> {
        if object::deletion_timestamp(current).is_some() {
            return None;
        }
        let mut right = current.clone();
        for path in self.fixed {
            match object::get(&self.value, path) {
                Some(value) => object::set(&mut right, path, value.clone()),
                None => {
                    object::remove(&mut right, path);
                }
            }
        }
        let mut labels = object::labels(current).cloned().unwrap_or_default();
        labels.extend(self.labels.clone());
        if !labels.is_empty() {
            object::set(&mut right, "metadata.labels", labels);
        }
        if right == *current {
            return None;
        }
        if self.resource.generation {
            object::set(
                &mut right,
                "metadata.generation",
                object::generation(current) + 1,
            );
        }
        Some(right)
    }
}

/// Brings the kept objects back whenever one of them is written, until told to stop.
pub(crate) async fn keep(api: &Api, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let round = tokio::select! {
            () = shutdown.cancelled() => return,
            round = round(api) => round,
        };
        if let Err(error) = round {
            tracing::warn!(
                error = error.message,
                "the system's own objects could not be brought back"
            );
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }
}

/// Puts everything right, and waits until something is written.
async fn round(api: &Api) -> Result<()> {
    let objects = objects(api)?;
    // Watched before they are looked at, so that nothing falls in between.
    let from = api.store.current_revision();
    let mut watches = Vec::new();
    for kept in &objects {
        let watch = api
            .store
            .watch(prefix(kept.resource, kept.namespace()), from)
            .await;
        let watch = watch.map_err(|error| Status::service_unavailable(error.to_string()))?;
        watches.push((watch, kept.name()));
    }
    stream::iter(&objects)
        .then(|kept| kept.ensure(api))
        .fold(Ok(()), |all, one| async { all.and(one) })
        .await?;
    // The first event is our own doing at times; then the next round finds nothing to do.
    let written = watches.into_iter().map(|(mut watch, name)| {
        async move {
            while let Ok(events) = watch.next().await {
                if events
                    .iter()
                    .any(|event| *event.entry.object.name() == *name)
                {
                    return;
                }
            }
        }
        .boxed()
    });
    select_all(written).await;
    Ok(())
}
