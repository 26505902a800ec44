//! What a request asks for: path, verb and query, parsed once, as upstream's RequestInfo has them.

mod query;
mod unserved;

use http::Method;
use sampan_api::custom::Served;
use sampan_api::resource::Resource;

pub(crate) use query::Query;
pub(crate) use unserved::Unserved;

/// What a path names.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// `/`
    Root,
    /// `/api`
    Api,
    /// `/apis`
    Apis,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    GroupVersion { group: String, version: String },
    /// `/version`
    Version,
    /// `/healthz`, `/livez`, `/readyz`, each with the name of one check below it
    Health(String),
    /// `/metrics`
    Metrics,
    /// `/openapi/v3`
    OpenApiIndex,
    /// `/openapi/v3/PATH`
    OpenApi(String),
    /// `/openapi/v2`
    OpenApiV2,
    /// `/.well-known/openid-configuration`
    OpenIdConfiguration,
    /// `/openid/v1/jwks`
    OpenIdKeys,
    /// `/v2/...`: what the root package mounted.
    Extra,
    /// An object, a collection, or a part of an object.
    Resource(ResourceTarget),
    /// A stream into a running object that Kubernetes has and this server has not, such as `pods/exec`.
    Stream(String),
    /// Anything else.
    Unknown,
}

/// An object, a collection, or a part of an object.
#[derive(Debug)]
pub(crate) struct ResourceTarget {
    pub(crate) resource: &'static Resource,
    /// Empty: cluster scope or all namespaces.
    pub(crate) namespace: String,
    /// Empty: the collection.
    pub(crate) name: String,
    /// Empty: the object itself.
    pub(crate) subresource: String,
    /// Asked through the deprecated `/watch/` prefix.
    pub(crate) watch_prefix: bool,
}

impl PartialEq for ResourceTarget {
    fn eq(&self, other: &ResourceTarget) -> bool {
        std::ptr::eq(self.resource, other.resource)
            && (
                &self.namespace,
                &self.name,
                &self.subresource,
                self.watch_prefix,
            ) == (
                &other.namespace,
                &other.name,
                &other.subresource,
                other.watch_prefix,
            )
    }
}

impl Target {
    pub(crate) fn parse(path: &str, served: &Served) -> Target {
        let decoded = percent_decode(path);
        let path = decoded.trim_matches('/');
        let mut segments = path.split('/');
        match segments.next().unwrap_or("") {
            _ if matches!(path, "" | "index.html") => Target::Root,
            "api" => match segments.next() {
                None => Target::Api,
                Some(version) => below(segments, served, ("", version)),
            },
            "apis" => match (segments.next(), segments.next()) {
                (None, _) => Target::Apis,
                (Some(group), None) => Target::Group(group.into()),
                (Some(group), Some(version)) => below(segments, served, (group, version)),
            },
            "version" if path == "version" => Target::Version,
            "healthz" | "livez" | "readyz" => Target::Health(path.into()),
            "metrics" if path == "metrics" => Target::Metrics,
            "openapi" => match path.strip_prefix("openapi/v3") {
                Some("") => Target::OpenApiIndex,
                Some(rest) if rest.starts_with('/') => Target::OpenApi(rest[1..].into()),
                None if path == "openapi/v2" => Target::OpenApiV2,
                _ => Target::Unknown,
            },
            ".well-known" if path == ".well-known/openid-configuration" => {
                Target::OpenIdConfiguration
            }
            "openid" if path == "openid/v1/jwks" => Target::OpenIdKeys,
            "v2" => Target::Extra,
            _ => Target::Unknown,
        }
    }
}

fn below<'a>(
    segments: impl Iterator<Item = &'a str>,
    served: &Served,
    (group, version): (&str, &str),
) -> Target {
    let mut parts: Vec<&str> = segments.collect();
    if parts.is_empty() {
        return Target::GroupVersion {
            group: group.into(),
            version: version.into(),
        };
    }
    let watch_prefix = parts[0] == "watch" && parts.len() > 1;
    if watch_prefix {
        parts.remove(0);
    }
    // `namespaces/NAME/status` is a part of the namespace; `namespaces/NAME/pods` is a collection inside it.
    let inside = parts[0] == "namespaces"
        && parts.len() > 2
        && served
            .find(group, version, "namespaces")
            .is_none_or(|row| row.subresource(parts[2]).is_none());
    let namespace = if inside { parts[1] } else { "" };
    let rest = if inside { &parts[2..] } else { &parts[..] };
    let Some(resource) = served.find(group, version, rest[0]) else {
        return Target::Unknown;
    };
    let (name, subresource) = (
        rest.get(1).copied().unwrap_or(""),
        rest.get(2).copied().unwrap_or(""),
    );
    // One object of a namespaced kind is only reached through its namespace, and the other way round.
    let misplaced = resource.namespaced && namespace.is_empty() && !name.is_empty()
        || !resource.namespaced && !namespace.is_empty();
    if !misplaced && is_stream(resource.plural, subresource) {
        return Target::Stream(format!("{}/{subresource}", resource.plural));
    }
    if misplaced || rest.len() > 3 || rest.len() > 1 && name.is_empty() {
        return Target::Unknown;
    }
    if !subresource.is_empty() && resource.subresource(subresource).is_none() {
        return Target::Unknown;
    }
    Target::Resource(ResourceTarget {
        resource,
        namespace: namespace.into(),
        name: name.into(),
        subresource: subresource.into(),
        watch_prefix,
    })
}

fn is_stream(plural: &str, subresource: &str) -> bool {
    match subresource {
        "exec" | "attach" | "portforward" => plural == "pods",
        "proxy" => matches!(plural, "pods" | "services" | "nodes"),
        _ => false,
    }
}

pub(crate) fn percent_decode(path: &str) -> std::borrow::Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned().into()
}

/// The verb authorization and the resource table speak of.
pub(crate) fn verb(method: &Method, target: &Target, query: &Query) -> &'static str {
    let Target::Resource(target) = target else {
        return match *method {
            Method::GET => "get",
            Method::HEAD => "head",
            Method::POST => "post",
            Method::PUT => "put",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
    };
    match *method {
        Method::GET | Method::HEAD if !target.subresource.is_empty() => "get",
        Method::GET | Method::HEAD if target.watch_prefix => "watch",
        Method::GET | Method::HEAD if !target.name.is_empty() => "get",
        Method::GET | Method::HEAD if query.flag("watch") => "watch",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if target.name.is_empty() => "deletecollection",
        Method::DELETE => "delete",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let show = |path: &str| match Target::parse(path, &Served::default()) {
            Target::Resource(t) => format!(
                "{} ns={} name={} sub={}{}",
                t.resource.plural,
                t.namespace,
                t.name,
                t.subresource,
                if t.watch_prefix { " watch" } else { "" }
            ),
            other => format!("{other:?}"),
        };
        for (path, expected) in [
            ("/api", "Api"),
            ("/apis/", "Apis"),
            ("/api/v1", r#"GroupVersion { group: "", version: "v1" }"#),
            ("/apis/node.k8s.io", r#"Group("node.k8s.io")"#),
            ("/api/v1/pods", "pods ns= name= sub="),
            ("/api/v1/namespaces", "namespaces ns= name= sub="),
            ("/api/v1/namespaces/a", "namespaces ns= name=a sub="),
            (
                "/api/v1/namespaces/a/finalize",
                "namespaces ns= name=a sub=finalize",
            ),
            (
                "/api/v1/namespaces/a/pods/b/log",
                "pods ns=a name=b sub=log",
            ),
            (
                "/api/v1/namespaces/a/configmaps/b%3Ac",
                "configmaps ns=a name=b:c sub=",
            ),
            (
                "/api/v1/watch/namespaces/a/pods/b",
                "pods ns=a name=b sub= watch",
            ),
            (
                "/apis/coordination.k8s.io/v1/namespaces/a/leases",
                "leases ns=a name= sub=",
            ),
            ("/api/v1/namespaces/a/nodes", "Unknown"),
            ("/api/v1/pods/b", "Unknown"),
            ("/api/v1/nope", "Unknown"),
            ("/api/v1/namespaces/a/pods/b/nope", "Unknown"),
            ("/api/v1/namespaces/a/pods/b/log/x", "Unknown"),
            ("/v2/", "Extra"),
            ("/metrics", "Metrics"),
            ("/metrics/x", "Unknown"),
            ("/readyz/ping", r#"Health("readyz/ping")"#),
            (
                "/openapi/v3/apis/node.k8s.io/v1",
                r#"OpenApi("apis/node.k8s.io/v1")"#,
            ),
            ("/.well-known/openid-configuration", "OpenIdConfiguration"),
            ("/.well-known/x", "Unknown"),
            ("/openid/v1/jwks", "OpenIdKeys"),
            ("/openapi/v2", "OpenApiV2"),
            ("/openapi/v2/x", "Unknown"),
            ("/api/v1/namespaces/a/pods/b/exec", r#"Stream("pods/exec")"#),
            (
                "/api/v1/namespaces/a/services/b:80/proxy/x/y",
                r#"Stream("services/proxy")"#,
            ),
            ("/api/v1/nodes/a/proxy/stats", r#"Stream("nodes/proxy")"#),
            ("/api/v1/nodes/a/exec", "Unknown"),
            ("/api/v1/pods/b/exec", "Unknown"),
            ("/", "Root"),
        ] {
            assert_eq!(show(path), expected, "{path}");
        }
    }
}
