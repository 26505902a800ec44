//! What the namespace of a pod says about its pods: read when the sandbox is made, so that a change
//! of the namespace's labels is for pods made afterwards.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use sampan_proto::{FORBID_LABEL, FORBIDDEN_CAPABILITIES, NAMESPACE_UID};

use super::objects::{ObjectError, Objects};

/// A namespace, as far as the runtime has to know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NamespaceFacts {
    /// Names of the capabilities its pods must not have, in order.
    pub(crate) forbidden: Vec<String>,
    pub(crate) uid: String,
}

impl NamespaceFacts {
    fn of(namespace: &Namespace) -> NamespaceFacts {
        let labels = namespace.metadata.labels.iter().flatten();
        NamespaceFacts {
            uid: namespace.metadata.uid.clone().unwrap_or_default(),
            forbidden: labels
                // Whatever else the value is, whoever set the label meant it.
                .filter(|(_, value)| *value != "false")
                .filter_map(|(key, _)| key.strip_prefix(FORBID_LABEL))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// The annotations that tell the runtime. Always written, so that a pod cannot say them itself.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        [
            (FORBIDDEN_CAPABILITIES.to_owned(), self.forbidden.join(",")),
            (NAMESPACE_UID.to_owned(), self.uid.clone()),
        ]
        .into()
    }
}

impl Objects {
    /// What a namespace says about its pods. Where the node may not read namespaces (a cluster that
    /// is not ours), it says nothing.
    pub(crate) async fn namespace(&self, name: &str) -> Result<NamespaceFacts, ObjectError> {
        let namespaces = Api::<Namespace>::all(self.client());
        match namespaces.get_opt(name).await {
            Ok(found) => Ok(found.as_ref().map(NamespaceFacts::of).unwrap_or_default()),
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
        assert_eq!(
            facts.annotations()[FORBIDDEN_CAPABILITIES],
            "http-client,sockets"
        );
        assert_eq!(facts.annotations()[NAMESPACE_UID], "u");
        assert_eq!(
            NamespaceFacts::default().annotations()[FORBIDDEN_CAPABILITIES],
            ""
        );
    }
}
