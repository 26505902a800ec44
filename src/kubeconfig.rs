//! What an agent takes from its kubeconfig beside the client. As the client does, it goes by the current context: a
//! kubeconfig may hold others, of other clusters.

use std::path::Path;

use anyhow::Context;
use base64::Engine as _;
use sampan_agent::ServingIdentity;
use serde_json::Value;

/// What the current context names.
pub(crate) struct Current {
    user_name: String,
    user: Value,
    cluster: Value,
}

impl Current {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Current> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the kubeconfig {name}"))?;
        Current::parse(&text).with_context(|| format!("the kubeconfig {name} cannot be used"))
    }

    fn parse(text: &str) -> anyhow::Result<Current> {
        // Read as data, since kube's own type guards the key.
        let kubeconfig: Value = serde_saphyr::from_str(text).context("it is not valid YAML")?;
        let current = string(&kubeconfig, "current-context")?;
        let context = named(&kubeconfig, "contexts", current, "context")?;
        let user_name = string(context, "user")?;
        let cluster_name = string(context, "cluster")?;
        Ok(Current {
            user_name: user_name.to_owned(),
            user: named(&kubeconfig, "users", user_name, "user")?.clone(),
            cluster: named(&kubeconfig, "clusters", cluster_name, "cluster")?.clone(),
        })
    }

    pub(crate) fn user_name(&self) -> &str {
        &self.user_name
    }

    /// The server's `host:port`.
    pub(crate) fn server_host(&self) -> Option<String> {
        let server: http::Uri = string(&self.cluster, "server").ok()?.parse().ok()?;
        let port = server.port_u16().unwrap_or(443);
        Some(format!("{}:{port}", server.host()?))
    }

    /// The certificate of the user, which the cluster's authority signed for this node: it serves as well.
    pub(crate) fn identity(&self) -> anyhow::Result<ServingIdentity> {
        Ok(ServingIdentity::new(
            pem(&self.user, "client-certificate-data")?,
            pem(&self.user, "client-key-data")?,
            pem(&self.cluster, "certificate-authority-data")?,
        ))
    }
}

fn string<'v>(value: &'v Value, field: &str) -> anyhow::Result<&'v str> {
    let text = value.get(field).and_then(Value::as_str);
    text.with_context(|| format!("it has no {field}"))
}

/// The entry of that name in a list, which has what it holds under `field`.
fn named<'v>(
    kubeconfig: &'v Value,
    list: &str,
    name: &str,
    field: &str,
) -> anyhow::Result<&'v Value> {
    let entries = kubeconfig.get(list).and_then(Value::as_array);
    let mut entries = entries.into_iter().flatten();
    entries
        .find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
        .and_then(|entry| entry.get(field))
        .with_context(|| format!("it has no {field} {name:?}"))
}

fn pem(value: &Value, field: &str) -> anyhow::Result<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(string(value, field)?)?;
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "
current-context: here
contexts:
- {name: there, context: {cluster: elsewhere, user: somebody}}
- {name: here, context: {cluster: own, user: 'system:node:n'}}
clusters:
- {name: elsewhere, cluster: {server: 'https://other:7443'}}
- {name: own, cluster: {server: 'https://own.example', certificate-authority-data: Y2E=}}
users:
- {name: somebody, user: {token: t}}
- {name: 'system:node:n', user: {client-certificate-data: Yw==, client-key-data: aw==}}
";

    #[test]
    fn the_current_context_counts() {
        let current = Current::parse(TWO).expect("a kubeconfig");
        assert_eq!(current.user_name(), "system:node:n");
        assert_eq!(current.server_host().as_deref(), Some("own.example:443"));
        assert!(current.identity().is_ok());
        let other = TWO.replace("current-context: here", "current-context: there");
        let other = Current::parse(&other).expect("a kubeconfig");
        assert_eq!(other.server_host().as_deref(), Some("other:7443"));
        assert!(other.identity().is_err());
    }

    #[test]
    fn what_it_lacks_is_told() {
        let lacks = |text: &str| Current::parse(text).err().map(|why| why.to_string());
        assert_eq!(lacks("{}").as_deref(), Some("it has no current-context"));
        let unknown = TWO.replace("current-context: here", "current-context: nowhere");
        let why = lacks(&unknown);
        assert_eq!(why.as_deref(), Some("it has no context \"nowhere\""));
    }
}
