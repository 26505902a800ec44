//! Containers that join a pod while it runs.

use super::*;

fn world() -> World {
    World::new(json!({
        "initContainers": [{"name": "i", "image": "init:v1"}],
        "containers": [{"name": "c", "image": "app:v1"}],
        "ephemeralContainers": [{"name": "e", "image": "debug:v1", "targetContainerName": "c"}]
    }))
}

#[test]
fn they_start_once_whatever_the_others_do() {
    let mut world = world();
    assert_eq!(world.shown("e"), "Waiting:PodInitializing");
    world.sandbox();
    assert_eq!(world.actions(), ["start e 0"]);
    world.started("e");
    assert_eq!(world.actions(), ["start i 0"]);
    world.started("i");
    world.exited("i", 0);
    world.started("c");
    assert_eq!(
        (world.phase().as_str(), world.shown("e").as_str()),
        ("Running", "Running")
    );
    world.exited("e", 1);
    assert_eq!(world.shown("e"), "Terminated:Error:1");
    assert!(world.actions().is_empty(), "it does not run again");
    assert_eq!(
        (world.phase().as_str(), world.condition("Ready").as_str()),
        ("Running", "True")
    );
    let status = &world.plan().status.ephemeral_container_statuses.unwrap()[0];
    assert_eq!(
        (status.ready, status.started, status.restart_count),
        (false, None, 0)
    );
    let path = field_path(&world.pod, "e");
    assert_eq!(path, "spec.ephemeralContainers{e}");
}

#[test]
fn they_stop_with_their_pod() {
    let mut world = world();
    world.pod.spec.as_mut().unwrap().restart_policy = Some("Never".into());
    world.sandbox();
    world.started("e");
    world.started("i");
    world.exited("i", 0);
    world.started("c");
    world.exited("c", 0);
    assert_eq!(world.actions(), ["kill e 30"]);
    assert_eq!(world.phase(), "Running", "while one of its containers runs");
    world.mark_kill("e", 30, false);
    world.exited("e", 143);
    assert_eq!(world.phase(), "Succeeded");
}

#[test]
fn one_that_is_reported_does_not_run_again_after_a_restart() {
    let mut world = world();
    world.sandbox();
    world.started("e");
    world.started("i");
    world.exited("i", 0);
    world.started("c");
    world.pod.status = Some(world.plan().status);
    let mut after = World::of(world.pod);
    assert_eq!(after.shown("e"), "Terminated:ContainerStatusUnknown:137");
    after.sandbox();
    assert_eq!(after.actions(), ["start i 1"]);
}

#[test]
fn one_whose_image_is_missing_is_tried_again() {
    let mut world = world();
    world.sandbox();
    world.failed("e", "ErrImagePull", "not found");
    assert_eq!(world.shown("e"), "Waiting:ErrImagePull");
    assert_eq!(world.actions(), ["start i 0"], "the others need not wait");
    world.pass(10);
    assert_eq!(world.actions(), ["start e 0"]);
}
