//! Resources that change while a container runs.

use super::*;

const BEFORE: Limits = Limits {
    cpu_shares: 512,
    cpu_quota: 50_000,
    memory_bytes: 1 << 20,
};

/// A running container with `BEFORE`, whose specification asks for a whole processor.
fn world(policy: Value) -> World {
    let resources =
        json!({"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "1Mi"}});
    let container =
        json!({"name": "c", "image": "app:v1", "resources": resources, "resizePolicy": policy});
    let mut world = World::new(json!({"containers": [container]}));
    world.sandbox();
    world.started("c");
    let track = world.state.track("c");
    track.instance.as_mut().expect("started").limits = Some(BEFORE);
    world
}

/// Other limits for the container, which is in the sandbox `s`.
fn change(before: Option<Limits>, limits: Limits) -> Change {
    Change {
        sandbox: "s".into(),
        pod: None,
        containers: vec![ContainerChange {
            name: "c".into(),
            id: "c0".into(),
            before,
            limits,
        }],
    }
}

#[test]
fn a_running_container_is_given_the_limits_of_its_specification_once() {
    let mut world = world(json!([]));
    let wanted = Limits {
        cpu_shares: 1_024,
        cpu_quota: 100_000,
        ..BEFORE
    };
    let expected = change(Some(BEFORE), wanted);
    assert_eq!(world.plan().actions, [Action::Resize(expected.clone())]);
    world.state.resize.under_way = true;
    assert_eq!(world.plan().actions, []);
    world.apply(Outcome::Resized(expected));
    let plan = world.plan();
    assert_eq!(plan.actions, []);
    let status = &plan.status.container_statuses.expect("statuses")[0];
    assert_eq!(
        status.resources,
        world.pod.spec.as_ref().expect("a spec").containers[0].resources
    );
    assert!(status.allocated_resources.is_some());
}

#[test]
fn its_policy_may_ask_for_another_container_instead() {
    let mut world = world(json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]));
    assert!(matches!(
        world.plan().actions[..],
        [Action::Kill { replace: true, .. }]
    ));
    world.pod.spec.as_mut().expect("a spec").containers[0].resize_policy = None;
    assert!(matches!(world.plan().actions[..], [Action::Resize(_)]));
}

#[test]
fn what_others_leave_of_the_pods_request_restarts_nobody() {
    let policy = json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]);
    let container = json!({"name": "c", "image": "app:v1", "resizePolicy": policy});
    let whole = json!({"requests": {"cpu": "1"}});
    let mut world = World::new(json!({"containers": [container], "resources": whole}));
    world.sandbox();
    world.started("c");
    let before = Limits {
        cpu_shares: 512,
        cpu_quota: 0,
        memory_bytes: 0,
    };
    let track = world.state.track("c");
    track.instance.as_mut().expect("started").limits = Some(before);
    let actions = world.plan().actions;
    let shares = match &actions[..] {
        [Action::Resize(change)] => change.containers[0].limits.cpu_shares,
        _ => panic!("{actions:?}"),
    };
    assert_eq!(shares, 1_024);
}

/// The pod's condition of this kind as reason and message.
fn told(world: &World, kind: &str) -> Option<(Option<String>, Option<String>)> {
    let conditions = world.plan().status.conditions.expect("conditions");
    let found = conditions.into_iter().find(|one| one.type_ == kind)?;
    assert_eq!(found.status, "True");
    Some((found.reason, found.message))
}

#[test]
fn what_it_was_not_given_is_not_used() {
    let mut world = world(json!([]));
    world
        .state
        .track("c")
        .instance
        .as_mut()
        .expect("one")
        .limits = Some(Limits {
        cpu_shares: 1_024,
        cpu_quota: 100_000,
        ..BEFORE
    });
    assert!(!world.state.resize.is_asked(&world.pod));
    let before = world.pod.spec.as_ref().expect("a spec").containers[0]
        .resources
        .clone();
    let more =
        json!({"requests": {"cpu": "2", "memory": "1Mi"}, "limits": {"cpu": "2", "memory": "1Mi"}});
    let spec = world.pod.spec.as_mut().expect("a spec");
    spec.containers[0].resources = Some(serde_json::from_value(more).expect("resources"));
    world.pod.metadata.generation = Some(2);
    assert!(world.state.resize.is_asked(&world.pod));
    let refusal = |requested, used| {
        crate::room::Refusal::Deferred(crate::room::Shortage {
            resource: "cpu".into(),
            requested,
            used,
            capacity: 4_000,
        })
    };
    let pod = world.pod.clone();
    assert!(world.state.resize.refuse(&pod, refusal(3_000, 1_500)));
    assert!(world.state.resize.refuse(&pod, refusal(2_000, 2_500)));
    let told_once = "what others use is no news";
    assert!(
        !world.state.resize.refuse(&pod, refusal(2_000, 3_000)),
        "{told_once}"
    );
    let message =
        "Node didn't have enough resource: cpu, requested: 2000, used: 2500, capacity: 4000";
    let why = (Some("Deferred".into()), Some(message.into()));
    assert_eq!(told(&world, "PodResizePending"), Some(why));
    let plan = world.plan();
    assert_eq!(plan.actions, []);
    let status = &plan.status.container_statuses.expect("statuses")[0];
    assert_eq!(status.resources, before);
    assert_eq!(
        status.allocated_resources,
        before.and_then(|all| all.requests)
    );

    // An agent that begins now knows it by the status.
    world.pod.status = Some(world.plan().status);
    let mut after = World::of(world.pod.clone());
    assert!(after.state.resize.is_asked(&after.pod));
    after.pod.metadata.generation = Some(2);
    assert_eq!(
        after
            .state
            .resize
            .given("c")
            .and_then(|given| given.limits.clone()),
        world
            .state
            .resize
            .given("c")
            .and_then(|given| given.limits.clone())
    );

    // Once there is room it is on its way, and then done.
    let pod = world.pod.clone();
    world.known = world.plan().status;
    world.state.resize.give(&pod);
    assert!(matches!(world.plan().actions[..], [Action::Resize(_)]));
    assert_eq!(told(&world, "PodResizePending"), None);
    assert_eq!(told(&world, "PodResizeInProgress"), Some((None, None)));
    let patch = status_patch(&world.known, &world.plan().status).expect("a change");
    let gone = json!({"type": "PodResizePending", "$patch": "delete"});
    assert!(
        patch["conditions"]
            .as_array()
            .expect("some")
            .contains(&gone),
        "{patch}"
    );
    assert_eq!(world.state.end_resize(&pod), None);
    let limits = Limits {
        cpu_shares: 2_048,
        cpu_quota: 200_000,
        ..BEFORE
    };
    world.apply(Outcome::Resized(change(None, limits)));
    assert_eq!(world.state.end_resize(&pod), Some(2));
    assert_eq!(told(&world, "PodResizeInProgress"), None);
}

#[test]
fn memory_that_is_in_use_is_tried_again() {
    let mut world = world(json!([]));
    world.state.resize.under_way = true;
    world.apply(Outcome::NotResized {
        done: Change::default(),
        error: "in use (7)".into(),
    });
    assert!(world.state.resize.has_failed_by("in use (8)"));
    let why = (Some("Error".into()), Some("in use (7)".into()));
    assert_eq!(told(&world, "PodResizeInProgress"), Some(why));
    assert_eq!(world.plan().actions, []);
    assert_eq!(world.wake_in(), Some(2));
    world.pass(2);
    assert!(matches!(world.plan().actions[..], [Action::Resize(_)]));
}

#[test]
fn events_say_what_was_asked_for() {
    let pod = world(json!([])).pod;
    assert_eq!(
        resize_message("Pod resize Deferred", &pod, Some(3), Some("no room")),
        r#"Pod resize Deferred: {"containers":[{"name":"c","resources":{"limits":{"cpu":"1","memory":"1Mi"},"requests":{"cpu":"1","memory":"1Mi"}}}],"generation":3,"error":"no room"}"#
    );
}
