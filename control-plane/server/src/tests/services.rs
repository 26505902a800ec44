//! Services: addresses and ports.

use super::*;
use tokio_util::sync::CancellationToken;

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn service(name: &str, spec: Value) -> Value {
    let mut service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    for (key, value) in spec.as_object().expect("a map") {
        service["spec"][key] = value.clone();
    }
    service
}

#[tokio::test]
async fn cluster_addresses() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let own = admin
        .get(&format!("{SERVICES}/kubernetes"))
        .await
        .expect(200);
    assert_eq!(own["spec"]["clusterIP"], "10.96.0.1");
    let created = admin.create(SERVICES, service("a", json!({}))).await;
    let address = created["spec"]["clusterIP"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert!(address.starts_with("10.96."));
    assert_eq!(created["spec"]["clusterIPs"], json!([address]));
    assert_eq!(
        (
            &created["spec"]["ipFamilies"],
            &created["spec"]["ipFamilyPolicy"]
        ),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    admin.post(SERVICES, &service("b", json!({"clusterIP": address}))).await.refused(
        422,
        "Invalid",
        &format!("Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"{address}\"]: failed to allocate IP {address}: provided IP is already allocated"),
    );
    admin
        .post(SERVICES, &service("b", json!({"clusterIP": "10.0.0.1"})))
        .await
        .expect(422);
    // An update that does not name the address keeps it; a deletion gives it back.
    let path = format!("{SERVICES}/a");
    let updated = admin
        .put(&path, &service("a", json!({"selector": {"a": "b"}})))
        .await
        .expect(200);
    assert_eq!(updated["spec"]["clusterIP"], *address);
    admin.delete(&path).await.expect(200);
    admin
        .create(SERVICES, service("b", json!({"clusterIP": address})))
        .await;
    let headless = admin
        .create(SERVICES, service("h", json!({"clusterIP": "None"})))
        .await;
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    let external = json!({"metadata": {"name": "e"}, "spec": {"type": "ExternalName", "externalName": "example.com"}});
    let external = admin.create(SERVICES, external).await;
    assert!(external["spec"].get("clusterIP").is_none());
}

/// An alias has no addresses: those that a service had before go, those that are asked for are refused.
#[tokio::test]
async fn aliases_have_no_addresses() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let alias = |more: Value| {
        let mut spec = json!({"type": "ExternalName", "externalName": "example.com"});
        for (field, value) in more.as_object().expect("an object") {
            spec[field] = value.clone();
        }
        spec
    };
    let refusal = |field: &str| {
        let why = "Forbidden: may not be set for ExternalName services";
        format!("Service \"a\" is invalid: spec.{field}: {why}")
    };
    for (given, field) in [
        (json!({"clusterIP": "None"}), "clusterIPs"),
        (json!({"clusterIP": "10.96.0.77"}), "clusterIPs"),
        (json!({"clusterIPs": ["10.96.0.77"]}), "clusterIPs"),
        (json!({"ipFamilies": ["IPv4"]}), "ipFamilies"),
        (json!({"ipFamilyPolicy": "SingleStack"}), "ipFamilyPolicy"),
    ] {
        let asked = json!({"metadata": {"name": "a"}, "spec": alias(given)});
        let answer = admin.post(SERVICES, &asked).await;
        answer.refused(422, "Invalid", &refusal(field));
    }

    let path = format!("{SERVICES}/a");
    let merge = "merge-patch";
    let others = json!({"clusterIPs": ["10.96.0.77"]});
    admin.create(SERVICES, service("a", json!({}))).await;
    let patch = json!({"spec": alias(others.clone())});
    let answer = admin.patch(&path, merge, &patch).await;
    answer.refused(422, "Invalid", &refusal("clusterIPs"));
    let patch = json!({"spec": alias(json!({}))});
    let now = admin.patch(&path, merge, &patch).await.expect(200);
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        assert!(now["spec"].get(field).is_none(), "{field}: {now}");
    }
    let answer = admin.patch(&path, merge, &json!({"spec": others})).await;
    answer.refused(422, "Invalid", &refusal("clusterIPs"));

    // What is no type at all is told, and nothing that would follow from it.
    admin.create(SERVICES, service("b", json!({}))).await;
    let patch = json!({"spec": {"type": "Other"}});
    let answer = admin.patch(&format!("{SERVICES}/b"), merge, &patch).await;
    let why = "Service \"b\" is invalid: spec.type: Unsupported value: \"Other\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"";
    answer.refused(422, "Invalid", why);
}

#[tokio::test]
async fn node_ports() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin
        .create(SERVICES, service("a", json!({"type": "NodePort"})))
        .await;
    let port = created["spec"]["ports"][0]["nodePort"]
        .as_i64()
        .expect("a port");
    assert!((30000..=32767).contains(&port));
    let ports = |port: i64| json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
    admin.post(SERVICES, &service("b", ports(port))).await.refused(
        422,
        "Invalid",
        &format!("Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: {port}: provided port is already allocated"),
    );
    admin.post(SERVICES, &service("b", ports(80))).await.refused(
        422,
        "Invalid",
        "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
    );
    let path = format!("{SERVICES}/a");
    let kept = admin
        .put(&path, &service("a", json!({"type": "NodePort"})))
        .await
        .expect(200);
    assert_eq!(kept["spec"]["ports"][0]["nodePort"], port);
    admin
        .put(&path, &service("a", json!({"type": "ClusterIP"})))
        .await
        .expect(200);
    admin.create(SERVICES, service("b", ports(port))).await;
}

#[tokio::test]
async fn a_port_for_health_checks() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
    let created = admin.create(SERVICES, service("a", local.clone())).await;
    let port = created["spec"]["healthCheckNodePort"].as_i64();
    let port = port.expect("a port");
    assert!((30000..=32767).contains(&port));
    // Nobody else gets it, and it stays.
    let ports = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
    let taken = admin.post(SERVICES, &service("b", ports.clone())).await;
    taken.expect(422);
    let path = format!("{SERVICES}/a");
    let kept = admin.put(&path, &service("a", local.clone())).await;
    assert_eq!(kept.expect(200)["spec"]["healthCheckNodePort"], port);
    let other = json!({"spec": {"healthCheckNodePort": 30001}});
    admin.merge(&path, other).await.refused(
        422,
        "Invalid",
        "Service \"a\" is invalid: spec.healthCheckNodePort: Forbidden: field is immutable",
    );
    // With its reason it goes, and is free again.
    let cluster_wide = json!({"spec": {"externalTrafficPolicy": "Cluster"}});
    let without = admin.merge(&path, cluster_wide).await.expect(200);
    assert_eq!(without["spec"].get("healthCheckNodePort"), None);
    admin.create(SERVICES, service("b", ports)).await;
    let mut asked = local;
    asked["healthCheckNodePort"] = port.into();
    admin.post(SERVICES, &service("c", asked)).await.refused(
        422,
        "Invalid",
        &format!("Service \"c\" is invalid: spec.healthCheckNodePort: Invalid value: {port}: provided port is already allocated"),
    );
}

/// Waits until the object is there.
async fn appears(client: &Client, path: &str) -> Value {
    let look = async {
        loop {
            let answer = client.get(path).await;
            if answer.status == StatusCode::OK {
                return answer.json();
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, look).await;
    found.unwrap_or_else(|_| panic!("{path} does not appear"))
}

/// What a client that hangs up asked for is done whole or not at all.
#[tokio::test]
async fn an_impatient_client_leaves_no_half() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let ports = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
    let hasty = format!("{SERVICES}?timeout=1ns");
    admin
        .post(&hasty, &service("a", ports.clone()))
        .await
        .expect(504);
    let path = format!("{SERVICES}/a");
    let stored = appears(&admin, &path).await;
    admin.post(SERVICES, &service("b", ports)).await.refused(
        422,
        "Invalid",
        "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
    );
    let address = stored["spec"]["clusterIP"].as_str().expect("an address");
    let record = format!("/apis/networking.k8s.io/v1/ipaddresses/{address}");
    appears(&admin, &record).await;
}

/// The process ended when a Service was gone and its IPAddress was not.
#[tokio::test]
async fn an_address_left_behind_is_free_again() {
    let cluster = Cluster::start().await;
    let stale = |address: &str, name: &str| {
        let labels = json!({
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        });
        let parent =
            json!({"group": "", "resource": "services", "namespace": "default", "name": name});
        json!({"metadata": {"name": address, "labels": labels}, "spec": {"parentRef": parent}})
    };
    const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
    cluster
        .admin()
        .create(ADDRESSES, stale("10.96.7.7", "gone"))
        .await;
    let cluster = cluster.restarted().await;
    let admin = cluster.admin();
    let asked = service("a", json!({"clusterIP": "10.96.7.7"}));
    admin.create(SERVICES, asked).await;
    // The first address is the server's own, also while its Service is away.
    let first = service("b", json!({"clusterIP": "10.96.0.1"}));
    admin.delete(&format!("{SERVICES}/kubernetes")).await;
    admin.post(SERVICES, &first).await.expect(422);
    let (api, shutdown) = (cluster.server.api().clone(), CancellationToken::new());
    let until = shutdown.clone();
    let keeping = tokio::spawn(async move { crate::bootstrap::keep(&api, until).await });
    appears(&admin, &format!("{SERVICES}/kubernetes")).await;
    shutdown.cancel();
    keeping.await.expect("an end");
}

#[tokio::test]
async fn addresses_are_known_after_a_restart() {
    let cluster = Cluster::start().await;
    let created = cluster
        .admin()
        .create(SERVICES, service("a", json!({"type": "NodePort"})))
        .await;
    let cluster = cluster.restarted().await;
    let again = service("b", json!({"clusterIP": created["spec"]["clusterIP"]}));
    cluster.admin().post(SERVICES, &again).await.expect(422);
    let read = cluster
        .admin()
        .get(&format!("{SERVICES}/a"))
        .await
        .expect(200);
    assert_eq!(read, created);
}

#[tokio::test]
async fn a_service_changes_its_type() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{SERVICES}/a");
    let created = admin
        .create(SERVICES, service("a", json!({"type": "NodePort"})))
        .await;
    let number = &created["spec"]["ports"][0]["nodePort"];
    assert!(number.is_number());
    // A patch speaks of the type alone; the port goes with it and is free again.
    let inner = admin
        .merge(&path, json!({"spec": {"type": "ClusterIP"}}))
        .await
        .expect(200);
    assert_eq!(inner["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(inner["spec"].get("externalTrafficPolicy"), None);
    let other = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": number}]});
    admin.create(SERVICES, service("b", other)).await;
    let address = created["spec"]["clusterIP"].clone();
    admin
        .merge(&path, json!({"spec": {"clusterIP": "10.96.7.7"}}))
        .await
        .refused(
            422,
            "Invalid",
            "Service \"a\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.96.7.7\"]: may not change once set",
        );
    assert_eq!(
        admin.get(&path).await.expect(200)["spec"]["clusterIP"],
        address
    );
}

#[tokio::test]
async fn what_a_service_cannot_have() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for (spec, why) in [
        (
            json!({"healthCheckNodePort": 30001}),
            "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
        (
            json!({"externalIPs": ["127.0.0.1"]}),
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (
            json!({"ipFamilyPolicy": "RequireDualStack"}),
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
        ),
        (
            json!({"ipFamilies": ["IPv6"]}),
            "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
        ),
        (
            json!({"trafficDistribution": "Far"}),
            "spec.trafficDistribution: Unsupported value: \"Far\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
        ),
    ] {
        admin.post(SERVICES, &service("a", spec)).await.refused(
            422,
            "Invalid",
            &format!("Service \"a\" is invalid: {why}"),
        );
    }
}

#[tokio::test]
async fn what_is_ignored_is_told() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for (name, spec, warning) in [
        (
            "a",
            json!({"trafficDistribution": "PreferClose"}),
            "spec.trafficDistribution: \\\"PreferClose\\\" is deprecated; use \\\"PreferSameZone\\\"",
        ),
        (
            "b",
            json!({"externalIPs": ["1.2.3.4"]}),
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (
            "c",
            json!({"clusterIP": "None", "sessionAffinity": "ClientIP"}),
            "spec.SessionAffinity is ignored for headless services",
        ),
        (
            "d",
            json!({"externalName": "example.com"}),
            "spec.externalName is ignored when spec.type is not \\\"ExternalName\\\"",
        ),
    ] {
        let answer = admin.post(SERVICES, &service(name, spec)).await;
        answer.expect(201);
        assert_eq!(answer.header("warning"), format!("299 - \"{warning}\""));
    }
    let plain = admin.post(SERVICES, &service("e", json!({}))).await;
    assert!(!plain.headers.contains_key("warning"));
}

/// Without node ports of its own accord a service has those it asks for, and nobody else has them.
#[tokio::test]
async fn node_ports_only_by_name() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let asked = |name: &str| {
        let ports =
            json!([{"name": "a", "port": 80, "nodePort": 30123}, {"name": "b", "port": 81}]);
        let none =
            json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": ports});
        service(name, none)
    };
    let made = admin.create(SERVICES, asked("a")).await;
    let ports = |service: &Value| service["spec"]["ports"].clone();
    assert_eq!(ports(&made)[0]["nodePort"], 30123);
    assert!(ports(&made)[1].get("nodePort").is_none());
    admin.post(SERVICES, &asked("b")).await.expect(422);
    let label = json!({"metadata": {"labels": {"l": "1"}}});
    let labelled = admin
        .merge(&format!("{SERVICES}/a"), label)
        .await
        .expect(200);
    assert_eq!(ports(&labelled), ports(&made));
    admin.delete(&format!("{SERVICES}/a")).await.expect(200);
    admin.create(SERVICES, asked("b")).await;
    // Ports that were given stay when no more are wanted.
    let given = service("c", json!({"type": "LoadBalancer"}));
    let given = admin.create(SERVICES, given).await;
    let no_more = json!({"spec": {"allocateLoadBalancerNodePorts": false}});
    let kept = admin
        .merge(&format!("{SERVICES}/c"), no_more)
        .await
        .expect(200);
    assert_eq!(ports(&kept), ports(&given));
}

/// What answers health checks is no port of the service.
#[tokio::test]
async fn a_port_for_health_checks_is_not_shared() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let both = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local",
        "ports": [{"port": 80, "nodePort": 30050}], "healthCheckNodePort": 30050});
    admin.post(SERVICES, &service("a", both)).await.refused(
        422,
        "Invalid",
        "Service \"a\" is invalid: spec.healthCheckNodePort: Invalid value: 30050: provided port is already allocated",
    );
    // A refusal leaves nothing taken.
    let ports = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30050}]});
    admin.create(SERVICES, service("b", ports)).await;
}

/// An IPAddress that came to name another Service is that one's, and the address is not free.
#[tokio::test]
async fn an_address_goes_with_its_object() {
    use sampan_store::{Durability, Expect, Key, Op};
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let a = service("a", json!({"clusterIP": "10.96.0.77"}));
    admin.create(SERVICES, a).await;
    let store = &cluster.server.api().store;
    let key = Key::new("ipaddresses", "10.96.0.77");
    let found = store.get(&key).await.expect("readable").expect("there");
    let mut object: Value = serde_json::from_slice(&found.object.raw).expect("JSON");
    object["spec"]["parentRef"]["name"] = json!("b");
    object["metadata"]["resourceVersion"] = json!("");
    let op = Op::Put {
        value: object.to_string().into(),
        durability: Durability::Durable,
    };
    let expect = Expect::Revision(found.revision);
    store.txn(key, expect, op).await.expect("written");
    admin.delete(&format!("{SERVICES}/a")).await.expect(200);
    let path = "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.77";
    admin.get(path).await.expect(200);
    let c = service("c", json!({"clusterIP": "10.96.0.77"}));
    admin.post(SERVICES, &c).await.expect(422);
    admin.delete(path).await.expect(200);
    admin.create(SERVICES, c).await;
}
