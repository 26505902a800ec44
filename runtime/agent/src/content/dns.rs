//! What a pod's `/etc/resolv.conf` is to hold: the node's own settings, since there is no DNS server of the cluster
//! yet, and what the pod's `dnsConfig` adds.

use k8s_openapi::api::core::v1::Pod;
use sampan_proto::v1::DnsConfig;

const HOST_FILE: &str = "/etc/resolv.conf";
/// What resolvers read at most; more is left out, as upstream.
const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_BYTES: usize = 2_048;

/// The DNS settings of a pod. `ClusterFirst` is as good as `Default` without a DNS server of the cluster, as upstream.
pub(crate) async fn dns(pod: &Pod) -> DnsConfig {
    let spec = pod.spec.as_ref();
    let own = match spec.and_then(|spec| spec.dns_policy.as_deref()) {
        Some("None") => DnsConfig::default(),
        _ => parse(
            &tokio::fs::read_to_string(HOST_FILE)
                .await
                .unwrap_or_default(),
        ),
    };
    merge(own, pod)
}

fn parse(text: &str) -> DnsConfig {
    let mut config = DnsConfig::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let rest = words.map(str::to_owned);
        match first {
            "nameserver" => config.servers.extend(rest.take(1)),
            // The last line of a kind counts.
            "search" => config.searches = rest.filter(|domain| domain != ".").collect(),
            "options" => config.options = rest.collect(),
            _ => {}
        }
    }
    config
}

fn merge(mut config: DnsConfig, pod: &Pod) -> DnsConfig {
    let wanted = pod.spec.as_ref().and_then(|spec| spec.dns_config.clone());
    let wanted = wanted.unwrap_or_default();
    let add = |list: &mut Vec<String>, more: Option<Vec<String>>| {
        for item in more.unwrap_or_default() {
            if !list.contains(&item) {
                list.push(item);
            }
        }
    };
    add(&mut config.servers, wanted.nameservers);
    add(&mut config.searches, wanted.searches);
    for option in wanted.options.unwrap_or_default() {
        let Some(name) = option.name else { continue };
        let is_same = |present: &str| present.split(':').next() == Some(&name);
        config.options.retain(|present| !is_same(present));
        config.options.push(match option.value {
            Some(value) if !value.is_empty() => format!("{name}:{value}"),
            _ => name,
        });
    }
    config.servers.truncate(MAX_SERVERS);
    config.searches.truncate(MAX_SEARCHES);
    while config.searches.join(" ").len() > MAX_SEARCH_BYTES {
        config.searches.pop();
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_pods_settings_are_added_to_the_hosts() {
        let host = parse(
            "# comment\nnameserver 10.0.0.1\nsearch a.example\nsearch b.example .\n\
             options ndots:2 edns0\nnameserver 10.0.0.2\n",
        );
        assert_eq!(host.servers, ["10.0.0.1", "10.0.0.2"]);
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [], "dnsConfig": {
            "nameservers": ["10.0.0.2", "10.0.0.3", "10.0.0.4"], "searches": ["c.example"],
            "options": [{"name": "ndots", "value": "5"}, {"name": "rotate"}]}}}))
        .unwrap();
        let merged = merge(host, &pod);
        assert_eq!(merged.servers, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(merged.searches, ["b.example", "c.example"]);
        assert_eq!(merged.options, ["edns0", "ndots:5", "rotate"]);
    }
}
