//! Fields of the status, its patches, and the events that follow from its changes.

use super::*;

#[test]
fn a_running_pod_in_full() {
    let mut world = World::new(json!({}));
    world.known.conditions = serde_json::from_value(json!([
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"},
        {"type": "example.com/gate", "status": "False"}
    ]))
    .unwrap();
    world.sandbox();
    world.started("c");
    let status = serde_json::to_value(world.plan().status).unwrap();
    let now = "2026-01-01T00:00:00Z";
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now, "observedGeneration": 1});
    assert_eq!(
        status,
        json!({
            "phase": "Running", "observedGeneration": 1, "startTime": now,
            "hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}],
            "podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}],
            "conditions": [
                condition("PodReadyToStartContainers"),
                condition("Initialized"),
                condition("Ready"),
                condition("ContainersReady"),
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z", "observedGeneration": 1},
                {"type": "example.com/gate", "status": "False"}
            ],
            "containerStatuses": [{
                "name": "c", "image": "app:v1", "imageID": "sha256:1",
                "containerID": "sampan://c0", "ready": true, "started": true, "restartCount": 0,
                "resources": {},
                "state": {"running": {"startedAt": now}}, "lastState": {}
            }]
        })
    );
}

#[test]
fn mounts_are_told_as_they_are_made() {
    let world = World::new(json!({"containers": [
        {"name": "c", "volumeMounts": [
            {"name": "v", "mountPath": "/w", "readOnly": false, "subPath": "x"},
            {"name": "v", "mountPath": "/r", "readOnly": true},
            {"name": "v", "mountPath": "/d", "readOnly": true, "recursiveReadOnly": "Disabled"},
            {"name": "v", "mountPath": "/e", "readOnly": true, "recursiveReadOnly": "Enabled"},
            {"name": "v", "mountPath": "/p", "readOnly": true, "recursiveReadOnly": "IfPossible"}]},
        {"name": "none"}]}));
    let status = serde_json::to_value(world.plan().status).unwrap();
    let read_only = |path: &str, recursive: &str| json!({"name": "v", "mountPath": path, "readOnly": true, "recursiveReadOnly": recursive});
    assert_eq!(
        status["containerStatuses"][0]["volumeMounts"],
        json!([
            {"name": "v", "mountPath": "/w"},
            read_only("/r", "Disabled"),
            read_only("/d", "Disabled"),
            read_only("/e", "Enabled"),
            read_only("/p", "Enabled"),
        ])
    );
    assert_eq!(status["containerStatuses"][1].get("volumeMounts"), None);
}

#[test]
fn pods_of_many_containers() {
    let list = |kind: &str| -> Vec<Value> {
        let one = |at| json!({"name": format!("{kind}-{at}"), "image": "app:v1", "restartPolicy": (kind == "i").then_some("Always")});
        (0..20_000).map(one).collect()
    };
    let mut world = World::new(json!({"containers": list("c"), "initContainers": list("i")}));
    for _ in 0..2 {
        let plan = world.plan();
        let statuses = plan.status.container_statuses.as_ref();
        assert_eq!(statuses.map(Vec::len), Some(20_000));
        let notes = notes(&world.pod, &world.known, &plan.status);
        assert!(notes.is_empty(), "{} events", notes.len());
        world.known = plan.status;
        world.state = seed(&world.pod, Found::default(), world.now);
    }
}

#[test]
fn conditions_of_an_ended_pod() {
    for (code, initialized, ready) in [
        (0, "True:PodCompleted", "False:PodCompleted"),
        (1, "True", "False:PodFailed"),
    ] {
        let mut world = World::new(json!({"restartPolicy": "Never"}));
        world.sandbox();
        world.started("c");
        world.exited("c", code);
        assert_eq!(world.condition("Initialized"), initialized);
        assert_eq!(world.condition("Ready"), ready);
        assert_eq!(world.condition("ContainersReady"), ready);
        assert_eq!(world.condition("PodReadyToStartContainers"), "False");
        world.apply(Outcome::SandboxGone);
        assert_eq!(
            world.plan().status.pod_ip.as_deref(),
            Some("1.1.1.1"),
            "the IP stays told"
        );
    }
}

#[test]
fn readiness_gates_hold_up_ready() {
    let mut world = World::new(json!({"readinessGates": [{"conditionType": "g"}]}));
    world.sandbox();
    world.started("c");
    assert_eq!(world.condition("Ready"), "False:ReadinessGatesNotReady");
    assert_eq!(world.condition("ContainersReady"), "True");
    world.known.conditions =
        serde_json::from_value(json!([{"type": "g", "status": "True"}])).unwrap();
    assert_eq!(world.condition("Ready"), "True");
}

#[test]
fn transition_times_move_only_with_their_condition() {
    let mut world = World::new(json!({}));
    world.known = world.plan().status;
    world.pass(60);
    assert_eq!(status_patch(&world.known, &world.plan().status), None);
    // An API server fills in what Go never leaves out.
    let mut known = serde_json::to_value(&world.known).unwrap();
    for container in known["containerStatuses"].as_array_mut().unwrap() {
        let fields = container.as_object_mut().unwrap();
        for field in ["state", "lastState"] {
            fields.entry(field).or_insert(json!({}));
        }
    }
    let known = serde_json::from_value(known).unwrap();
    assert_eq!(status_patch(&known, &world.plan().status), None);
    world.sandbox();
    let patch = status_patch(&world.known, &world.plan().status).unwrap();
    let kinds: Vec<&str> = patch["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| condition["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["PodReadyToStartContainers"]);
    assert_eq!(patch["podIP"], "1.1.1.1");
    assert!(patch.get("containerStatuses").is_none());
}

#[test]
fn patches_say_what_went() {
    let from = |value: Value| -> PodStatus { serde_json::from_value(value).unwrap() };
    let known = from(json!({
        "reason": "X", "qosClass": "Burstable", "podIPs": [{"ip": "1.1.1.1"}],
        "conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "m"}],
        // Of a scheduler: they are not the node's to take away.
        "resourceClaimStatuses": [{"name": "a", "resourceClaimName": "p-a"}],
        "extendedResourceClaimStatus": {"requestMappings": [], "resourceClaimName": "p-e"},
        "nodeAllocatableResourceClaimStatuses": [{"resourceClaimName": "p-a", "resources": {"cpu": "1"}}]
    }));
    let next = from(json!({
        "phase": "Running", "podIPs": [{"ip": "2.2.2.2"}],
        "conditions": [{"type": "Ready", "status": "True"}]
    }));
    assert_eq!(
        status_patch(&known, &next),
        Some(json!({
            "phase": "Running",
            "reason": null,
            "podIPs": [{"ip": "1.1.1.1", "$patch": "delete"}, {"ip": "2.2.2.2"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": null, "message": null}]
        }))
    );
}

#[test]
fn only_creation_can_wait() {
    let mut world = World::new(json!({}));
    assert!(is_only_creating(&world.plan().status));
    world.sandbox();
    assert!(is_only_creating(&world.plan().status));
    world.failed("c", "ErrImagePull", "no");
    assert!(!is_only_creating(&world.plan().status));
    world.started("c");
    assert!(!is_only_creating(&world.plan().status));
}

#[test]
fn back_offs_become_events() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.started("c");
    world.exited("c", 1);
    world.started("c");
    let before = world.plan().status;
    world.exited("c", 1);
    let after = world.plan().status;
    let found = notes(&world.pod, &before, &after);
    assert_eq!(
        found,
        [Note {
            warning: true,
            reason: "BackOff",
            message: "Back-off restarting failed container c in pod p_n(u)".into(),
            field_path: "spec.containers{c}".into(),
        }]
    );
    assert_eq!(notes(&world.pod, &after, &after), []);
}
