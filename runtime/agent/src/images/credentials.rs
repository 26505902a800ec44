//! Registry credentials from a pod's pull secrets. Those of its ServiceAccount were put into the pod by admission; the
//! node may read no others.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use sampan_proto::v1;
use serde::Deserialize;

use super::reference;
use crate::content::{ObjectKind, Objects};

/// One entry of a docker configuration.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    username: String,
    password: String,
    /// base64 of `username:password`; it wins over the two fields.
    auth: String,
    identitytoken: String,
    registrytoken: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
}

/// Credentials that fit `image`, the most specific first. A secret that is missing or malformed
/// is passed over, as upstream does: the pull then tells what is wrong.
pub(super) async fn of_pod(objects: &Objects, pod: &Pod, image: &str) -> Vec<v1::AuthConfig> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let spec = pod.spec.as_ref();
    let secrets = spec.and_then(|spec| spec.image_pull_secrets.as_deref());
    let names = secrets
        .unwrap_or_default()
        .iter()
        .map(|secret| &secret.name);
    let mut entries = Vec::new();
    for name in names {
        match objects.content(ObjectKind::Secret, namespace, name).await {
            Ok(Some(content)) => {
                if let Some(json) = content.get(".dockerconfigjson") {
                    let config: DockerConfig = serde_json::from_slice(json).unwrap_or_default();
                    entries.extend(config.auths);
                }
                if let Some(json) = content.get(".dockercfg") {
                    let auths: BTreeMap<String, Entry> =
                        serde_json::from_slice(json).unwrap_or_default();
                    entries.extend(auths);
                }
            }
            Ok(None) => tracing::warn!(namespace, name, "pull secret not found"),
            Err(error) => tracing::warn!(namespace, name, %error, "pull secret not read"),
        }
    }
    select(entries, image)
}

fn select(entries: Vec<(String, Entry)>, image: &str) -> Vec<v1::AuthConfig> {
    let (registry, path) = reference::registry_and_path(image);
    let mut fitting: Vec<(usize, v1::AuthConfig)> = entries
        .into_iter()
        .filter_map(|(key, entry)| {
            let (host, prefix) = normalize(&key);
            (host_fits(&host, &registry) && path_fits(&prefix, &path))
                .then(|| (host.len() + prefix.len(), auth(&host, entry)))
        })
        .collect();
    fitting.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    fitting.into_iter().map(|(_, auth)| auth).collect()
}

/// The key of an entry as host and path. Docker Hub has an old name of its own.
fn normalize(key: &str) -> (String, String) {
    let key = key
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    match host {
        "index.docker.io" | "registry-1.docker.io" | "docker.io" => {
            let path = path.trim_end_matches('/');
            let path = if matches!(path, "v1" | "v2") {
                ""
            } else {
                path
            };
            ("docker.io".to_owned(), path.to_owned())
        }
        _ => (host.to_owned(), path.trim_end_matches('/').to_owned()),
    }
}

/// Whether `registry` is the host, whose parts may be `*` patterns.
fn host_fits(pattern: &str, registry: &str) -> bool {
    let (pattern_host, pattern_port) = pattern.split_once(':').unwrap_or((pattern, ""));
    let (host, port) = registry.split_once(':').unwrap_or((registry, ""));
    let wanted: Vec<&str> = pattern_host.split('.').collect();
    let given: Vec<&str> = host.split('.').collect();
    pattern_port == port
        && wanted.len() == given.len()
        && wanted
            .iter()
            .zip(&given)
            .all(|(wanted, given)| glob(wanted, given))
}

/// `*` matches any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && glob(tail, &rest[at..]))
        }),
    }
}

fn path_fits(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn auth(host: &str, entry: Entry) -> v1::AuthConfig {
    let decoded = STANDARD.decode(entry.auth.trim()).ok();
    let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let (username, password) = match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((username, password)) => (username.to_owned(), password.to_owned()),
        None => (entry.username, entry.password),
    };
    v1::AuthConfig {
        username,
        password,
        server_address: host.to_owned(),
        identity_token: entry.identitytoken,
        registry_token: entry.registrytoken,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_fit_by_host_and_path() {
        let entries: Vec<(String, Entry)> = [
            "reg.io",
            "reg.io/team",
            "*.corp.io",
            "reg.io:5000",
            "https://index.docker.io/v1/",
        ]
        .into_iter()
        .map(|key| {
            (
                key.to_owned(),
                Entry {
                    username: key.into(),
                    ..Entry::default()
                },
            )
        })
        .collect();
        let check = |image: &str, expect: &[&str]| {
            let got: Vec<String> = select(entries.clone(), image)
                .into_iter()
                .map(|auth| auth.username)
                .collect();
            assert_eq!(got, expect, "{image}");
        };
        check("reg.io/app:1", &["reg.io"]);
        check("reg.io/team/app", &["reg.io/team", "reg.io"]);
        check("reg.io/teams/app", &["reg.io"]);
        check("reg.io:5000/app", &["reg.io:5000"]);
        check("a.corp.io/app", &["*.corp.io"]);
        check("a.b.corp.io/app", &[]);
        check("app:v1", &["https://index.docker.io/v1/"]);
        check("other.io/app", &[]);
    }

    #[test]
    fn auth_field_wins() {
        let entry = Entry {
            username: "u".into(),
            password: "p".into(),
            auth: STANDARD.encode("me:se:cret"),
            ..Entry::default()
        };
        let auth = auth("reg.io", entry);
        assert_eq!(
            (auth.username.as_str(), auth.password.as_str()),
            ("me", "se:cret")
        );
    }
}
