//! Services: cluster addresses and node ports.

use std::net::Ipv4Addr;

use sampan_api::resource::Resource;
use sampan_api::status::{FieldError, Status};
use sampan_api::{defaults, object};
use serde_json::{Value, json};

use super::addresses::{Addresses, Refusal, Reservation};
use crate::api::Result;
use crate::object::Obj;

const NONE: &str = "None";

fn kind(service: &Value) -> &str {
    object::text(service, "spec.type")
}

fn has_cluster_ip(service: &Value) -> bool {
    matches!(
        kind(service),
        "" | "ClusterIP" | "NodePort" | "LoadBalancer"
    )
}

fn has_node_ports(service: &Value) -> bool {
    matches!(kind(service), "NodePort" | "LoadBalancer")
}

/// Whether ports that ask for no number on the nodes get one.
fn allocates_node_ports(service: &Value) -> bool {
    kind(service) == "NodePort"
        || object::get(service, "spec.allocateLoadBalancerNodePorts") != Some(&Value::Bool(false))
}

/// The Service by which pods find this server.
fn is_own(service: &Value) -> bool {
    (object::namespace(service), object::name(service)) == ("default", "kubernetes")
}

/// Brings the two spellings of the address in line.
pub(super) fn complete(service: &mut Value, old: Option<&Value>) {
    if has_cluster_ip(service) {
        defaults::service_addresses(service);
        object::set_default(service, "spec.ipFamilies", json!(["IPv4"]));
        object::set_default(service, "spec.ipFamilyPolicy", "SingleStack");
        return;
    }
    object::remove(service, "spec.internalTrafficPolicy");
    // What it had as another type goes with that. What is new is left for validation to refuse.
    for fields in [
        ["clusterIP", "clusterIPs"].as_slice(),
        &["ipFamilies"],
        &["ipFamilyPolicy"],
    ] {
        let paths: Vec<_> = fields.iter().map(|field| format!("spec.{field}")).collect();
        let had = |old: &Value| {
            let is_as_before = |path| object::get(old, path) == object::get(service, path);
            has_cluster_ip(old) && paths.iter().all(|path| is_as_before(path))
        };
        if old.is_some_and(had) {
            for path in &paths {
                object::remove(service, path);
            }
        }
    }
    defaults::service_address_list(service);
}

/// What of a service is ignored, or will be: upstream's words.
pub(super) fn warnings(service: &Value) -> Vec<String> {
    let text = |field: &str| object::text(service, field);
    let has = |field: &str| !object::is_empty(service, field);
    let (kind, address) = (text("spec.type"), text("spec.clusterIP"));
    let headless = matches!(kind, "" | "ClusterIP") && address == NONE;
    let alias = kind == "ExternalName";
    let sticks = text("spec.sessionAffinity") == "ClientIP";
    let near = text("spec.trafficDistribution") == "PreferClose";
    let found = [
        (
            headless && has("spec.loadBalancerIP"),
            "spec.loadBalancerIP is ignored for headless services",
        ),
        (
            headless && has("spec.externalIPs"),
            "spec.externalIPs is ignored for headless services",
        ),
        (
            headless && sticks,
            "spec.SessionAffinity is ignored for headless services",
        ),
        (
            has("spec.externalIPs") && !headless && !alias,
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (
            has("spec.externalIPs") && alias,
            "spec.externalIPs is ignored when spec.type is \"ExternalName\"",
        ),
        (
            has("spec.externalName") && !alias,
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ),
        (
            near,
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ),
    ];
    let found = found.into_iter().filter(|(holds, _)| *holds);
    found.map(|(_, words)| words.to_owned()).collect()
}

/// Claims what the service needs and does not hold yet.
pub(super) fn reserve<'a>(
    pool: &'a Addresses,
    resource: &Resource,
    service: &mut Value,
    old: Option<&Value>,
) -> Result<Reservation<'a>> {
    let mut reservation = Reservation::of(pool);
    let result = families(service)
        .and_then(|()| address(pool, &mut reservation, service, old))
        .and_then(|()| node_ports(pool, &mut reservation, service, old));
    match result {
        Ok(()) => Ok(reservation),
        Err(error) => Err(Status::invalid(
            resource,
            object::name(service),
            vec![*error],
        )),
    }
}

/// Addresses are IPv4. Only a service without address and selector may speak of what others will give it.
fn families(service: &Value) -> std::result::Result<(), Box<FieldError>> {
    let text = |path: &str| object::text(service, path);
    let bare = text("spec.clusterIP") == NONE && object::is_empty(service, "spec.selector");
    if !has_cluster_ip(service) || bare {
        return Ok(());
    }
    let policy = text("spec.ipFamilyPolicy");
    if policy == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        return Err(Box::new(FieldError::invalid(
            "spec.ipFamilyPolicy",
            policy,
            why,
        )));
    }
    let families = object::items(service, "spec.ipFamilies");
    match families.iter().position(|family| family == "IPv6") {
        Some(at) => {
            let (field, why) = (
                format!("spec.ipFamilies[{at}]"),
                "not configured on this cluster",
            );
            Err(Box::new(FieldError::invalid(field, "IPv6", why)))
        }
        None => Ok(()),
    }
}

fn address(
    pool: &Addresses,
    reservation: &mut Reservation<'_>,
    service: &mut Value,
    old: Option<&Value>,
) -> std::result::Result<(), Box<FieldError>> {
    if !has_cluster_ip(service) {
        return Ok(());
    }
    let asked = object::text(service, "spec.clusterIP").to_owned();
    let held = old
        .map(|old| object::text(old, "spec.clusterIP"))
        .unwrap_or("");
    if asked == NONE || !asked.is_empty() && asked == held {
        object::set(service, "spec.clusterIPs", json!([asked]));
        return Ok(());
    }
    let refused = |why: &str| {
        let detail = format!("failed to allocate IP {asked}: {why}");
        Box::new(FieldError::invalid(
            "spec.clusterIPs",
            json!([asked]),
            detail,
        ))
    };
    let address = if asked.is_empty() {
        pool.any_address().map_err(|_| refused("range is full"))?
    } else {
        let address: Ipv4Addr = asked
            .parse()
            .map_err(|_| refused("only IPv4 addresses are served"))?;
        pool.claim_address(address, is_own(service)).map_err(|refusal| match refusal {
            Refusal::OutOfRange => refused(&format!(
                "the provided IP ({asked}) is not in the valid range. The range of valid IPs is {}",
                pool.network()
            )),
            Refusal::Taken | Refusal::Exhausted => refused("provided IP is already allocated"),
        })?;
        address
    };
    reservation.addresses.push(address);
    object::set(service, "spec.clusterIP", address.to_string());
    object::set(service, "spec.clusterIPs", json!([address.to_string()]));
    Ok(())
}

fn node_ports(
    pool: &Addresses,
    reservation: &mut Reservation<'_>,
    service: &mut Value,
    old: Option<&Value>,
) -> std::result::Result<(), Box<FieldError>> {
    let (wanted, fills) = (has_node_ports(service), allocates_node_ports(service));
    let checked = defaults::checks_health(service);
    let held = old.map(ports_of).unwrap_or_default();
    let ports = object::items_mut(service, "spec.ports").iter_mut();
    for (index, port) in ports.enumerate() {
        let asks = object::int(port, "nodePort").unwrap_or(0) != 0;
        if wanted && (asks || fills) {
            let field = format!("spec.ports[{index}].nodePort");
            node_port(pool, reservation, port, "nodePort", &field, &held)?;
        } else if old.is_some() && !wanted {
            // The type changed: the port goes with it.
            object::remove(port, "nodePort");
        }
    }
    if checked {
        let field = "spec.healthCheckNodePort";
        let old = old.and_then(|old| object::int(old, field));
        // It answers by itself: it is nobody's port but the one it was.
        if old.is_none_or(|old| old == 0) || old != object::int(service, field) {
            let others = std::mem::take(&mut reservation.ports);
            let claimed = node_port(pool, reservation, service, field, field, &[]);
            reservation.ports.extend(others);
            claimed?;
        }
    }
    Ok(())
}

/// The port asked for at `path`, or any. `field` is what the client calls it.
fn node_port(
    pool: &Addresses,
    reservation: &mut Reservation<'_>,
    value: &mut Value,
    path: &str,
    field: &str,
    held: &[u16],
) -> std::result::Result<(), Box<FieldError>> {
    let asked = object::int(value, path).unwrap_or(0);
    let refuse = |why: String| Box::new(FieldError::invalid(field, asked, why));
    if asked == 0 {
        let chosen = pool.any_port();
        let chosen = chosen.map_err(|_| refuse("range is full".to_owned()))?;
        reservation.ports.push(chosen);
        object::set(value, path, chosen);
        return Ok(());
    }
    let range = || {
        format!(
            "provided port is not in the valid range. The range of valid ports is {}",
            pool.port_range()
        )
    };
    let number = u16::try_from(asked).map_err(|_| refuse(range()))?;
    // One number may serve two protocols of the same service.
    if held.contains(&number) || reservation.ports.contains(&number) {
        return Ok(());
    }
    pool.claim_port(number).map_err(|refusal| match refusal {
        Refusal::OutOfRange => refuse(range()),
        Refusal::Taken | Refusal::Exhausted => refuse("provided port is already allocated".into()),
    })?;
    reservation.ports.push(number);
    Ok(())
}

/// Every port of the nodes that the service holds.
fn ports_of(service: &Value) -> Vec<u16> {
    let ports = object::items(service, "spec.ports").iter();
    ports
        .map(|port| object::int(port, "nodePort"))
        .chain([object::int(service, "spec.healthCheckNodePort")])
        .flatten()
        .filter_map(|port| u16::try_from(port).ok().filter(|port| *port != 0))
        .collect()
}

/// The address a stored service has in the cluster.
pub(super) fn cluster_ip(object: &Obj) -> Option<Ipv4Addr> {
    object.field("spec.clusterIP")?.parse().ok()
}

fn holdings(object: &Obj) -> (Option<Ipv4Addr>, Vec<u16>) {
    let service: Value = serde_json::from_slice(&object.raw).unwrap_or_default();
    (
        object::text(&service, "spec.clusterIP").parse().ok(),
        ports_of(&service),
    )
}

/// Gives back the ports `object` held and `next` does not. Its address goes with its IPAddress.
pub(super) fn release(pool: &Addresses, object: &Obj, next: Option<&Obj>) {
    let (_, ports) = holdings(object);
    let (_, kept) = next.map(holdings).unwrap_or_default();
    pool.release([], ports.into_iter().filter(|port| !kept.contains(port)));
}

/// Takes what a stored service holds.
pub(super) fn restore(pool: &Addresses, object: &Obj) {
    let (address, ports) = holdings(object);
    pool.restore(address, ports);
}
