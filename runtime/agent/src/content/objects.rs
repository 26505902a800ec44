//! ConfigMaps and Secrets as bytes by key, and tokens, asked of the API server when a container needs them.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection,
};
use kube::Api;
use kube::api::PostParams;

/// The two kinds of object containers take content from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    ConfigMap,
    Secret,
}

impl ObjectKind {
    /// As it is named in messages.
    pub(crate) fn word(self) -> &'static str {
        match self {
            ObjectKind::ConfigMap => "configmap",
            ObjectKind::Secret => "secret",
        }
    }
}

/// An object's content by key.
pub(crate) type Content = BTreeMap<String, Vec<u8>>;

/// Reads objects on behalf of pods.
#[derive(Clone)]
pub(crate) struct Objects {
    client: kube::Client,
}

/// The API server could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {kind} \"{name}\": {reason}")]
pub(crate) struct ObjectError {
    kind: &'static str,
    name: String,
    reason: String,
}

impl Objects {
    pub(crate) fn new(client: kube::Client) -> Objects {
        Objects { client }
    }

    /// The object's content; none when there is no such object.
    pub(crate) async fn content(
        &self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Content>, ObjectError> {
        let client = self.client.clone();
        let found = match kind {
            ObjectKind::ConfigMap => Api::<ConfigMap>::namespaced(client, namespace)
                .get_opt(name)
                .await
                .map(|object| object.map(config_map)),
            ObjectKind::Secret => Api::<Secret>::namespaced(client, namespace)
                .get_opt(name)
                .await
                .map(|object| object.map(secret)),
        };
        found.map_err(|error| ObjectError {
            kind: kind.word(),
            name: name.to_owned(),
            reason: crate::agent::api_message(&error),
        })
    }

    /// A token of the pod's account that lives as long as the pod.
    pub(crate) async fn token(
        &self,
        pod: &Pod,
        wanted: &ServiceAccountTokenProjection,
    ) -> Result<String, ObjectError> {
        let spec = pod.spec.as_ref();
        let account = spec
            .and_then(|spec| spec.service_account_name.as_deref())
            .unwrap_or("default");
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: wanted.audience.clone().map(|audience| vec![audience]),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
                expiration_seconds: wanted.expiration_seconds,
            }),
            ..TokenRequest::default()
        };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let failed = |reason: String| ObjectError {
            kind: "token of serviceaccount",
            name: account.to_owned(),
            reason,
        };
        let answer = api
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(|error| failed(crate::agent::api_message(&error)))?;
        let token = answer.status.and_then(|status| status.token);
        token.ok_or_else(|| failed("the answer holds none".to_owned()))
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }
}

fn config_map(object: ConfigMap) -> Content {
    let text = object
        .data
        .into_iter()
        .flatten()
        .map(|(key, text)| (key, text.into_bytes()));
    let binary = object
        .binary_data
        .into_iter()
        .flatten()
        .map(|(key, bytes)| (key, bytes.0));
    text.chain(binary).collect()
}

fn secret(object: Secret) -> Content {
    object
        .data
        .into_iter()
        .flatten()
        .map(|(key, bytes)| (key, bytes.0))
        .collect()
}
