//! ConfigMaps and Secrets as bytes by key, and tokens, asked of the API server when a container needs them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection,
};
use kube::Api;
use kube::api::PostParams;

use crate::limits::TOKEN_AGE_MAX;

/// The two kinds of object containers take content from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) kind: ObjectKind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An object's content by key.
pub(crate) type Content = BTreeMap<String, Vec<u8>>;

/// An object as it was at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Nothing when there is no such object.
    pub(crate) content: Option<Arc<Content>>,
    /// Its resourceVersion as a number: they are comparable since 1.35.
    pub(crate) version: u64,
}

/// A token, and when to ask for the next.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) renew_at: Timestamp,
}

/// An object with content.
pub(super) trait Readable:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Sized
{
    fn content(self) -> Content;
    /// Whether the content can never change.
    fn is_immutable(&self) -> bool;

    fn known(self) -> Known {
        let version = self.meta().resource_version.as_deref();
        Known {
            version: version.and_then(|text| text.parse().ok()).unwrap_or(0),
            content: Some(Arc::new(self.content())),
        }
    }
}

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

impl ObjectError {
    pub(super) fn new(kind: &'static str, name: &str, error: &kube::Error) -> ObjectError {
        ObjectError {
            kind,
            name: name.to_owned(),
            reason: crate::agent::api_message(error),
        }
    }

    pub(super) fn absent(kind: &'static str, name: &str) -> ObjectError {
        ObjectError {
            kind,
            name: name.to_owned(),
            reason: "there is none".to_owned(),
        }
    }
}

impl Objects {
    pub(crate) fn new(client: kube::Client) -> Objects {
        Objects { client }
    }

    /// The object as the API server has it now.
    pub(crate) async fn known(
        &self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
    ) -> Result<Known, ObjectError> {
        let known = match kind {
            ObjectKind::ConfigMap => {
                let found = self.config_map(namespace, name).await?;
                found.map(Readable::known)
            }
            ObjectKind::Secret => Api::<Secret>::namespaced(self.client(), namespace)
                .get_opt(name)
                .await
                .map_err(|error| ObjectError::new(kind.word(), name, &error))?
                .map(Readable::known),
        };
        Ok(known.unwrap_or(Known {
            content: None,
            version: 0,
        }))
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ConfigMap>, ObjectError> {
        let maps = Api::<ConfigMap>::namespaced(self.client(), namespace);
        let found = maps.get_opt(name).await;
        found.map_err(|error| ObjectError::new(ObjectKind::ConfigMap.word(), name, &error))
    }

    /// What environment variables may be taken from: of a ConfigMap its `data` only, as upstream.
    pub(crate) async fn variables(
        &self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Content>>, ObjectError> {
        match kind {
            ObjectKind::ConfigMap => {
                let found = self.config_map(namespace, name).await?;
                Ok(found.map(|map| {
                    let text = ConfigMap {
                        binary_data: None,
                        ..map
                    };
                    Arc::new(text.content())
                }))
            }
            ObjectKind::Secret => self.content(kind, namespace, name).await,
        }
    }

    /// The object's content now; none when there is no such object.
    pub(crate) async fn content(
        &self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Content>>, ObjectError> {
        Ok(self.known(kind, namespace, name).await?.content)
    }

    /// A token of the pod's account that lives at most as long as the pod.
    pub(crate) async fn token(
        &self,
        pod: &Pod,
        wanted: &ServiceAccountTokenProjection,
    ) -> Result<Token, ObjectError> {
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
        let status = answer.status.unwrap_or_default();
        match (status.token, status.expiration_timestamp) {
            (Some(text), Some(until)) => Ok(Token {
                renew_at: renewal(Timestamp::now(), until.0),
                text,
            }),
            _ => Err(failed("the answer holds none".to_owned())),
        }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }
}

/// When a token that ends at `until` is to be replaced: at 80 % of its life, at the latest after a day, as upstream; a
/// little earlier by chance, so that the tokens of many pods are not renewed in one moment.
fn renewal(now: Timestamp, until: Timestamp) -> Timestamp {
    let life = until.duration_since(now).as_millis().max(0);
    let share = rand::random_range(75..80);
    let wait = (life * share / 100).min(TOKEN_AGE_MAX.as_millis().cast_signed());
    crate::plan::after(
        now,
        std::time::Duration::from_millis(u64::try_from(wait).unwrap_or(0)),
    )
}

impl Readable for ConfigMap {
    fn content(self) -> Content {
        let text = self.data.into_iter().flatten();
        let text = text.map(|(key, text)| (key, text.into_bytes()));
        let binary = self.binary_data.into_iter().flatten();
        text.chain(binary.map(|(key, bytes)| (key, bytes.0)))
            .collect()
    }

    fn is_immutable(&self) -> bool {
        self.immutable == Some(true)
    }
}

impl Readable for Secret {
    fn content(self) -> Content {
        let data = self.data.into_iter().flatten();
        data.map(|(key, bytes)| (key, bytes.0)).collect()
    }

    fn is_immutable(&self) -> bool {
        self.immutable == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn tokens_are_renewed_before_they_end() {
        let now = Timestamp::UNIX_EPOCH;
        for (life, least, most) in [
            (600, 450, 480),
            (3_607, 2_705, 2_886),
            (365 * 86_400, 86_400, 86_400),
            (-5, 0, 0),
        ] {
            let at = renewal(now, now + SignedDuration::from_secs(life));
            let wait = at.duration_since(now).as_secs();
            assert!((least..=most).contains(&wait), "{life}: {wait}");
        }
    }
}
