use serde_json::{Value, json};

use super::*;
use crate::testing::{cluster, pod, refusals};

const HARD: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const SOFT: &str = "preferredDuringSchedulingIgnoredDuringExecution";

const FITS: &str = "";
const NEAR: &str = "node(s) didn't match pod affinity rules";
const AWAY: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// a and b are in one zone, c in another, d in none.
fn nodes() -> Value {
    json!({"a": {"host": "a", "zone": "1"}, "b": {"host": "b", "zone": "1"},
           "c": {"host": "c", "zone": "2"}, "d": {"host": "d"}})
}

fn term(app: &str, key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
}

fn rules(kind: &str, when: &str, terms: Value) -> Value {
    json!({"affinity": {kind: {when: terms}}})
}

fn near(terms: Value) -> Value {
    rules("podAffinity", HARD, terms)
}

fn away(terms: Value) -> Value {
    rules("podAntiAffinity", HARD, terms)
}

fn check(pods: Value, incoming: Value, expect: [&str; 4]) {
    let snapshot = cluster(&nodes(), &pods);
    assert_eq!(
        refusals(&snapshot, &pod(&incoming)),
        expect,
        "{pods} {incoming}"
    );
}

#[test]
fn required_affinity() {
    let web = || json!([{"on": "a", "labels": {"app": "web"}}]);
    let asks = |terms: Value| json!({"labels": {"app": "db"}, "spec": near(terms)});
    check(
        web(),
        asks(json!([term("web", "host")])),
        [FITS, NEAR, NEAR, NEAR],
    );
    check(
        web(),
        asks(json!([term("web", "zone")])),
        [FITS, FITS, NEAR, NEAR],
    );
    let both = json!([term("web", "zone"), term("web", "host")]);
    check(web(), asks(both), [FITS, NEAR, NEAR, NEAR]);
    // All the terms are about one pod: that one is a web and another a cache is not enough.
    let apart =
        json!([{"on": "a", "labels": {"app": "web"}}, {"on": "a", "labels": {"app": "cache"}}]);
    let both = json!([term("web", "zone"), term("cache", "zone")]);
    check(apart, asks(both), [NEAR; 4]);
    check(json!([]), asks(json!([{"topologyKey": "zone"}])), [NEAR; 4]);
    let ending = json!([{"on": "a", "labels": {"app": "web"}, "ending": true}]);
    check(
        ending,
        asks(json!([term("web", "host")])),
        [FITS, NEAR, NEAR, NEAR],
    );
}

#[test]
fn the_first_of_a_group_goes_anywhere_with_the_key() {
    let asks =
        |app: &str| json!({"labels": {"app": app}, "spec": near(json!([term("web", "zone")]))});
    check(json!([]), asks("web"), [FITS, FITS, FITS, NEAR]);
    check(json!([]), asks("db"), [NEAR; 4]);
    let second = json!([{"on": "c", "labels": {"app": "web"}}]);
    check(second, asks("web"), [NEAR, NEAR, FITS, NEAR]);
    let elsewhere = json!([{"on": "c", "namespace": "other", "labels": {"app": "web"}}]);
    check(elsewhere, asks("web"), [FITS, FITS, FITS, NEAR]);
}

#[test]
fn required_anti_affinity() {
    let web = || json!([{"on": "a", "labels": {"app": "web"}}]);
    let asks = |terms: Value| json!({"labels": {"app": "web"}, "spec": away(terms)});
    check(
        web(),
        asks(json!([term("web", "host")])),
        [AWAY, FITS, FITS, FITS],
    );
    check(
        web(),
        asks(json!([term("web", "zone")])),
        [AWAY, AWAY, FITS, FITS],
    );
    let either = json!([term("web", "host"), term("db", "zone")]);
    check(web(), asks(either), [AWAY, FITS, FITS, FITS]);
    // The rule of one that runs is about the one that comes.
    let jealous = || json!([{"on": "c", "labels": {"app": "db"}, "spec": away(json!([term("web", "zone")]))}]);
    check(
        jealous(),
        json!({"labels": {"app": "web"}}),
        [FITS, FITS, EXISTING, FITS],
    );
    check(jealous(), json!({"labels": {"app": "db"}}), [FITS; 4]);
    check(
        jealous(),
        json!({"namespace": "m", "labels": {"app": "web"}}),
        [FITS; 4],
    );
}

#[test]
fn namespaces_of_terms() {
    let pods = || {
        json!([{"on": "a", "namespace": "far", "labels": {"app": "web"}},
               {"on": "c", "namespace": "other", "labels": {"app": "web"}}])
    };
    let asks = |more: Value| {
        let mut term = term("web", "host");
        for (key, value) in more.as_object().expect("fields") {
            term[key] = value.clone();
        }
        json!({"labels": {"app": "db"}, "spec": away(json!([term]))})
    };
    let selector = |tier: &str| json!({"namespaceSelector": {"matchLabels": {"tier": tier}}});
    check(pods(), asks(json!({})), [FITS; 4]);
    check(
        pods(),
        asks(json!({"namespaces": ["other"]})),
        [FITS, FITS, AWAY, FITS],
    );
    check(pods(), asks(selector("far")), [AWAY, FITS, FITS, FITS]);
    check(pods(), asks(selector("none")), [FITS; 4]);
    check(
        pods(),
        asks(json!({"namespaceSelector": {}})),
        [AWAY, FITS, AWAY, FITS],
    );
    let mut both = selector("far");
    both["namespaces"] = json!(["other"]);
    check(pods(), asks(both), [AWAY, FITS, AWAY, FITS]);
    // Likewise for the rules of pods that run.
    let mut rule = term("web", "host");
    rule["namespaceSelector"] = json!({"matchLabels": {"tier": "far"}});
    let jealous = json!([{"on": "b", "spec": away(json!([rule]))}]);
    let web = |namespace: &str| json!({"namespace": namespace, "labels": {"app": "web"}});
    check(jealous.clone(), web("far"), [FITS, EXISTING, FITS, FITS]);
    check(jealous, web("n"), [FITS; 4]);
}

#[test]
fn pods_that_leave_are_forgotten_and_so_are_nodes() {
    let pods = json!([{"on": "a", "name": "p", "labels": {"app": "db"}, "spec": away(json!([term("web", "host")]))}]);
    let mut snapshot = cluster(&nodes(), &pods);
    let web = pod(&json!({"labels": {"app": "web"}}));
    assert_eq!(refusals(&snapshot, &web), [EXISTING, FITS, FITS, FITS]);
    let key = crate::pod::PodKey::of(&pod(&pods[0]));
    assert!(snapshot.pod_gone(&key));
    assert_eq!(refusals(&snapshot, &web), [FITS; 4]);
    let lonely = pod(&json!({"labels": {"app": "web"}, "spec": near(json!([term("db", "zone")]))}));
    let db = json!([{"on": "a", "labels": {"app": "db"}}]);
    let mut snapshot = cluster(&nodes(), &db);
    assert_eq!(refusals(&snapshot, &lonely), [FITS, FITS, NEAR, NEAR]);
    snapshot.node_deleted("a");
    assert_eq!(refusals(&snapshot, &lonely), [NEAR; 3]);
}

#[test]
fn preferences() {
    let check = |pods: Value, incoming: Value, expect: Option<[i64; 4]>| {
        let snapshot = cluster(&nodes(), &pods);
        let pod = pod(&incoming);
        let all: Vec<_> = snapshot.nodes().collect();
        let scores = affinity_scores(&Incoming::new(&pod, &snapshot), &snapshot, &all);
        assert_eq!(scores, expect.map(Vec::from), "{pods} {incoming}");
    };
    let soft = |kind: &str, terms: &[(i64, &str, &str)]| {
        let weighted = terms
            .iter()
            .map(|(weight, app, key)| json!({"weight": weight, "podAffinityTerm": term(app, key)}));
        rules(kind, SOFT, weighted.collect())
    };
    let pods = || {
        json!([{"on": "a", "labels": {"app": "web"}}, {"on": "c", "labels": {"app": "web"}},
        {"on": "c", "labels": {"app": "web"}}])
    };
    let asks = |spec: Value| json!({"labels": {"app": "db"}, "spec": spec});
    check(
        pods(),
        asks(soft("podAffinity", &[(10, "web", "zone")])),
        Some([50, 50, 100, 0]),
    );
    check(
        pods(),
        asks(soft(
            "podAffinity",
            &[(10, "web", "zone"), (30, "web", "host")],
        )),
        Some([50, 12, 100, 0]),
    );
    check(
        pods(),
        asks(soft("podAntiAffinity", &[(10, "web", "zone")])),
        Some([50, 50, 0, 100]),
    );
    check(pods(), asks(json!({})), None);
    check(
        pods(),
        asks(soft("podAffinity", &[(10, "cache", "zone")])),
        None,
    );
    // What those that run would rather have, and what they must have, is about the one that comes.
    let liked = json!([{"on": "a", "spec": soft("podAffinity", &[(4, "db", "host")])},
        {"on": "b", "spec": soft("podAntiAffinity", &[(4, "db", "host")])},
        {"on": "c", "spec": near(json!([term("db", "host")]))}]);
    check(liked, asks(json!({})), Some([100, 0, 62, 50]));
}
