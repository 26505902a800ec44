//! `/etc/resolv.conf` and `/etc/hostname` of a container, from its sandbox. `/etc/hosts` is a mount of the caller's.

use sampan_engine::{GuestFile, Mount};
use sampan_proto::v1;

const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";

/// The files a container sees besides its mounts. Reads the host's file: call it where blocking is allowed.
pub(crate) fn files(sandbox: &v1::PodSandboxConfig, mounts: &[Mount]) -> Vec<GuestFile> {
    let mut files = Vec::new();
    let mut add = |guest: &str, content: String| {
        let taken = mounts
            .iter()
            .any(|mount| mount.guest == guest || mount.guest == "/etc");
        if !content.is_empty() && !taken {
            files.push(GuestFile {
                guest: guest.to_string(),
                content: content.into_bytes().into(),
            });
        }
    };
    let dns = sandbox.dns_config.clone().unwrap_or_default();
    add("/etc/resolv.conf", resolv_conf(&dns));
    let hostname = match sandbox.hostname.as_str() {
        "" => String::new(),
        name => format!("{name}\n"),
    };
    add("/etc/hostname", hostname);
    files
}

/// Settings that say nothing mean the host's.
fn resolv_conf(dns: &v1::DnsConfig) -> String {
    if *dns == v1::DnsConfig::default() {
        return std::fs::read_to_string(HOST_RESOLV_CONF).unwrap_or_default();
    }
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text += &format!("search {}\n", dns.searches.join(" "));
    }
    for server in &dns.servers {
        text += &format!("nameserver {server}\n");
    }
    if !dns.options.is_empty() {
        text += &format!("options {}\n", dns.options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_sandbox_become_files() {
        let sandbox = v1::PodSandboxConfig {
            hostname: "web".into(),
            dns_config: Some(v1::DnsConfig {
                servers: vec!["10.0.0.1".into(), "10.0.0.2".into()],
                searches: vec!["a.example".into(), "b.example".into()],
                options: vec!["ndots:5".into()],
            }),
            ..Default::default()
        };
        let shown = |mounted: &str| -> Vec<(String, String)> {
            let mount = Mount {
                host: "/x".into(),
                guest: mounted.into(),
                read_only: true,
            };
            let files = files(&sandbox, &[mount]).into_iter();
            let text = |content: &[u8]| String::from_utf8_lossy(content).into_owned();
            files
                .map(|file| (file.guest, text(&file.content)))
                .collect()
        };
        let resolv_conf = (
            "/etc/resolv.conf".to_string(),
            "search a.example b.example\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5\n"
                .to_string(),
        );
        let hostname = ("/etc/hostname".to_string(), "web\n".to_string());
        assert_eq!(shown("/data"), [resolv_conf.clone(), hostname]);
        assert_eq!(shown("/etc/hostname"), [resolv_conf]);
        assert_eq!(shown("/etc"), []);
    }
}
