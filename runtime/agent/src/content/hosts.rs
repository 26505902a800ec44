//! A pod's `/etc/hosts`, as kubelets write it. One file, shared by the pod's containers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{HostAlias, Pod};

/// The cluster's domain until there is a DNS server with an opinion about it.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// The host's own file, which pods in the host's network start from.
const HOST_FILE: &str = "/etc/hosts";

/// Writes the file of a pod and returns its path. Written anew for each container: the pod's addresses are only known
/// once it has a sandbox.
pub(crate) fn write_hosts(
    pod: &Pod,
    hostname: &str,
    ips: &[String],
    pod_dir: &Path,
) -> std::io::Result<PathBuf> {
    let spec = pod.spec.as_ref();
    let text = if spec.and_then(|spec| spec.host_network) == Some(true) {
        let own = std::fs::read_to_string(HOST_FILE).unwrap_or_default();
        of_host(pod, &own)
    } else {
        of_pod(pod, hostname, ips)
    };
    let path = pod_dir.join("etc-hosts");
    // The same inode as long as nothing changed: containers that run hold on to it.
    if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(path);
    }
    std::fs::write(&path, text)?;
    Ok(path)
}

fn of_host(pod: &Pod, own: &str) -> String {
    let header = "# Kubernetes-managed hosts file (host network).\n";
    format!("{header}{own}{}", aliases(pod))
}

fn of_pod(pod: &Pod, hostname: &str, ips: &[String]) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    let subdomain = pod.spec.as_ref().and_then(|spec| spec.subdomain.as_deref());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for ip in ips {
        let _written = match subdomain.filter(|subdomain| !subdomain.is_empty()) {
            Some(subdomain) => {
                let domain = format!("{subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}");
                writeln!(text, "{ip}\t{hostname}.{domain}\t{hostname}")
            }
            None => writeln!(text, "{ip}\t{hostname}"),
        };
    }
    text + &aliases(pod)
}

fn aliases(pod: &Pod) -> String {
    let spec = pod.spec.as_ref();
    let aliases = spec.and_then(|spec| spec.host_aliases.as_deref());
    let aliases: &[HostAlias] = aliases.unwrap_or_default();
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        let _written = writeln!(text, "{}\t{names}", alias.ip);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const START: &str = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
        fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"namespace": "n"}, "spec": spec})).unwrap()
    }

    #[test]
    fn the_kubelets_format() {
        let ips = ["127.64.0.2".to_owned()];
        let plain = of_pod(&pod(json!({"containers": []})), "web", &ips);
        assert_eq!(plain, format!("{START}127.64.0.2\tweb\n"));
        let full = pod(
            json!({"containers": [], "subdomain": "sub", "hostAliases": [
            {"ip": "10.0.0.1", "hostnames": ["db", "db.example"]}]}),
        );
        let expected = format!(
            "{START}127.64.0.2\tweb.sub.n.svc.cluster.local\tweb\n\n\
             # Entries added by HostAliases.\n10.0.0.1\tdb\tdb.example\n"
        );
        assert_eq!(of_pod(&full, "web", &ips), expected);
        let host = of_host(&full, "127.0.0.1 localhost\n");
        assert!(host.starts_with("# Kubernetes-managed hosts file (host network).\n127.0.0.1 "));
        assert!(host.ends_with("10.0.0.1\tdb\tdb.example\n"));
    }
}
