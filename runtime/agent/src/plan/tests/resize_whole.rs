//! Resources of a pod as a whole that change while it runs.

use super::*;

fn whole(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": "10m", "memory": "1Mi"}, "limits": {"cpu": cpu, "memory": memory}})
}

fn limits(cpu_quota: i64, mebibytes: i64) -> Limits {
    Limits {
        cpu_shares: 10,
        cpu_quota,
        memory_bytes: mebibytes << 20,
    }
}

/// A pod with these resources whose container `c` has none of its own, and runs.
fn world(resources: Value, policy: Value) -> World {
    let container = json!({"name": "c", "image": "app:v1", "resizePolicy": policy});
    let mut world = World::new(json!({"containers": [container], "resources": resources}));
    world.pod.metadata.generation = Some(2);
    world.sandbox();
    world.started("c");
    let given = crate::cri::wanted_limits(&world.pod, "c", None);
    let track = world.state.track("c");
    track.instance.as_mut().expect("started").limits = Some(given);
    world.known = world.plan().status;
    world
}

fn ask(world: &mut World, resources: Value) {
    let spec = world.pod.spec.as_mut().expect("a spec");
    spec.resources = Some(serde_json::from_value(resources).expect("resources"));
}

fn give(world: &mut World) {
    let pod = world.pod.clone();
    assert!(world.state.resize.is_asked(&pod));
    world.state.resize.give(&pod);
}

/// The one change that is planned.
fn planned(world: &World) -> Change {
    match &world.plan().actions[..] {
        [Action::Resize(change)] => change.clone(),
        actions => panic!("{actions:?}"),
    }
}

/// `status.resources` and `status.allocatedResources`.
fn told(world: &World) -> Value {
    let status = world.plan().status;
    json!([status.resources, status.allocated_resources])
}

#[test]
fn a_pod_and_what_has_its_limits_are_brought_to_what_it_was_given() {
    let before = whole("100m", "32Mi");
    let mut world = world(before.clone(), json!([]));
    assert_eq!(world.plan().actions, []);
    assert_eq!(told(&world), json!([before, before["requests"]]));

    // What it was not given is not used, and is told after a restart as well.
    let after = json!({"requests": {"cpu": "10m", "memory": "2Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}});
    ask(&mut world, after.clone());
    assert_eq!(world.plan().actions, []);
    assert_eq!(told(&world), json!([before, before["requests"]]));
    let mut again = world.pod.clone();
    again.status = Some(world.plan().status);
    let again = World::of(again);
    assert!(again.state.resize.is_asked(&again.pod));
    let given = again.state.resize.whole().cloned().expect("resources");
    assert_eq!(json!(given), before);

    give(&mut world);
    let change = planned(&world);
    assert_eq!(change.sandbox, "s");
    let change_of_pod = (limits(10_000, 32), limits(100_000, 64));
    assert_eq!(change.pod, Some(change_of_pod));
    let [own] = &change.containers[..] else {
        panic!("{change:?}")
    };
    assert_eq!(
        (own.limits.cpu_quota, own.limits.memory_bytes),
        (100_000, 64 << 20)
    );
    assert_eq!(told(&world), json!([before, after["requests"]]));
    world.state.resize.under_way = true;
    assert_eq!(world.plan().actions, []);
    let pod = world.pod.clone();
    assert_eq!(world.state.end_resize(&pod), None);
    world.apply(Outcome::Resized(change));
    assert_eq!(world.plan().actions, []);
    assert_eq!(told(&world), json!([after, after["requests"]]));
    assert_eq!(world.state.end_resize(&pod), Some(2));

    // An agent that begins now asks for nothing.
    let mut again = world.pod.clone();
    again.status = Some(world.plan().status);
    let again = World::of(again);
    assert!(!again.state.resize.is_asked(&again.pod));
}

#[test]
fn a_pod_can_be_given_resources_it_had_none_of() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.started("c");
    assert_eq!(told(&world), json!([null, null]));
    world.pod.status = Some(world.plan().status);
    ask(&mut world, whole("1", "64Mi"));
    assert!(world.state.resize.is_asked(&world.pod));
    let again = World::of(world.pod.clone());
    assert!(
        again.state.resize.is_asked(&again.pod),
        "nor after a restart"
    );
    give(&mut world);
    let (_, wanted) = planned(&world).pod.expect("a change");
    assert_eq!(wanted, limits(100_000, 64));
}

#[test]
fn what_only_the_pod_asks_for_needs_no_change() {
    let before = whole("1", "64Mi");
    let mut world = world(before.clone(), json!([]));
    let mut after = before.clone();
    after["requests"]["memory"] = json!("2Mi");
    ask(&mut world, after.clone());
    give(&mut world);
    assert_eq!(world.plan().actions, []);
    let pod = world.pod.clone();
    assert_eq!(world.state.end_resize(&pod), Some(2));
    assert_eq!(told(&world), json!([after, after["requests"]]));
}

#[test]
fn a_pod_shrinks_after_its_containers_were_replaced() {
    let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    let mut world = world(whole("1", "64Mi"), policy);
    ask(&mut world, whole("2", "32Mi"));
    give(&mut world);
    let actions = world.plan().actions;
    let [
        Action::Kill {
            replace: true, id, ..
        },
        Action::Resize(change),
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(change.pod, Some((limits(100_000, 64), limits(200_000, 64))));
    let kill = Kill {
        deadline: world.now,
        replace: true,
    };
    world.state.killed("c", id, kill, false);
    world.apply(Outcome::Resized(change.clone()));
    assert_eq!(world.plan().actions, []);
    world.exited("c", 143);
    world.started("c");
    let change = planned(&world);
    assert_eq!(change.pod, Some((limits(200_000, 64), limits(200_000, 32))));
}

#[test]
fn containers_that_get_less_come_first() {
    let own = |name: &str, memory: &str| json!({"name": name, "image": "app:v1", "resources": {"limits": {"memory": memory}}});
    let containers = [own("a", "2Mi"), own("b", "1Mi")];
    let mut world = World::new(json!({ "containers": containers }));
    world.sandbox();
    for (name, had) in [("a", 1), ("b", 2)] {
        world.started(name);
        let before = Limits {
            cpu_shares: 2,
            cpu_quota: 0,
            memory_bytes: had << 20,
        };
        let track = world.state.track(name);
        track.instance.as_mut().expect("started").limits = Some(before);
    }
    assert_eq!(world.actions(), ["resize b a"]);
}
