//! ConfigMaps and Secrets as bytes by key, read from the API server when a container needs them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

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
