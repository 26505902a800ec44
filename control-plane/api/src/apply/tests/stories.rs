//! Objects that several managers write to, step by step.

use serde_json::json;

use super::story::*;
use super::*;
use crate::object;

#[test]
fn fields_have_the_owners_upstream_gives_them() {
    let pod = json!({"spec": {"containers": [{
        "name": "c", "image": "nginx", "resources": {}, "ports": [{"containerPort": 80, "protocol": "TCP"}],
    }], "securityContext": {}}, "status": {"phase": "Pending"}});
    let story = Story::of(POD).write("curl", pod);
    let fields = json!({"f:spec": {
        "f:containers": {"k:{\"name\":\"c\"}": {
            ".": {}, "f:image": {}, "f:name": {},
            "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}},
            "f:resources": {},
        }},
        "f:securityContext": {},
    }});
    story.has("metadata.managedFields", json!([{
        "manager": "curl", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    }]));
    // Structs that are not there count as empty ones: nobody owns the template, but its labels.
    Story::of(DEPLOYMENT)
        .write("curl", json!({"spec": {
            "selector": {"matchLabels": {"a": "b"}}, "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}},
        }}))
        .owned(&["curl Update: .spec.selector .spec.strategy.type .spec.template.metadata.labels \
            .spec.template.metadata.labels.a .spec.template.spec.containers[name=\"c\"] \
            .spec.template.spec.containers[name=\"c\"].name .spec.template.spec.containers[name=\"c\"].resources"]);
}

#[test]
fn appliers_share_what_they_agree_on_and_take_the_rest_by_force() {
    let story = Story::of(CONFIG_MAP)
        .apply("m1", json!({"data": {"a": "1", "b": "1"}}))
        .apply("m2", json!({"data": {"a": "1", "c": "1"}}))
        .owned(&["m1 Apply: .data.a .data.b", "m2 Apply: .data.a .data.c"]);
    story.refused(
        "m3",
        json!({"data": {"b": "2"}}),
        "Apply failed with 1 conflict: conflict with \"m1\": .data.b",
    );
    story.refused(
        "m3",
        json!({"data": {"b": "2", "a": "2"}}),
        "Apply failed with 3 conflicts: conflicts with \"m1\":\n- .data.a\n- .data.b\nconflicts with \"m2\":\n- .data.a",
    );
    story
        .force("m3", json!({"data": {"b": "2", "a": "2"}}))
        .has("data", json!({"a": "2", "b": "2", "c": "1"}))
        .owned(&["m2 Apply: .data.c", "m3 Apply: .data.a .data.b"]);
}

#[test]
fn a_conflict_is_told_as_upstream_tells_it() {
    let story = Story::of(CONFIG_MAP).apply("m1", json!({"data": {"k": "1"}}));
    let status = story
        .attempt("m2", json!({"data": {"k": "2"}}), false)
        .expect_err("a conflict");
    assert_eq!(
        status.to_value(),
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Apply failed with 1 conflict: conflict with \"m1\": .data.k",
            "reason": "Conflict",
            "details": {"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.k"}]},
            "code": 409,
        })
    );
    Story::of(POD)
        .write("kubelet", json!({"spec": {"nodeName": "a"}}))
        .refused(
            "m",
            json!({"spec": {"nodeName": "b"}}),
            "Apply failed with 1 conflict: conflict with \"kubelet\" using v1: .spec.nodeName",
        );
    Story::of(POD)
        .write("m", json!({"metadata": {"labels": {"a": "b"}}}))
        .at("status")
        .write("kubelet", json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}))
        .refused("m", json!({"status": {"phase": "Failed"}}), "Apply failed with 1 conflict: conflict with \"kubelet\" with subresource \"status\" using v1: .status.phase");
}

#[test]
fn what_an_applier_leaves_out_goes_unless_others_own_it() {
    Story::of(CONFIG_MAP)
        .apply("m1", json!({"data": {"a": "1", "b": "1", "c": "1"}, "metadata": {"labels": {"l": "1"}}}))
        .apply("m2", json!({"data": {"b": "1"}}))
        .write("m3", json!({"data": {"a": "1", "b": "1", "c": "2", "d": "1"}, "metadata": {"labels": {"l": "1"}}}))
        .apply("m1", json!({"data": {"e": "1"}}))
        .has("data", json!({"b": "1", "c": "2", "d": "1", "e": "1"}))
        .has("metadata.labels", Value::Null)
        .owned(&[
            "m2 Apply: .data.b",
            "m1 Apply: .data.e", "m3 Update: .data.c .data.d"]);
}

#[test]
fn an_item_goes_with_who_applied_it() {
    let containers = |items: Value| json!({ "spec": { "containers": items } });
    let story = || {
        Story::of(POD).apply(
            "m1",
            containers(json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}])),
        )
    };
    // And takes with it what others put there...
    story()
        .write(
            "m2",
            containers(
                json!([{"name": "a", "image": "i", "command": ["x"]}, {"name": "b", "image": "i"}]),
            ),
        )
        .apply("m1", containers(json!([{"name": "b", "image": "i"}])))
        .has("spec.containers", json!([{"name": "b", "image": "i"}]));
    // ... unless they applied the item too.
    story()
        .apply("m2", containers(json!([{"name": "a", "command": ["x"]}])))
        .apply("m1", containers(json!([{"name": "b", "image": "i"}])))
        .has(
            "spec.containers",
            json!([{"name": "a", "command": ["x"]}, {"name": "b", "image": "i"}]),
        );
}

#[test]
fn what_was_there_before_anybody_applied_has_an_owner() {
    let mut story = Story::of(CONFIG_MAP).write("m", json!({"data": {"a": "1"}}));
    // As an object of an older server is.
    object::remove(
        story.object.as_mut().expect("an object"),
        "metadata.managedFields",
    );
    let story = story
        .write("m", json!({"data": {"a": "1", "b": "1"}}))
        .has("metadata.managedFields", Value::Null);
    story.refused(
        "n",
        json!({"data": {"a": "2"}}),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a",
    );
    story.apply("n", json!({"data": {"c": "1"}})).owned(&[
        "n Apply: .data.c",
        "before-first-apply Update: .data .data.a .data.b",
    ]);
}

#[test]
fn an_update_takes_over_what_it_changes() {
    Story::of(CONFIG_MAP)
        .apply("m1", json!({"data": {"a": "1", "b": "1", "c": "1"}}))
        .write("m2", json!({"data": {"a": "2", "b": "1"}}))
        .owned(&["m1 Apply: .data.b", "m2 Update: .data.a"])
        // Nothing changed, so nobody new owns anything.
        .write("m3", json!({"data": {"a": "2", "b": "1"}}))
        .owned(&["m1 Apply: .data.b", "m2 Update: .data.a"]);
}

#[test]
fn managers_reset_and_corrected_by_clients() {
    let managers = |fields: Value| {
        json!([{
            "manager": "other", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
        }])
    };
    let write = |list: Value| {
        Story::of(CONFIG_MAP)
            .write("m", json!({"data": {"a": "1"}}))
            .write(
                "n",
                json!({"data": {"a": "1"}, "metadata": {"managedFields": list}}),
            )
    };
    write(json!([{}])).has("metadata.managedFields", Value::Null);
    write(json!([])).has("metadata.managedFields", Value::Null);
    write(managers(json!({"f:data": {"f:a": {}}}))).owned(&["other Apply: .data.a"]);
    // What makes no sense is as good as nothing.
    for nonsense in [
        managers(json!({"a": {}})),
        json!([{"manager": "x"}]),
        json!([1]),
        json!({}),
    ] {
        write(nonsense).owned(&["m Update: .data .data.a"]);
    }
    // Through a subresource nobody corrects anything.
    Story::of(POD)
        .write("m", json!({"metadata": {"labels": {"a": "1"}}}))
        .at("status")
        .write(
            "n",
            json!({"metadata": {"labels": {"a": "1"}, "managedFields": [{}]}}),
        )
        .owned(&["m Update: .metadata.labels .metadata.labels.a"]);
}

#[test]
fn the_oldest_updaters_become_one() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut story = Story::of(CONFIG_MAP);
    let mut data = serde_json::Map::new();
    for name in names {
        data.insert(name.to_owned(), "1".into());
        story = story.write(name, json!({ "data": data }));
    }
    let list = object::items(
        story.object.as_ref().expect("an object"),
        "metadata.managedFields",
    );
    let managers: Vec<&str> = list
        .iter()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(
        managers,
        [
            "ancient-changes",
            "d",
            "e",
            "f",
            "g",
            "h",
            "i",
            "j",
            "k",
            "l"
        ]
    );
    assert_eq!(
        list[0]["fieldsV1"],
        json!({"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}})
    );
}

#[test]
fn what_kubectl_applied_on_its_side_is_its_own() {
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let last = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "1", "b": "1"}});
    let story = || {
        Story::of(CONFIG_MAP)
            .write("kubectl-client-side-apply", json!({
                "metadata": {"annotations": {annotation: last.to_string()}}, "data": {"a": "1", "b": "1"},
            }))
            .write("other", json!({
                "metadata": {"annotations": {annotation: last.to_string()}}, "data": {"a": "1", "b": "2"},
            }))
    };
    // Only kubectl may, and only what still is as it left it.
    story().refused("m", json!({"data": {"a": "2"}}), "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.a");
    story().refused(
        "kubectl",
        json!({"data": {"a": "2", "b": "3"}}),
        "Apply failed with 1 conflict: conflict with \"other\" using v1: .data.b",
    );
    story()
        .apply("kubectl", json!({"data": {"a": "2"}}))
        .has("data", json!({"a": "2", "b": "2"}))
        .has(
            "metadata.annotations",
            json!({annotation: "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"}}\n"}),
        );
}

#[test]
fn times_move_with_what_is_owned() {
    let later = Writer {
        manager: "m",
        now: "2026-02-02T00:00:00Z",
    };
    let story = Story::of(CONFIG_MAP).apply("m", json!({"data": {"a": "1"}}));
    let time = |object: &Value| object["metadata"]["managedFields"][0]["time"].clone();
    let again = |value: &str| {
        let body = story.body(json!({"data": {"a": value}}));
        apply(&story.kind, later, story.object.as_ref(), &body, false).expect("applied")
    };
    assert_eq!(time(&again("1")), "2026-01-01T00:00:00Z");
    assert_eq!(time(&again("2")), "2026-02-02T00:00:00Z");
    // Who applies what is there already changed nothing, at no time.
    let body = story.body(json!({"data": {"a": "1"}}));
    let other = apply(
        &story.kind,
        writer("a"),
        story.object.as_ref(),
        &body,
        false,
    )
    .expect("applied");
    assert_eq!(time(&other), Value::Null);
}

#[test]
fn owners_in_another_version_lose_what_changed_too() {
    let event = "io.k8s.api.core.v1.Event";
    let newer = "io.k8s.api.events.v1.Event";
    let body = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "a", "reason": "r"});
    let mut object = body.clone();
    tracked(&kind(event, "v1", ""), writer("old"), None, &mut object);
    object["metadata"]["uid"] = "u".into();
    let live = crate::convert::event(&object, "events.k8s.io/v1");
    let mut new = live.clone();
    new["note"] = "b".into();
    tracked(
        &kind(newer, "events.k8s.io/v1", ""),
        writer("new"),
        Some(&live),
        &mut new,
    );
    let sets: Vec<Value> = object::items(&new, "metadata.managedFields")
        .iter()
        .map(|entry| entry["fieldsV1"].clone())
        .collect();
    assert_eq!(sets, [json!({"f:note": {}}), json!({"f:reason": {}})]);
}
