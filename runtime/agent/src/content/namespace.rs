//! What the namespace of a pod says about its pods: read when the sandbox is made, so that a change
//! of the namespace's labels is for pods made afterwards.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::core::Status;
use sampan_proto::{FORBID_LABEL, FORBIDDEN_CAPABILITIES, NAMESPACE_UID, WASI_KEYVALUE};

use super::objects::{ObjectError, Objects};

/// A namespace, as far as the runtime has to know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NamespaceFacts {
    /// Names of the capabilities its pods must not have, in order.
    pub(crate) forbidden: Vec<String>,
    /// Not known where the node may not read namespaces.
    pub(crate) uid: Option<String>,
}

/// The pod has buckets, and whose they are is not known.
#[derive(Debug, thiserror::Error)]
#[error(
    "annotation {WASI_KEYVALUE}: buckets are kept by the uid of namespace \"{namespace}\", and this node may not read \
     namespaces: allow it to get them"
)]
pub(crate) struct UnknownOwner {
    namespace: String,
}

impl NamespaceFacts {
    fn of(namespace: &Namespace) -> NamespaceFacts {
        let labels = namespace.metadata.labels.iter().flatten();
        NamespaceFacts {
            uid: namespace.metadata.uid.clone(),
            forbidden: labels
                // Whatever else the value is, whoever set the label meant it.
                .filter(|(_, value)| *value != "false")
                .filter_map(|(key, _)| key.strip_prefix(FORBID_LABEL))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Writes the annotations that tell the runtime, over what the pod says itself. A pod with buckets must have an
    /// owner: what it writes without one would be lost to the namespace's other pods.
    pub(crate) fn annotate(
        &self,
        pod: &Pod,
        annotations: &mut BTreeMap<String, String>,
    ) -> Result<(), UnknownOwner> {
        annotations.insert(FORBIDDEN_CAPABILITIES.to_owned(), self.forbidden.join(","));
        match &self.uid {
            Some(uid) => {
                annotations.insert(NAMESPACE_UID.to_owned(), uid.clone());
            }
            None if has_buckets(pod) => {
                let namespace = pod.metadata.namespace.clone().unwrap_or_default();
                return Err(UnknownOwner { namespace });
            }
            None => {
                annotations.remove(NAMESPACE_UID);
            }
        }
        Ok(())
    }
}

/// Whether the pod asks for buckets, for all its containers or for one.
fn has_buckets(pod: &Pod) -> bool {
    let mut keys = pod
        .metadata
        .annotations
        .iter()
        .flatten()
        .map(|(key, _)| key);
    keys.any(|key| {
        let rest = key.strip_prefix(WASI_KEYVALUE);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Whether a namespace that was known is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Lives,
    /// The API server says so: it has none of that name, or one with another uid.
    Gone,
}

impl Objects {
    /// What a namespace says about its pods; an error where there is none. Where the node may not read namespaces
    /// (a cluster that is not ours), it says nothing.
    pub(crate) async fn namespace(&self, name: &str) -> Result<NamespaceFacts, ObjectError> {
        let namespaces = Api::<Namespace>::all(self.client());
        match namespaces.get_opt(name).await {
            Ok(Some(found)) => Ok(NamespaceFacts::of(&found)),
            Ok(None) => Err(ObjectError::absent("namespace", name)),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(
                    namespace = name,
                    "this node may not read namespaces: labels that forbid capabilities have no effect"
                );
                Ok(NamespaceFacts::default())
            }
            Err(error) => Err(ObjectError::new("namespace", name, &error)),
        }
    }

    /// Whether the namespace of this name and uid is there. What is not the API server's own word is an error: a proxy
    /// can say 404, too.
    pub(crate) async fn standing(&self, name: &str, uid: &str) -> Result<Standing, ObjectError> {
        let namespaces = Api::<Namespace>::all(self.client());
        match namespaces.get_metadata(name).await {
            Ok(found) => {
                let now = found.metadata.uid.unwrap_or_default();
                // Without a uid it may be this one.
                let other = !uid.is_empty() && !now.is_empty() && uid != now;
                Ok(if other {
                    Standing::Gone
                } else {
                    Standing::Lives
                })
            }
            Err(kube::Error::Api(status)) if is_absent(&status, name) => Ok(Standing::Gone),
            Err(error) => Err(ObjectError::new("namespace", name, &error)),
        }
    }
}

fn is_absent(status: &Status, name: &str) -> bool {
    let about = status.details.as_ref();
    status.reason == "NotFound"
        && about.is_some_and(|about| about.kind == "namespaces" && about.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_forbid_unless_they_say_false() {
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"uid": "u", "labels": {
            "forbid.sampan.dev/sockets": "true", "forbid.sampan.dev/clocks": "false",
            "forbid.sampan.dev/http-client": "", "sampan.dev/forbid": "x", "a": "b"}}}))
            .unwrap();
        let facts = NamespaceFacts::of(&namespace);
        assert_eq!(facts.forbidden, ["http-client", "sockets"]);
        let mut annotations = lies();
        facts.annotate(&pod("x"), &mut annotations).unwrap();
        assert_eq!(annotations[FORBIDDEN_CAPABILITIES], "http-client,sockets");
        assert_eq!(annotations[NAMESPACE_UID], "u");
    }

    fn lies() -> BTreeMap<String, String> {
        [FORBIDDEN_CAPABILITIES, NAMESPACE_UID]
            .map(|key| (key.to_owned(), "lie".to_owned()))
            .into()
    }

    fn pod(annotation: &str) -> Pod {
        let pod = json!({"metadata": {"namespace": "n", "annotations": {annotation: "default"}}});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn buckets_need_an_owner() {
        let unknown = NamespaceFacts::default();
        let mut annotations = lies();
        unknown.annotate(&pod("x"), &mut annotations).unwrap();
        let told = [(FORBIDDEN_CAPABILITIES.to_owned(), String::new())];
        assert_eq!(annotations, told.into());
        for asks in ["sampan.dev/wasi-keyvalue", "sampan.dev/wasi-keyvalue.c"] {
            let refused = unknown.annotate(&pod(asks), &mut lies()).unwrap_err();
            assert!(refused.to_string().contains("\"n\""), "{refused}");
        }
        let other = unknown.annotate(&pod("sampan.dev/wasi-keyvalues"), &mut lies());
        assert!(other.is_ok());
    }

    #[test]
    fn only_the_servers_own_word_means_gone() {
        let status = |reason: &str, kind: &str, name: &str| -> Status {
            let details = json!({"kind": kind, "name": name});
            serde_json::from_value(json!({"reason": reason, "code": 404, "details": details}))
                .unwrap()
        };
        assert!(is_absent(&status("NotFound", "namespaces", "n"), "n"));
        for other in [
            status("NotFound", "namespaces", "m"),
            status("NotFound", "pods", "n"),
            status("Failed to parse error data", "namespaces", "n"),
        ] {
            assert!(!is_absent(&other, "n"), "{other:?}");
        }
    }
}
