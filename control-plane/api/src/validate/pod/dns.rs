//! `dnsConfig`: what a pod's resolver is told beyond its `dnsPolicy`.

use serde_json::Value;

use crate::names;
use crate::object::{get, items, text};
use crate::status::{Errors, FieldError};

use super::super::address::ip;
use super::super::path::{Path, invalid};

// More of either and C libraries do not read the rest.
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_BYTES: usize = 2048;

pub(super) fn config(spec: &Value, path: &Path, out: &mut Errors) {
    let path = path.child("dnsConfig");
    let config = get(spec, "dnsConfig");
    let servers = config.map_or(&[][..], |config| items(config, "nameservers"));
    let here = path.child("nameservers");
    if text(spec, "dnsPolicy") == "None" && servers.is_empty() {
        out.push(|| match config {
            None => FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"),
            Some(_) => FieldError::required(
                here,
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            ),
        });
        return;
    }
    let Some(config) = config else {
        return;
    };
    if servers.len() > MAX_NAMESERVERS {
        let why = format!("must not have more than {MAX_NAMESERVERS} nameservers");
        out.push(|| FieldError::invalid(&here, servers, why));
    }
    for (at, server) in servers.iter().enumerate() {
        let server = server.as_str().unwrap_or("");
        invalid(out, &here.index(at), server, ip(server));
    }
    searches(config, &path.child("searches"), out);
    for (at, option) in items(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            let here = path.child("options").index(at);
            out.push(|| FieldError::required(here, "must not be empty"));
        }
    }
}

fn searches(config: &Value, path: &Path, out: &mut Errors) {
    let list = items(config, "searches");
    let domains: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    if list.len() > MAX_SEARCHES {
        let why = format!("must not have more than {MAX_SEARCHES} search paths");
        out.push(|| FieldError::invalid(path, list, why));
    }
    // The spaces between them count.
    let spaces = domains.len().saturating_sub(1);
    if domains.iter().map(|one| one.len()).sum::<usize>() + spaces > MAX_SEARCH_BYTES {
        let why = format!(
            "must not have more than {MAX_SEARCH_BYTES} characters (including spaces) in the search \
             list"
        );
        out.push(|| FieldError::invalid(path, list, why));
    }
    for (at, domain) in domains.into_iter().enumerate() {
        if domain != "." {
            let domain = domain.strip_suffix('.').unwrap_or(domain);
            let wrong = names::underscored_subdomain(domain);
            invalid(out, &path.index(at), domain, wrong);
        }
    }
}
