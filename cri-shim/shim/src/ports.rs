//! The ports an HTTP container answers on: from the annotation by which kubelets pass a container's
//! ports, since CRI has no field for them. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::limits::MAX_PORTS;

/// JSON of the container's port list as the pod declares it.
pub(crate) const PORTS_ANNOTATION: &str = "io.kubernetes.container.ports";

/// Where an HTTP container answers that declares no TCP port: what runtimes for wasi:http chose.
pub(crate) const DEFAULT_HTTP_PORT: u16 = 8080;

/// Why the annotation cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortsError {
    #[error("annotation {PORTS_ANNOTATION} is not a list of container ports")]
    Json(#[from] serde_json::Error),
    #[error("annotation {PORTS_ANNOTATION} names port {0}, which is outside 1-65535")]
    OutOfRange(i64),
    #[error("annotation {PORTS_ANNOTATION} names {0} ports, at most {MAX_PORTS} are allowed")]
    TooMany(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPort {
    container_port: i64,
    protocol: Option<String>,
}

/// The TCP ports to listen on, without repetition, in the order declared.
pub(crate) fn listen_ports(annotations: &BTreeMap<String, String>) -> Result<Vec<u16>, PortsError> {
    let declared: Vec<ContainerPort> = match annotations.get(PORTS_ANNOTATION).map(String::as_str) {
        // A container without ports is annotated with an empty text or null by some agents.
        None | Some("" | "null") => Vec::new(),
        Some(json) => serde_json::from_str(json)?,
    };
    if declared.len() > MAX_PORTS {
        return Err(PortsError::TooMany(declared.len()));
    }
    let mut ports = Vec::new();
    for port in declared.iter().filter(|port| is_tcp(port)) {
        let number = u16::try_from(port.container_port)
            .ok()
            .filter(|&number| number > 0);
        let number = number.ok_or(PortsError::OutOfRange(port.container_port))?;
        if !ports.contains(&number) {
            ports.push(number);
        }
    }
    if ports.is_empty() {
        ports.push(DEFAULT_HTTP_PORT);
    }
    Ok(ports)
}

fn is_tcp(port: &ContainerPort) -> bool {
    matches!(port.protocol.as_deref(), None | Some("" | "TCP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Vec<u16>, PortsError> {
        listen_ports(&BTreeMap::from([(
            PORTS_ANNOTATION.to_string(),
            json.to_string(),
        )]))
    }

    #[test]
    fn tcp_ports_count_and_the_default_stands_in() {
        assert_eq!(listen_ports(&BTreeMap::new()).expect("none"), [8080]);
        let cases: &[(&str, &[u16])] = &[
            ("", &[8080]),
            ("null", &[8080]),
            ("[]", &[8080]),
            (r#"[{"containerPort":80}]"#, &[80]),
            (
                r#"[{"name":"b","containerPort":81,"protocol":"TCP","hostPort":1},{"containerPort":80}]"#,
                &[81, 80],
            ),
            (
                r#"[{"containerPort":80},{"containerPort":80,"protocol":"UDP"},{"containerPort":80}]"#,
                &[80],
            ),
            (r#"[{"containerPort":53,"protocol":"UDP"}]"#, &[8080]),
        ];
        for (json, ports) in cases {
            assert_eq!(check(json).expect(json), *ports, "{json}");
        }
    }

    #[test]
    fn what_is_no_port_list_is_refused() {
        for json in [
            "{",
            "{}",
            "[1]",
            r#"[{"containerPort":"80"}]"#,
            r#"[{"containerPort":0}]"#,
            r#"[{"containerPort":65536}]"#,
            r#"[{}]"#,
        ] {
            assert!(check(json).is_err(), "{json}");
        }
        let many = format!(
            "[{}]",
            vec![r#"{"containerPort":80}"#; MAX_PORTS + 1].join(",")
        );
        assert!(matches!(check(&many), Err(PortsError::TooMany(101))));
    }
}
