//! Where a handler's request goes: the pod's address unless it says otherwise, ports by number or name.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// An HTTP request about to be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpTarget {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With its query; begins with `/`.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl HttpTarget {
    /// What an action means for a container of a pod at `ip`.
    pub(crate) fn of(
        action: &HTTPGetAction,
        container: &Container,
        ip: &str,
    ) -> Result<HttpTarget, String> {
        let host = action.host.as_deref().filter(|host| !host.is_empty());
        let path = action.path.as_deref().unwrap_or_default();
        Ok(HttpTarget {
            tls: action
                .scheme
                .as_deref()
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: host.unwrap_or(ip).to_owned(),
            port: port(&action.port, container)?,
            path: match path.starts_with('/') {
                true => path.to_owned(),
                false => format!("/{path}"),
            },
            headers: action
                .http_headers
                .iter()
                .flatten()
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
        })
    }

    /// `host:port`, with brackets where they belong.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// As messages show it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }
}

/// A port of a container, by number or by the name it has there.
pub(crate) fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_deref() == Some(name))
            .map(|port| port.container_port)
            .or_else(|| name.parse().ok()),
    };
    let Some(number) = number else {
        let IntOrString::String(name) = port else {
            return Err("the port is missing".to_owned());
        };
        return Err(format!("couldn't find port named {name:?}"));
    };
    u16::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("invalid port number: {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn actions_are_aimed_at_the_pod() {
        let container: Container = serde_json::from_value(json!({"name": "c", "ports": [
            {"containerPort": 8080, "name": "web"}, {"containerPort": 9090}]}))
        .unwrap();
        let check = |action: serde_json::Value, expect: Result<&str, &str>| {
            let action = serde_json::from_value(action).unwrap();
            let got = HttpTarget::of(&action, &container, "10.0.0.1").map(|target| target.url());
            assert_eq!(got.as_deref().map_err(String::as_str), expect);
        };
        check(json!({"port": 80}), Ok("http://10.0.0.1:80/"));
        check(
            json!({"port": "web", "path": "/a?b", "scheme": "HTTPS"}),
            Ok("https://10.0.0.1:8080/a?b"),
        );
        check(
            json!({"port": "81", "path": "x", "host": "::1"}),
            Ok("http://[::1]:81/x"),
        );
        check(
            json!({"port": "nope"}),
            Err("couldn't find port named \"nope\""),
        );
        check(json!({"port": 0}), Err("invalid port number: 0"));
        check(json!({"port": 65536}), Err("invalid port number: 65536"));
    }
}
