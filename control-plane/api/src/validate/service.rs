//! Services. Whether an address or node port is free is for the allocator to say.

use std::collections::HashSet;

use serde_json::Value;

use crate::defaults::checks_health;
use crate::names;
use crate::object::{get, int, is_empty, items, text};
use crate::status::{Errors, FieldError};

use super::address::{cidr, endpoint, ip};
use super::path::{
    Path, choice_or_empty, invalid, labels, optional_choice, optional_text, port, required_choice,
    text_if_set,
};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
/// Longest stickiness: a day.
const MAX_AFFINITY_SECONDS: i64 = 86_400;

pub(super) fn create(value: &Value, out: &mut Errors) {
    let path = Path::new("spec");
    let spec = get(value, "spec").unwrap_or(&Value::Null);
    let kind = text(spec, "type");
    ports(spec, &path, kind, out);
    labels(out, spec, &path, "selector");
    affinity(spec, &path, out);
    addresses(spec, &path, kind, out);
    if kind == "ExternalName" {
        external_name(spec, &path, out);
    }
    required_choice(out, spec, &path, "type", &TYPES);
    node_ports(spec, &path, kind, out);
    load_balancer(spec, &path, kind, out);
    external_traffic(spec, &path, checks_health(value), out);
    optional_choice(out, spec, &path, "internalTrafficPolicy", &POLICIES);
    let preferences = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    optional_choice(out, spec, &path, "trafficDistribution", &preferences);
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    // An address is given once, unless the service stops or starts being a mere alias.
    let has_address = |value: &Value| {
        let kind = text(value, "spec.type");
        TYPES.contains(&kind) && kind != "ExternalName"
    };
    let (now, before) = (text(new, "spec.clusterIP"), text(old, "spec.clusterIP"));
    if has_address(new) && has_address(old) && !before.is_empty() && now != before {
        let all = get(new, "spec.clusterIPs")
            .cloned()
            .unwrap_or_else(|| vec![now].into());
        let why = "may not change once set";
        out.push(|| FieldError::invalid("spec.clusterIPs[0]", all, why));
    }
    let port = |value: &Value| int(value, "spec.healthCheckNodePort").unwrap_or(0);
    if checks_health(new) && checks_health(old) && port(new) != port(old) {
        let why = "field is immutable";
        out.push(|| FieldError::forbidden("spec.healthCheckNodePort", why));
    }
    let class = |value: &Value| get(value, "spec.loadBalancerClass").cloned();
    let balanced = |value: &Value| text(value, "spec.type") == "LoadBalancer";
    if balanced(new) && balanced(old) && class(new) != class(old) {
        let shown = class(new).unwrap_or_default();
        let why = "may not change once set";
        out.push(|| FieldError::invalid("spec.loadBalancerClass", shown, why));
    }
    create(new, out);
}

pub(super) fn status_update(value: &Value, out: &mut Errors) {
    let path = Path::new("status.loadBalancer.ingress");
    let given = items(value, "status.loadBalancer.ingress");
    if !given.is_empty() && text(value, "spec.type") != "LoadBalancer" {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        out.push(|| FieldError::forbidden(path, why));
        return;
    }
    for (at, ingress) in given.iter().enumerate() {
        ingress_point(ingress, &path.index(at), out);
    }
}

/// One way in that a load balancer has.
fn ingress_point(ingress: &Value, path: &Path, out: &mut Errors) {
    optional_text(out, ingress, path, "ip", ip);
    let (at, has_ip) = (path.child("ipMode"), !is_empty(ingress, "ip"));
    match (get(ingress, "ipMode").is_some(), has_ip) {
        (false, true) => {
            let why = "must be specified when `ip` is set";
            out.push(|| FieldError::required(at, why));
        }
        (true, false) => {
            let why = "may not be specified when `ip` is not set";
            out.push(|| FieldError::forbidden(at, why));
        }
        _ => optional_choice(out, ingress, path, "ipMode", &["Proxy", "VIP"]),
    }
    optional_text(out, ingress, path, "hostname", names::dns1123_subdomain);
    let hostname = text(ingress, "hostname");
    if ip(hostname).is_empty() {
        let why = "must be a DNS name, not an IP address";
        out.push(|| FieldError::invalid(path.child("hostname"), hostname, why));
    }
}

fn external_traffic(spec: &Value, path: &Path, checked: bool, out: &mut Errors) {
    let kind = text(spec, "type");
    choice_or_empty(out, spec, path, "externalTrafficPolicy", &POLICIES);
    let external = matches!(kind, "NodePort" | "LoadBalancer")
        || kind == "ClusterIP" && !is_empty(spec, "externalIPs");
    if !is_empty(spec, "externalTrafficPolicy") && !external {
        let why = "may only be set for externally-accessible services";
        let at = path.child("externalTrafficPolicy");
        let policy = text(spec, "externalTrafficPolicy");
        out.push(|| FieldError::invalid(at, policy, why));
    }
    let (at, number) = (
        path.child("healthCheckNodePort"),
        int(spec, "healthCheckNodePort"),
    );
    match number.unwrap_or(0) {
        0 => {}
        number if checked => invalid(out, &at, number, names::port_number(number)),
        number => {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            out.push(|| FieldError::invalid(at, number, why));
        }
    }
}

fn ports(spec: &Value, path: &Path, kind: &str, out: &mut Errors) {
    let path = path.child("ports");
    let list = items(spec, "ports");
    let headless = text(spec, "clusterIP") == "None";
    if list.is_empty() && !headless && kind != "ExternalName" {
        out.push(|| FieldError::required(&path, ""));
    }
    let mut named = HashSet::new();
    for (at, one) in list.iter().enumerate() {
        let here = path.index(at);
        match text(one, "name") {
            "" if list.len() > 1 => out.push(|| FieldError::required(here.child("name"), "")),
            "" => {}
            name => {
                invalid(out, &here.child("name"), name, names::dns1123_label(name));
                if !named.insert(name) {
                    out.push(|| FieldError::duplicate(here.child("name"), name));
                }
            }
        }
        let number = int(one, "port").unwrap_or(0);
        invalid(out, &here.child("port"), number, names::port_number(number));
        required_choice(out, one, &here, "protocol", &PROTOCOLS);
        port(out, one, &here, "targetPort");
        text_if_set(out, one, &here, "appProtocol", names::qualified_name);
    }
}

/// Ports on nodes, and what no two ports may have in common.
fn node_ports(spec: &Value, path: &Path, kind: &str, out: &mut Errors) {
    let path = path.child("ports");
    let all = || {
        let list = items(spec, "ports").iter().enumerate();
        list.map(|(at, one)| (path.index(at), text(one, "protocol"), one))
    };
    let number = |one: &Value, field: &str| int(one, field).unwrap_or(0);
    let on_node = || all().filter(|(_, _, one)| number(one, "nodePort") != 0);
    if kind == "ClusterIP" {
        for (here, _, _) in on_node() {
            let why = "may not be used when `type` is 'ClusterIP'";
            out.push(|| FieldError::forbidden(here.child("nodePort"), why));
        }
    }
    let mut seen = HashSet::new();
    for (here, protocol, one) in on_node() {
        let port = number(one, "nodePort");
        if !seen.insert((protocol, port)) {
            out.push(|| FieldError::duplicate(here.child("nodePort"), port));
        }
    }
    let mut seen = HashSet::new();
    for (here, protocol, one) in all() {
        if !seen.insert((protocol, number(one, "port"))) {
            out.push(|| FieldError::duplicate(here, one));
        }
    }
}

/// What only a load balancer has.
fn load_balancer(spec: &Value, path: &Path, kind: &str, out: &mut Errors) {
    if !is_empty(spec, "loadBalancerSourceRanges") {
        source_ranges(spec, path, kind, out);
    }
    let why = "may only be used when `type` is 'LoadBalancer'";
    if kind != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if get(spec, field).is_some() {
                out.push(|| FieldError::forbidden(path.child(field), why));
            }
        }
        return;
    }
    text_if_set(out, spec, path, "loadBalancerClass", names::qualified_name);
}

fn affinity(spec: &Value, path: &Path, out: &mut Errors) {
    required_choice(out, spec, path, "sessionAffinity", &["ClientIP", "None"]);
    let config = path.child("sessionAffinityConfig");
    match (
        text(spec, "sessionAffinity"),
        get(spec, "sessionAffinityConfig"),
    ) {
        ("ClientIP", Some(given)) => {
            let here = config.child("clientIP").child("timeoutSeconds");
            let seconds = int(given, "clientIP.timeoutSeconds");
            let wrong = |seconds: &i64| !(1..=MAX_AFFINITY_SECONDS).contains(seconds);
            if let Some(seconds) = seconds.filter(wrong) {
                let why = format!("must be greater than 0 and less than {MAX_AFFINITY_SECONDS}");
                out.push(|| FieldError::invalid(here, seconds, why));
            }
        }
        ("None", Some(_)) => {
            let why = "must not be set when session affinity is None";
            out.push(|| FieldError::forbidden(config, why));
        }
        _ => {}
    }
}

fn addresses(spec: &Value, path: &Path, kind: &str, out: &mut Errors) {
    if kind == "ExternalName" {
        for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if !is_empty(spec, field) {
                let why = "may not be set for ExternalName services";
                out.push(|| FieldError::forbidden(path.child(field), why));
            }
        }
        return;
    }
    let all = items(spec, "clusterIPs");
    let first = all.first().and_then(Value::as_str).unwrap_or("");
    let why = match text(spec, "clusterIP") {
        _ if all.is_empty() => None,
        "" => Some("must be empty when `clusterIP` is not specified"),
        one => (one != first).then_some("first value must match `clusterIP`"),
    };
    if let Some(why) = why {
        let list = Value::from(all);
        out.push(|| FieldError::invalid(path.child("clusterIPs"), list, why));
    }
    for (at, address) in all.iter().enumerate() {
        let address = address.as_str().unwrap_or("");
        let here = path.child("clusterIPs").index(at);
        if address == "None" && kind != "ClusterIP" {
            let why = format!("may not be set to 'None' for {kind} services");
            out.push(|| FieldError::invalid(here, address, why));
        } else if address != "None" {
            invalid(out, &here, address, ip(address));
        }
    }
    for (at, address) in items(spec, "externalIPs").iter().enumerate() {
        let address = address.as_str().unwrap_or("");
        let here = path.child("externalIPs").index(at);
        match ip(address) {
            wrong if wrong.is_empty() => endpoint(address, &here, out),
            wrong => invalid(out, &here, address, wrong),
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    optional_choice(out, spec, path, "ipFamilyPolicy", &policies);
    let mut seen = HashSet::new();
    for (at, family) in items(spec, "ipFamilies").iter().enumerate() {
        let here = path.child("ipFamilies").index(at);
        let name = family.as_str().unwrap_or("");
        if !matches!(name, "IPv4" | "IPv6") {
            out.push(|| FieldError::not_supported(&here, name, &["IPv4", "IPv6"]));
        } else if !seen.insert(name) {
            out.push(|| FieldError::duplicate(&here, name));
        }
    }
}

fn external_name(spec: &Value, path: &Path, out: &mut Errors) {
    let at = path.child("externalName");
    match text(spec, "externalName").trim_end_matches('.') {
        "" => out.push(|| FieldError::required(at, "")),
        name => invalid(out, &at, name, names::dns1123_subdomain(name)),
    }
}

fn source_ranges(spec: &Value, path: &Path, kind: &str, out: &mut Errors) {
    let path = path.child("LoadBalancerSourceRanges");
    if kind != "LoadBalancer" {
        let why = "may only be used when `type` is 'LoadBalancer'";
        out.push(|| FieldError::forbidden(&path, why));
    }
    for (at, range) in items(spec, "loadBalancerSourceRanges").iter().enumerate() {
        let range = range.as_str().unwrap_or("").trim();
        invalid(out, &path.index(at), range, cidr(range));
    }
}
