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

#[test]
fn a_running_container_is_given_the_limits_of_its_specification_once() {
    let mut world = world(json!([]));
    let wanted = Limits {
        cpu_shares: 1_024,
        cpu_quota: 100_000,
        ..BEFORE
    };
    let id = "c0".to_owned();
    let expected = Action::Resize {
        container: "c".into(),
        id: id.clone(),
        limits: wanted,
    };
    assert_eq!(world.plan().actions, [expected]);
    world
        .state
        .track("c")
        .instance
        .as_mut()
        .expect("one")
        .resizing = true;
    assert_eq!(world.plan().actions, []);
    let outcome = Outcome::Resized {
        container: "c".into(),
        id,
        limits: wanted,
    };
    world.apply(outcome);
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
    assert!(matches!(world.plan().actions[..], [Action::Resize { .. }]));
}
