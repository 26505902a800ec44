//! What a log request asks for: which container, and which part of its log.

use sampan_api::object;
use sampan_api::status::{FieldError, Status};
use serde_json::Value;

use crate::api::{Call, Result};
use crate::request::ResourceTarget;

/// The container asked for, or the only one.
pub(super) fn container(pod: &Value, asked: Option<&str>) -> Result<String> {
    let names = |path: &str| -> Vec<&str> {
        object::items(pod, path)
            .iter()
            .map(|container| object::text(container, "name"))
            .collect()
    };
    let (mains, inits) = (names("spec.containers"), names("spec.initContainers"));
    let pod_name = object::name(pod);
    if let Some(asked) = asked {
        let ephemeral = names("spec.ephemeralContainers");
        if [&mains, &inits, &ephemeral]
            .iter()
            .any(|names| names.contains(&asked))
        {
            return Ok(asked.to_owned());
        }
        return Err(Status::bad_request(format!(
            "container {asked} is not valid for pod {pod_name}"
        )));
    }
    match mains[..] {
        [only] if inits.is_empty() => Ok(only.to_owned()),
        [] => Err(Status::bad_request(format!(
            "a container name must be specified for pod {pod_name}"
        ))),
        _ => {
            let mut message = format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                mains.join(" ")
            );
            if !inits.is_empty() {
                message.push_str(&format!(
                    " or one of the init containers: [{}]",
                    inits.join(" ")
                ));
            }
            Err(Status::bad_request(message))
        }
    }
}

/// Both streams of a container are one log: choosing between them is a feature that upstream has turned off.
pub(super) fn no_stream(call: &Call, target: &ResourceTarget) -> Result<()> {
    if call.query.all("stream").next().is_none() {
        return Ok(());
    }
    let error = FieldError::forbidden("stream", "may not be specified");
    let (kind, name) = ("PodLogOptions", &target.name);
    Err(Status::invalid_kind("", kind, name, vec![error]))
}

/// The agent's path for the log, with the options it understands.
pub(super) fn log_path(call: &Call, target: &ResourceTarget, container: &str) -> Result<String> {
    let mut path = format!(
        "/containerLogs/{}/{}/{container}",
        target.namespace, target.name
    );
    let mut separator = '?';
    let mut add = |name: &str, value: &str| {
        path.push(separator);
        separator = '&';
        path.push_str(name);
        path.push('=');
        path.push_str(&value.replace('+', "%2B").replace(':', "%3A"));
    };
    let (seconds, time) = (call.query.get("sinceSeconds"), call.query.get("sinceTime"));
    if seconds.is_some() && time.is_some() {
        return Err(Status::bad_request(
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    for (name, minimum) in [("tailLines", 0), ("sinceSeconds", 1), ("limitBytes", 1)] {
        let Some(value) = call.query.get(name) else {
            continue;
        };
        let number: i64 = value
            .parse()
            .map_err(|_| Status::bad_request(format!("{name} must be a number")))?;
        if number < minimum {
            let why = if minimum == 0 {
                "must be greater than or equal to 0"
            } else {
                "must be greater than 0"
            };
            let error = FieldError::invalid(name, number, why);
            return Err(Status::invalid_kind(
                "",
                "PodLogOptions",
                &target.name,
                vec![error],
            ));
        }
        add(name, value);
    }
    if let Some(time) = time {
        if sampan_api::time::parse(time).is_none() {
            return Err(Status::bad_request(
                "sinceTime must be an RFC 3339 timestamp",
            ));
        }
        add("sinceTime", time);
    }
    for name in ["follow", "timestamps", "previous"] {
        if call.query.flag(name) {
            add(name, "true");
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn container_choice() {
        let pod = |mains: &[&str], inits: &[&str]| {
            let list = |names: &[&str]| {
                names
                    .iter()
                    .map(|name| json!({"name": name}))
                    .collect::<Vec<_>>()
            };
            json!({"metadata": {"name": "p"}, "spec": {"containers": list(mains), "initContainers": list(inits)}})
        };
        assert_eq!(
            container(&pod(&["a"], &[]), None).expect("the only one"),
            "a"
        );
        assert_eq!(
            container(&pod(&["a", "b"], &["i"]), Some("i")).expect("an init container"),
            "i"
        );
        let mut debugged = pod(&["a"], &[]);
        debugged["spec"]["ephemeralContainers"] = json!([{"name": "e"}]);
        assert_eq!(
            container(&debugged, Some("e")).expect("an ephemeral container"),
            "e"
        );
        for (pod, asked, expected) in [
            (
                pod(&["a", "b"], &[]),
                None,
                "a container name must be specified for pod p, choose one of: [a b]",
            ),
            (
                pod(&["a"], &["i"]),
                None,
                "a container name must be specified for pod p, choose one of: [a] or one of the init containers: [i]",
            ),
            (
                pod(&["a"], &[]),
                Some("x"),
                "container x is not valid for pod p",
            ),
        ] {
            let status = container(&pod, asked).expect_err(expected);
            assert_eq!((status.code, status.message.as_str()), (400, expected));
        }
    }
}
