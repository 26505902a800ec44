//! One configuration merged into one object.

use serde_json::json;

use super::*;
use crate::apply::compare::compare;
use crate::apply::merge::merge;
use crate::apply::place::Place;

fn place(name: &str) -> Place<'static> {
    Place::root(schemas(), schemas().by_name(name).expect(name))
}

#[test]
fn items_take_the_order_of_the_configuration_around_what_it_leaves_alone() {
    // Letters are containers; finalizers, which are a set, merge the same.
    for (live, config, expected) in [
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("ab", "b", "ab"),
        ("ab", "ba", "ba"),
        ("ab", "c", "abc"),
        ("abc", "cx", "abcx"),
        ("abcd", "dcx", "abdcx"),
        ("abc", "xb", "axbc"),
        ("1abc2", "cba", "1c2ba"),
        ("a1b2c", "cxa", "1b2cxa"),
        ("aab", "b", "aab"),
        ("aab", "ba", "ba"),
    ] {
        let names = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let pod = |text: &str| {
            let containers: Vec<Value> = names(text)
                .iter()
                .map(|name| json!({ "name": name }))
                .collect();
            json!({"metadata": {"finalizers": names(text)}, "spec": {"containers": containers}})
        };
        let merged =
            merge(&pod(live), &pod(config), place("io.k8s.api.core.v1.Pod")).expect("merged");
        assert_eq!(merged, pod(expected), "{live:?} {config:?}");
    }
}

#[test]
fn values_merge_by_their_type() {
    let check = |ty: &str, live: Value, config: Value, expected: Value| {
        assert_eq!(merge(&live, &config, place(ty)), Ok(expected));
    };
    let service = "io.k8s.api.core.v1.Service";
    let pod = "io.k8s.api.core.v1.Pod";
    // Maps merge by key, unless they are replaced as a whole.
    check(
        service,
        json!({"metadata": {"labels": {"a": "1", "b": "1"}}, "spec": {"selector": {"a": "1"}}}),
        json!({"metadata": {"labels": {"b": "2"}}, "spec": {"selector": {"b": "1"}}}),
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"selector": {"b": "1"}}}),
    );
    // A key that is left out has its default.
    check(
        service,
        json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "a"}, {"port": 80, "protocol": "UDP"}]}}),
        json!({"spec": {"ports": [{"port": 80, "name": "b"}]}}),
        json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "b"}, {"port": 80, "protocol": "UDP"}]}}),
    );
    // Items with the same keys are one thing, which is replaced.
    check(
        pod,
        json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "a", "image": "2"}]}}),
        json!({"spec": {"containers": [{"name": "a", "tty": true}]}}),
        json!({"spec": {"containers": [{"name": "a", "tty": true}]}}),
    );
    // Null says nothing about what merges, and takes away what does not.
    check(
        pod,
        json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": "n", "tolerations": [{"key": "a"}]}}),
        json!({"metadata": {"labels": null}, "spec": {"nodeName": null, "tolerations": null}}),
        json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": null, "tolerations": null}}),
    );
}

#[test]
fn differences() {
    let check = |ty: &str, old: Value, new: Value, removed: &str, modified: &str, added: &str| {
        let changes = compare(Some(&old), &new, place(ty)).expect("comparable");
        let lines = [&changes.removed, &changes.modified, &changes.added]
            .map(|set| set.to_string().replace('\n', " "));
        assert_eq!(lines, [removed, modified, added], "{old} {new}");
    };
    let pod = "io.k8s.api.core.v1.Pod";
    let map = "io.k8s.api.core.v1.ConfigMap";
    check(
        map,
        json!({"data": {"a": "1", "b": "1"}}),
        json!({"data": {"b": "2", "c": "1"}}),
        ".data.a",
        ".data.b",
        ".data.c",
    );
    check(
        map,
        json!({"data": {"a": "1"}}),
        json!({}),
        ".data .data.a",
        "",
        "",
    );
    check(
        map,
        json!({}),
        json!({"data": {"a": "1"}}),
        "",
        "",
        ".data .data.a",
    );
    let containers = |items: Value| json!({"spec": {"containers": items}});
    let both = containers(json!([{"name": "a", "image": "1"}, {"name": "a", "image": "2"}]));
    let one = containers(json!([{"name": "a", "image": "1"}]));
    let item = ".spec.containers[name=\"a\"]";
    // Items with the same keys, before, after and on both sides.
    check(pod, both.clone(), both.clone(), "", "", "");
    check(
        pod,
        both.clone(),
        containers(json!([{"name": "a", "image": "2"}, {"name": "a", "image": "1"}])),
        "",
        item,
        "",
    );
    check(
        pod,
        both.clone(),
        one.clone(),
        item,
        "",
        &format!("{item} {item}.image {item}.name {item}.resources"),
    );
    check(
        pod,
        one,
        both,
        &format!("{item} {item}.image {item}.name {item}.resources"),
        "",
        item,
    );
    // What is replaced as a whole is one field.
    check(
        pod,
        json!({"spec": {"nodeSelector": {"a": "1"}, "tolerations": [{"key": "a"}]}}),
        json!({"spec": {"nodeSelector": {"a": "2"}, "tolerations": [{"key": "b"}]}}),
        "",
        ".spec.nodeSelector .spec.tolerations",
        "",
    );
    // An empty struct and none are the same.
    check(
        pod,
        json!({"spec": {}, "status": {}}),
        json!({}),
        "",
        "",
        "",
    );
}
