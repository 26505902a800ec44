//! Defaults of containers of all three sorts.

use serde_json::{Map, Value};

use crate::object::{get, int, set, set_default, text};

use super::{amounts, default_number, default_text, each, image, within};

pub(super) fn apply(container: &mut Value) {
    each(container, "ports", |port| {
        default_text(port, "protocol", "TCP")
    });
    each(container, "env", |variable| {
        within(variable, "valueFrom.fieldRef", field_ref);
        within(variable, "valueFrom.fileKeyRef", |file| {
            set_default(file, "optional", false);
        });
    });
    set_default(container, "resources", Map::new());
    amounts::round_requirements(container);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        within(container, probe, self::probe);
    }
    for hook in ["lifecycle.postStart", "lifecycle.preStop"] {
        within(container, hook, |hook| within(hook, "httpGet", http_get));
    }
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    let policy = pull_policy(text(container, "image"));
    default_text(container, "imagePullPolicy", policy);
}

/// A limit without a request is a request for the limit.
pub(super) fn requests_from_limits(container: &mut Value) {
    let Some(limits) = get(container, "resources.limits")
        .and_then(Value::as_object)
        .cloned()
    else {
        return;
    };
    if limits.is_empty() {
        return;
    }
    set_default(container, "resources.requests", Map::new());
    let requests = container
        .pointer_mut("/resources/requests")
        .and_then(Value::as_object_mut);
    let Some(requests) = requests else { return };
    for (resource, limit) in limits {
        requests.entry(resource).or_insert(limit);
    }
}

/// In the host's network a container's port is the host's.
pub(super) fn host_ports(container: &mut Value) {
    each(container, "ports", |port| {
        if int(port, "hostPort").unwrap_or(0) == 0
            && let Some(number) = int(port, "containerPort")
        {
            set(port, "hostPort", number);
        }
    });
}

pub(super) fn field_ref(reference: &mut Value) {
    default_text(reference, "apiVersion", "v1");
}

/// A tag that moves is pulled each time.
pub(super) fn pull_policy(image: &str) -> &'static str {
    match image::moves(image) {
        true => "Always",
        false => "IfNotPresent",
    }
}

fn probe(probe: &mut Value) {
    default_number(probe, "timeoutSeconds", 1);
    default_number(probe, "periodSeconds", 10);
    default_number(probe, "successThreshold", 1);
    default_number(probe, "failureThreshold", 3);
    within(probe, "httpGet", http_get);
    within(probe, "grpc", |grpc| set_default(grpc, "service", ""));
}

fn http_get(action: &mut Value) {
    default_text(action, "path", "/");
    default_text(action, "scheme", "HTTP");
}
