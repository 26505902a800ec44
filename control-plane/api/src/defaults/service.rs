//! Defaults of services.

use serde_json::{Value, json};

use crate::object::{get, is_empty, remove, set, set_default, text};

use super::{default_text, each};

/// How long a client stays with its endpoint under `sessionAffinity: ClientIP`.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn apply(service: &mut Value) {
    default_text(service, "spec.sessionAffinity", "None");
    match text(service, "spec.sessionAffinity") {
        "None" => {
            remove(service, "spec.sessionAffinityConfig");
        }
        "ClientIP" => {
            let path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
            set_default(service, path, AFFINITY_SECONDS);
        }
        _ => {}
    }
    default_text(service, "spec.type", "ClusterIP");
    each(service, "spec.ports", port);
    let kind = text(service, "spec.type").to_owned();
    let on_nodes = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    let has_address = on_nodes || kind == "ClusterIP";
    if on_nodes || has_address && !is_empty(service, "spec.externalIPs") {
        default_text(service, "spec.externalTrafficPolicy", "Cluster");
    }
    if has_address {
        set_default(service, "spec.internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set_default(service, "spec.allocateLoadBalancerNodePorts", true);
        each(service, "status.loadBalancer.ingress", |ingress| {
            if !is_empty(ingress, "ip") {
                set_default(ingress, "ipMode", "VIP");
            }
        });
    }
    set_default(service, "status.loadBalancer", json!({}));
}

fn port(port: &mut Value) {
    default_text(port, "protocol", "TCP");
    let unset = match get(port, "targetPort") {
        None => true,
        Some(Value::String(name)) => name.is_empty(),
        Some(number) => number.as_i64() == Some(0),
    };
    if unset && let Some(number) = get(port, "port").cloned() {
        set(port, "targetPort", number);
    }
}

/// Address families, and the plural form of `clusterIP`, of a service that has cluster addresses. They come with the
/// addresses, which are the server's to choose, and so are nobody's.
pub fn addresses(service: &mut Value) {
    address_list(service);
    // Without a selector nothing says which families the endpoints of a headless service have.
    let any_family =
        text(service, "spec.clusterIP") == "None" && is_empty(service, "spec.selector");
    let (policy, families) = if any_family {
        ("RequireDualStack", vec!["IPv4", "IPv6"])
    } else {
        ("SingleStack", vec!["IPv4"])
    };
    if is_empty(service, "spec.ipFamilies") && get(service, "spec.ipFamilyPolicy").is_none() {
        set(service, "spec.ipFamilies", families);
    }
    if is_empty(service, "spec.ipFamilies") {
        set(service, "spec.ipFamilies", vec!["IPv4"]);
    }
    set_default(service, "spec.ipFamilyPolicy", policy);
}

/// The plural form of `clusterIP`, where only the other is given.
pub fn address_list(service: &mut Value) {
    let address = text(service, "spec.clusterIP").to_owned();
    if !address.is_empty() && is_empty(service, "spec.clusterIPs") {
        set(service, "spec.clusterIPs", vec![address]);
    }
}
