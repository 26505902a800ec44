//! Kinds without pods in them.

use std::net::IpAddr;

use serde_json::Value;

use super::{Told, nodes};
use crate::object::{annotation, entries, entry, get, is_empty, items, part, text};
use crate::quantity::Quantity;

/// By which an address was named before classes had a field.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";
/// What volumes were once made of.
const GONE: [(&str, &str); 6] = [
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    (
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// What is told of a new object and of each version that follows.
pub(super) fn look(told: &mut Told, bucket: &str, value: &Value) {
    match bucket {
        "nodes" => node(told, value),
        "persistentvolumes" => volume(told, value),
        "persistentvolumeclaims" => {
            if annotation(value, CLASS).is_some() {
                told.add(format!(
                    "metadata.annotations[{CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
                ));
            }
            super::claim(told, "spec", part(value, "spec"));
        }
        "endpoints" => endpoints(told, value),
        "endpointslices" => {
            for (index, endpoint) in items(value, "endpoints").iter().enumerate() {
                let path = format!("endpoints[{index}].addresses");
                told.addresses(items(endpoint, "addresses").iter(), &path, "");
            }
        }
        "networkpolicies" => {
            for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
                let all = items(part(value, "spec"), rules);
                for (index, rule) in all.iter().enumerate() {
                    blocks(told, &format!("spec.{rules}[{index}].{peers}"), rule, peers);
                }
            }
        }
        "runtimeclasses" => {
            for (label, _) in entries(value, "scheduling.nodeSelector") {
                if let Some(why) = nodes::deprecated(label) {
                    told.add(format!("scheduling.nodeSelector: {why}"));
                }
            }
        }
        "storageclasses" => topologies(told, value),
        "csistoragecapacities" => {
            nodes::selector(told, part(value, "nodeTopology"), "nodeTopology")
        }
        "resourceslices" => {
            let driver = text(value, "spec.driver");
            if driver != driver.to_lowercase() {
                told.add(format!(
                    "spec.driver: driver names should be lowercase; {driver:?} contains uppercase characters"
                ));
            }
        }
        _ => {}
    }
}

/// What is told of a new object alone; `old` is what it was before, when it is not new.
pub(super) fn look_at_news(told: &mut Told, bucket: &str, new: &Value, old: Option<&Value>) {
    match (bucket, old) {
        ("serviceaccounts", _) => {
            let has = |value: &Value| annotation(value, MOUNTABLE).is_some();
            if has(new) && !old.is_some_and(has) {
                told.add(format!(
                    "metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
                ));
            }
        }
        ("csidrivers", _) => {
            let asked = |value| get(value, "spec.tokenRequests");
            let known = old.is_some_and(|old| asked(old) == asked(new));
            if !is_empty(new, "spec.tokenRequests")
                && !known
                && get(new, "spec.serviceAccountTokenInSecrets").is_none()
            {
                told.add(
                    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent \
                     possible logging of tokens in volume attributes"
                        .to_owned(),
                );
            }
        }
        ("endpointslices", None) if text(new, "addressType") == "FQDN" => {
            told.add("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        ("resourcequotas", None) => quota(told, new),
        _ => {}
    }
}

fn node(told: &mut Told, node: &Value) {
    if get(node, "spec.configSource").is_some() {
        told.add("spec.configSource: the feature is removed".to_owned());
    }
    if !is_empty(node, "spec.externalID") {
        told.add(
            "spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned(),
        );
    }
    for (index, range) in items(node, "spec.podCIDRs").iter().enumerate() {
        told.range(range, &format!("spec.podCIDRs[{index}]"));
    }
}

fn volume(told: &mut Told, volume: &Value) {
    for (key, why) in [
        (
            CLASS,
            "deprecated since v1.8; use \"storageClassName\" attribute instead",
        ),
        (
            "volume.beta.kubernetes.io/mount-options",
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ] {
        if annotation(volume, key).is_some() {
            told.add(format!("metadata.annotations[{key}]: {why}"));
        }
    }
    if text(volume, "spec.persistentVolumeReclaimPolicy") == "Recycle" {
        told.add(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .to_owned(),
        );
    }
    let path = "spec.nodeAffinity.required.nodeSelectorTerms";
    for (index, term) in items(volume, path).iter().enumerate() {
        nodes::term(told, term, false, &format!("{path}[{index}]"));
    }
    for (field, why) in GONE {
        if get(part(volume, "spec"), field).is_some() {
            // Upstream's path for it.
            let field = if field == "storageos" {
                "storageOS"
            } else {
                field
            };
            told.add(format!("spec.{field}: {why}"));
        }
    }
}

fn endpoints(told: &mut Told, value: &Value) {
    for (index, subset) in items(value, "subsets").iter().enumerate() {
        for list in ["addresses", "notReadyAddresses"] {
            let path = format!("subsets[{index}].{list}");
            let all = items(subset, list).iter();
            told.addresses(all.map(|address| part(address, "ip")), &path, ".ip");
        }
    }
}

fn blocks(told: &mut Told, path: &str, rule: &Value, peers: &str) {
    for (index, peer) in items(rule, peers).iter().enumerate() {
        if told.is_full() {
            return;
        }
        let (path, block) = (format!("{path}[{index}].ipBlock"), part(peer, "ipBlock"));
        told.range(part(block, "cidr"), &format!("{path}.cidr"));
        for (index, except) in items(block, "except").iter().enumerate() {
            told.range(except, &format!("{path}.except[{index}]"));
        }
    }
}

fn topologies(told: &mut Told, class: &Value) {
    for (index, topology) in items(class, "allowedTopologies").iter().enumerate() {
        let all = items(topology, "matchLabelExpressions").iter().enumerate();
        for (at, expression) in all {
            if let Some(why) = nodes::deprecated(text(expression, "key")) {
                told.add(format!(
                    "allowedTopologies[{index}].matchLabelExpressions[{at}].key: {why}"
                ));
            }
        }
    }
}

/// More requests than limits leave a part of the requests unused.
fn quota(told: &mut Told, quota: &Value) {
    let hard = |name: &str| {
        let amount = entry(quota, "spec.hard", name)?;
        Quantity::from_value(amount).ok()
    };
    for resource in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let mut name = format!("requests.{resource}");
        let mut request = hard(&name);
        if request.is_none() && matches!(resource, "cpu" | "memory") {
            request = hard(resource);
            resource.clone_into(&mut name);
        }
        let limits = format!("limits.{resource}");
        if let (Some(request), Some(limit)) = (request, hard(&limits))
            && request > limit
        {
            told.add(format!(
                "ResourceQuota {name} ({request}) should be less than {limits} ({limit})"
            ));
        }
    }
}

impl Told {
    fn addresses<'a>(&mut self, all: impl Iterator<Item = &'a Value>, path: &str, below: &str) {
        for (index, address) in all.enumerate() {
            let text = address.as_str().unwrap_or("");
            if let Ok(address @ IpAddr::V6(_)) = text.parse::<IpAddr>()
                && address.to_string() != text
            {
                self.add(format!(
                    "{path}[{index}]{below}: IPv6 address {text:?} should be in RFC 5952 canonical format (\"{address}\")"
                ));
            }
        }
    }

    fn range(&mut self, range: &Value, path: &str) {
        let text = range.as_str().unwrap_or("");
        let Some((address, bits)) = text.split_once('/') else {
            return;
        };
        if let Ok(parsed @ IpAddr::V6(_)) = address.parse::<IpAddr>()
            && parsed.to_string() != address
        {
            self.add(format!(
                "{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format (\"{parsed}/{bits}\")"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{of_new, of_update};
    use super::*;

    #[track_caller]
    fn told(bucket: &str, value: &Value, expected: &[&str]) {
        assert_eq!(of_new(bucket, value), expected, "{bucket}");
    }

    #[test]
    fn nodes_and_volumes() {
        let node =
            json!({"spec": {"configSource": {}, "externalID": "x", "podCIDRs": ["fd00:0::/64"]}});
        let all = [
            "spec.configSource: the feature is removed",
            "spec.externalID: this field is deprecated, and is unused by Kubernetes",
            "spec.podCIDRs[0]: IPv6 CIDR value \"fd00:0::/64\" should be in RFC 5952 canonical format (\"fd00::/64\")",
        ];
        told("nodes", &node, &all);
        assert_eq!(of_update("nodes", &node, &node), all);
        let volume = json!({"metadata": {"annotations": {CLASS: "x"}}, "spec": {
            "persistentVolumeReclaimPolicy": "Recycle", "storageos": {},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "beta.kubernetes.io/os", "operator": "Exists"}]}]}}}});
        told(
            "persistentvolumes",
            &volume,
            &[
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \"storageClassName\" attribute instead",
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
                "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.storageOS: deprecated in v1.22, non-functional in v1.25+",
            ],
        );
        let claim = json!({"metadata": {"annotations": {CLASS: "x"}}, "spec": {}});
        assert_eq!(of_new("persistentvolumeclaims", &claim).len(), 1);
    }

    #[test]
    fn labels_that_have_other_names() {
        let class = json!({"scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "x"}}});
        let why = "deprecated since v1.14; use \"kubernetes.io/os\" instead";
        told(
            "runtimeclasses",
            &class,
            &[&format!("scheduling.nodeSelector: {why}")],
        );
        let class = json!({"allowedTopologies": [{"matchLabelExpressions": [{"key": "beta.kubernetes.io/os"}]}]});
        let path = "allowedTopologies[0].matchLabelExpressions[0].key";
        told("storageclasses", &class, &[&format!("{path}: {why}")]);
        let capacity = json!({"nodeTopology": {"matchLabels": {"beta.kubernetes.io/os": "x"},
            "matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}});
        told(
            "csistoragecapacities",
            &capacity,
            &[
                &format!("nodeTopology.matchExpressions[0].key: beta.kubernetes.io/os is {why}"),
                &format!("nodeTopology.matchLabels.beta.kubernetes.io/os: {why}"),
            ],
        );
    }

    #[test]
    fn addresses_in_odd_forms() {
        let why = "IPv6 address \"fd00:0::1\" should be in RFC 5952 canonical format (\"fd00::1\")";
        let endpoints =
            json!({"subsets": [{"notReadyAddresses": [{"ip": "fd00:0::1"}, {"ip": "1.2.3.4"}]}]});
        told(
            "endpoints",
            &endpoints,
            &[&format!("subsets[0].notReadyAddresses[0].ip: {why}")],
        );
        let slice =
            json!({"addressType": "IPv6", "endpoints": [{"addresses": ["fd00::1", "fd00:0::1"]}]});
        told(
            "endpointslices",
            &slice,
            &[&format!("endpoints[0].addresses[1]: {why}")],
        );
        let policy = json!({"spec": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}},
            {"ipBlock": {"cidr": "fd00::/16", "except": ["fd00:0::/64"]}}]}]}});
        told(
            "networkpolicies",
            &policy,
            &[
                "spec.egress[0].to[1].ipBlock.except[0]: IPv6 CIDR value \"fd00:0::/64\" should be in RFC 5952 canonical format (\"fd00::/64\")",
            ],
        );
    }

    #[test]
    fn what_is_told_once() {
        let slice = json!({"addressType": "FQDN", "endpoints": []});
        told(
            "endpointslices",
            &slice,
            &["spec.addressType: FQDN endpoints are deprecated"],
        );
        assert!(of_update("endpointslices", &slice, &slice).is_empty());
        let account = json!({"metadata": {"annotations": {MOUNTABLE: "true"}}});
        told(
            "serviceaccounts",
            &account,
            &[
                "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets",
            ],
        );
        assert_eq!(of_update("serviceaccounts", &account, &json!({})).len(), 1);
        assert!(of_update("serviceaccounts", &account, &account).is_empty());
        let driver = json!({"spec": {"tokenRequests": [{"audience": "a"}]}});
        assert!(
            of_new("csidrivers", &driver)[0]
                .starts_with("spec.serviceAccountTokenInSecrets is unset; ")
        );
        assert!(of_update("csidrivers", &driver, &driver).is_empty());
        let quota = json!({"spec": {"hard": {"cpu": "2", "limits.cpu": "1500m", "requests.memory": "1Gi", "limits.memory": "1Gi"}}});
        told(
            "resourcequotas",
            &quota,
            &["ResourceQuota cpu (2) should be less than limits.cpu (1500m)"],
        );
        let slice = json!({"spec": {"driver": "Driver.example"}});
        told(
            "resourceslices",
            &slice,
            &[
                "spec.driver: driver names should be lowercase; \"Driver.example\" contains uppercase characters",
            ],
        );
        let job = json!({"spec": {"schedule": "TZ=UTC * * * * *"}});
        assert_eq!(
            of_update("cronjobs", &job, &job),
            [
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            ]
        );
    }
}
