//! Registry credentials from a pod's pull secrets. Those of its ServiceAccount were put into the pod by admission; the
//! node may read no others.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Pod, Secret};
use sampan_proto::v1;
use serde::{Deserialize, Serialize};

use super::reference;
use crate::agent::in_time;
use crate::content::Objects;

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

/// A Secret that credentials came from, the very object of that name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// One way to log in.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) auth: v1::AuthConfig,
    pub(super) origin: Origin,
}

/// What a pod may log in with.
#[derive(Default)]
pub(super) struct Credentials {
    /// Those that fit the image, the most specific first.
    pub(super) fitting: Vec<Credential>,
    /// The names of its Secrets that could not be read.
    pub(super) missing: Vec<String>,
}

/// The credentials of a pod for `image`. A secret that is malformed is passed over, as upstream does: the pull then
/// tells what is wrong.
pub(super) async fn of_pod(objects: &Objects, pod: &Pod, image: &str) -> Credentials {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let secrets = kube::Api::<Secret>::namespaced(objects.client(), namespace);
    let (mut entries, mut missing) = (Vec::new(), Vec::new());
    for name in secret_names(pod) {
        match in_time(secrets.get_opt(name)).await {
            Ok(Some(secret)) => entries.extend(entries_of(secret)),
            Ok(None) => missing.push(name.to_owned()),
            Err(error) => {
                tracing::warn!(namespace, name, %error, "pull secret not read");
                missing.push(name.to_owned());
            }
        }
    }
    Credentials {
        fitting: select(entries, image),
        missing,
    }
}

/// The names of its Secrets, each once.
fn secret_names(pod: &Pod) -> Vec<&str> {
    let spec = pod.spec.as_ref();
    let own = spec.and_then(|spec| spec.image_pull_secrets.as_deref());
    let names = own.unwrap_or_default().iter().map(|secret| &*secret.name);
    let mut seen = BTreeSet::new();
    names
        .filter(|name| !name.is_empty() && seen.insert(*name))
        .collect()
}

/// The entries of a Secret in both forms there are.
fn entries_of(secret: Secret) -> Vec<(String, Entry, Origin)> {
    let metadata = secret.metadata;
    let origin = Origin {
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
    };
    let data = secret.data.unwrap_or_default();
    let mut auths = BTreeMap::new();
    if let Some(json) = data.get(".dockerconfigjson") {
        let config: DockerConfig = serde_json::from_slice(&json.0).unwrap_or_default();
        auths.extend(config.auths);
    }
    if let Some(json) = data.get(".dockercfg") {
        let config: BTreeMap<String, Entry> = serde_json::from_slice(&json.0).unwrap_or_default();
        auths.extend(config);
    }
    let with_origin = |(key, entry)| (key, entry, origin.clone());
    auths.into_iter().map(with_origin).collect()
}

fn select(entries: Vec<(String, Entry, Origin)>, image: &str) -> Vec<Credential> {
    let (registry, path) = reference::registry_and_path(image);
    let mut fitting: Vec<(usize, Credential)> = entries
        .into_iter()
        .filter_map(|(key, entry, origin)| {
            let (host, prefix) = normalize(&key);
            let fits = host_fits(&host, &registry) && path_fits(&prefix, &path);
            let auth = auth(&host, entry);
            fits.then_some((host.len() + prefix.len(), Credential { auth, origin }))
        })
        .collect();
    fitting.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    fitting.into_iter().map(|(_, fitting)| fitting).collect()
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

/// `*` matches any run of characters. Each part between two stars is taken where it comes first, which leaves the most
/// for those behind it: trying other places would let an author of pods choose how long that takes.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (between, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = text.strip_prefix(head);
    let Some(mut left) = inner.and_then(|inner| inner.strip_suffix(tail)) else {
        return false;
    };
    between.split('*').all(|part| match left.find(part) {
        Some(at) => {
            left = &left[at + part.len()..];
            true
        }
        None => false,
    })
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
        let entries: Vec<(String, Entry, Origin)> = [
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
                Origin {
                    namespace: "n".into(),
                    name: "s".into(),
                    uid: "u".into(),
                },
            )
        })
        .collect();
        let check = |image: &str, expect: &[&str]| {
            let got: Vec<String> = select(entries.clone(), image)
                .into_iter()
                .map(|fitting| fitting.auth.username)
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
    fn stars_stand_for_anything_within_a_label() {
        let check = |pattern: &str, host: &str, expect: bool| {
            assert_eq!(host_fits(pattern, host), expect, "{pattern} {host}");
        };
        check("*", "localhost", true);
        check("r*.io", "reg.io", true);
        check("r*g.io", "reg.io", true);
        check("reg*.io", "reg.io", true);
        check("a*a.io", "a.io", false);
        check("*a*b*.io", "xaxb.io", true);
        check("*a*b*.io", "xbxa.io", false);
        check("a**b.io", "ab.io", true);
        check("*b.io", "bab.io", true);
        check("*ab*ab.io", "abab.io", true);
        check("*ab*ab.io", "aab.io", false);
        // Trying the places of each star in turn would take longer than there is time.
        let (pattern, host) = ("*a".repeat(100), "a".repeat(200));
        check(&format!("{pattern}b.io"), &format!("{host}.io"), false);
        check(&format!("{pattern}*b*.io"), &format!("{host}.io"), false);
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
