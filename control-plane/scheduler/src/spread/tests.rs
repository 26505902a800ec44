use k8s_openapi::api::core::v1::Service;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::*;
use crate::testing::{cluster, pod, refusals};

const FITS: &str = "";
const UNEVEN: &str = "node(s) didn't match pod topology spread constraints";
const NO_DOMAIN: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// a and b are in one zone, c in another, d in none.
fn nodes() -> Value {
    json!({"a": {HOST: "a", ZONE: "1"}, "b": {HOST: "b", ZONE: "1"}, "c": {HOST: "c", ZONE: "2"}, "d": {HOST: "d"}})
}

fn webs(on: &[&str]) -> Value {
    let web = |node: &&str| json!({"on": node, "labels": {"app": "web"}});
    on.iter().map(web).collect()
}

fn constraint(key: &str, when: &str, more: Value) -> Value {
    let mut constraint = json!({"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "web"}}});
    for (key, value) in more.as_object().expect("fields") {
        constraint[key] = value.clone();
    }
    constraint
}

fn hard(key: &str, more: Value) -> Value {
    constraint(key, "DoNotSchedule", more)
}

fn web(constraints: Value) -> Value {
    json!({"labels": {"app": "web"}, "spec": {"topologySpreadConstraints": constraints}})
}

fn check(nodes: &Value, pods: Value, incoming: Value, expect: &[&str]) {
    let snapshot = cluster(nodes, &pods);
    assert_eq!(
        refusals(&snapshot, &pod(&incoming)),
        expect,
        "{pods} {incoming}"
    );
}

#[test]
fn skews() {
    let zones = |more: Value| web(json!([hard(ZONE, more)]));
    check(
        &nodes(),
        webs(&[]),
        zones(json!({})),
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
    check(
        &nodes(),
        webs(&["a"]),
        zones(json!({})),
        &[UNEVEN, UNEVEN, FITS, NO_DOMAIN],
    );
    check(
        &nodes(),
        webs(&["a", "c"]),
        zones(json!({})),
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
    check(
        &nodes(),
        webs(&["a"]),
        zones(json!({"maxSkew": 2})),
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
    let hosts = web(json!([hard(HOST, json!({}))]));
    check(
        &nodes(),
        webs(&["a", "b"]),
        hosts,
        &[UNEVEN, UNEVEN, FITS, FITS],
    );
    let both = web(json!([hard(ZONE, json!({})), hard(HOST, json!({}))]));
    check(
        &nodes(),
        webs(&["a", "c"]),
        both,
        &[UNEVEN, FITS, UNEVEN, NO_DOMAIN],
    );
    let soft = web(json!([constraint(ZONE, "ScheduleAnyway", json!({}))]));
    check(&nodes(), webs(&["a", "a"]), soft, &[FITS; 4]);
}

#[test]
fn which_pods_count() {
    let zones = || web(json!([hard(ZONE, json!({}))]));
    let one = |more: Value| {
        let mut one = webs(&["a"]);
        for (key, value) in more.as_object().expect("fields") {
            one[0][key] = value.clone();
        }
        one
    };
    check(
        &nodes(),
        one(json!({"ending": true})),
        zones(),
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
    check(
        &nodes(),
        one(json!({"namespace": "m"})),
        zones(),
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
    check(
        &nodes(),
        one(json!({"labels": {"app": "db"}})),
        zones(),
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
    // The pod itself counts only if it is selected.
    let mut other = zones();
    other["labels"] = json!({"app": "db"});
    check(
        &nodes(),
        webs(&["a"]),
        other,
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
    let everything = web(json!([hard(ZONE, json!({"labelSelector": {}}))]));
    check(
        &nodes(),
        webs(&["a", "a"]),
        everything,
        &[FITS, FITS, FITS, NO_DOMAIN],
    );
}

#[test]
fn few_domains() {
    let zones = |least: i32| web(json!([hard(ZONE, json!({"minDomains": least}))]));
    let pods = || webs(&["a", "c"]);
    check(&nodes(), pods(), zones(2), &[FITS, FITS, FITS, NO_DOMAIN]);
    check(
        &nodes(),
        pods(),
        zones(3),
        &[UNEVEN, UNEVEN, UNEVEN, NO_DOMAIN],
    );
}

#[test]
fn which_nodes_count() {
    let tainted = json!({"a": {HOST: "a", "kind": "x"}, "b": {HOST: "b", "kind": "y"},
        "c": {HOST: "c", "kind": "x", "taint": "t"}});
    let asks = |more: Value| {
        let mut asks = web(json!([hard(HOST, more)]));
        asks["spec"]["nodeSelector"] = json!({"kind": "x"});
        asks
    };
    let selector = "node(s) didn't match Pod's node affinity/selector";
    let taint = "node(s) had untolerated taint(s) {t: }";
    let pods = || webs(&["a"]);
    // The tainted node is empty and counts, unless taints are honoured.
    check(
        &tainted,
        pods(),
        asks(json!({})),
        &[UNEVEN, selector, taint],
    );
    let honor = json!({"nodeTaintsPolicy": "Honor"});
    check(&tainted, pods(), asks(honor), &[FITS, selector, taint]);
    let ignore = json!({"nodeTaintsPolicy": "Honor", "nodeAffinityPolicy": "Ignore"});
    check(&tainted, pods(), asks(ignore), &[UNEVEN, selector, taint]);
}

fn scores(nodes: &Value, pods: &Value, services: &[Value], incoming: &Value) -> Option<Vec<i64>> {
    let mut snapshot = cluster(nodes, pods);
    for (at, selector) in services.iter().enumerate() {
        let metadata = json!({"name": format!("s{at}"), "namespace": "n"});
        let service = json!({"metadata": metadata, "spec": {"selector": selector}});
        let service: Service = serde_json::from_value(service).expect("a service");
        snapshot.owners.service_event(Event::Apply(service));
    }
    let pod = pod(incoming);
    let all: Vec<_> = snapshot.nodes().collect();
    spread_scores(&pod, &snapshot, &all)
}

#[test]
fn soft_constraints_prefer_the_emptier_domain() {
    let check = |pods: Value, constraints: Value, expect: [i64; 4]| {
        let found = scores(&nodes(), &pods, &[], &web(constraints));
        assert_eq!(found, Some(expect.into()), "{pods}");
    };
    let soft = |key: &str, more: Value| constraint(key, "ScheduleAnyway", more);
    let zone = || json!([soft(ZONE, json!({}))]);
    check(webs(&[]), zone(), [100, 100, 100, 0]);
    // 3 pods by ln(4) are 4, one is 1: 100 * (4 + 1 - crowd) / 4.
    check(webs(&["a", "a", "b", "c"]), zone(), [25, 25, 100, 0]);
    // Of four hosts, by ln(6): 2 pods are 4, one is 2.
    check(
        webs(&["a", "a", "b"]),
        json!([soft(HOST, json!({}))]),
        [0, 50, 100, 100],
    );
    let lax = json!([soft(ZONE, json!({"maxSkew": 5}))]);
    check(webs(&["a", "a", "b", "c"]), lax, [62, 62, 100, 0]);
    let hard = json!([hard(ZONE, json!({}))]);
    assert_eq!(scores(&nodes(), &webs(&["a"]), &[], &web(hard)), None);
}

#[test]
fn pods_of_a_service_are_spread_by_the_clusters_constraints() {
    let plain = json!({"labels": {"app": "web"}});
    let pods = webs(&["a", "a", "c"]);
    assert_eq!(scores(&nodes(), &pods, &[], &plain), None);
    let other = json!({"app": "db"});
    assert_eq!(scores(&nodes(), &pods, &[other], &plain), None);
    // Crowds 13, 9, 9 and 2: the node in no zone is spread over by its name alone.
    let found = scores(&nodes(), &pods, &[json!({"app": "web"})], &plain);
    assert_eq!(found, Some(vec![15, 46, 46, 100]));
    let own = web(json!([hard(ZONE, json!({}))]));
    assert_eq!(
        scores(&nodes(), &pods, &[json!({"app": "web"})], &own),
        None
    );
}
