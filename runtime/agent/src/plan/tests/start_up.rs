//! From nothing to running.

use super::*;

#[test]
fn one_container_runs() {
    let mut world = World::new(json!({}));
    assert_eq!(world.actions(), ["sandbox 0"]);
    assert_eq!(
        (world.phase().as_str(), world.shown("c").as_str()),
        ("Pending", "Waiting:ContainerCreating")
    );
    world.state.sandbox = Sandbox::Creating { attempt: 0 };
    assert!(world.actions().is_empty());
    world.sandbox();
    assert_eq!(world.actions(), ["start c 0"]);
    assert_eq!(world.condition("PodReadyToStartContainers"), "True");
    assert_eq!(world.condition("Ready"), "False:ContainersNotReady");
    world.state.starting = Some("c".into());
    assert!(world.actions().is_empty());
    world.started("c");
    assert!(world.actions().is_empty());
    assert_eq!(
        (world.phase().as_str(), world.shown("c").as_str()),
        ("Running", "Running")
    );
    assert_eq!(world.condition("Ready"), "True");
    assert_eq!(world.plan().wake_at, None);
}

#[test]
fn containers_start_in_order() {
    let mut world = World::new(json!({"containers": [{"name": "a"}, {"name": "b"}]}));
    world.sandbox();
    assert_eq!(world.actions(), ["start a 0"]);
    world.started("a");
    assert_eq!(world.phase(), "Pending");
    assert_eq!(world.actions(), ["start b 0"]);
    world.started("b");
    assert_eq!(world.phase(), "Running");
    assert!(world.actions().is_empty());
}

#[test]
fn a_container_that_cannot_start_does_not_hold_up_the_next() {
    let mut world = World::new(json!({"containers": [{"name": "a"}, {"name": "b"}]}));
    world.sandbox();
    world.failed("a", "ErrImagePull", "no");
    assert_eq!(world.actions(), ["start b 0"]);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let mut world = World::new(json!({"initContainers": [{"name": "i"}, {"name": "j"}]}));
    world.sandbox();
    assert_eq!(world.shown("c"), "Waiting:PodInitializing");
    assert_eq!(
        world.condition("Initialized"),
        "False:ContainersNotInitialized"
    );
    assert_eq!(world.actions(), ["start i 0"]);
    world.started("i");
    assert!(world.actions().is_empty());
    assert_eq!(world.phase(), "Pending");
    world.exited("i", 0);
    assert_eq!(world.shown("i"), "Terminated:Completed:0");
    assert_eq!(world.actions(), ["start j 0"]);
    world.started("j");
    world.exited("j", 0);
    assert_eq!(world.condition("Initialized"), "True");
    assert_eq!(world.actions(), ["start c 0"]);
    world.started("c");
    assert_eq!(world.phase(), "Running");
}

#[test]
fn a_failed_init_container_follows_the_restart_policy() {
    for (policy, phase, actions) in [
        ("Always", "Pending", &["start i 1"][..]),
        ("Never", "Failed", &["remove"][..]),
    ] {
        let mut world =
            World::new(json!({"restartPolicy": policy, "initContainers": [{"name": "i"}]}));
        world.sandbox();
        world.started("i");
        world.exited("i", 1);
        assert_eq!(world.phase(), phase, "{policy}");
        assert_eq!(world.actions(), actions, "{policy}");
    }
}

#[test]
fn sidecars_start_in_order_and_stay() {
    let mut world = World::new(json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]
    }));
    world.sandbox();
    assert_eq!(world.actions(), ["start s 0"]);
    world.started("s");
    assert_eq!(world.actions(), ["start i 0"]);
    world.started("i");
    world.exited("i", 0);
    assert_eq!(world.actions(), ["start c 0"]);
    world.started("c");
    world.exited("s", 1);
    assert_eq!(
        world.actions(),
        ["start s 1"],
        "a sidecar restarts whatever the pod's policy"
    );
    assert_eq!(world.phase(), "Running");
    world.started("s");
    world.exited("c", 0);
    assert_eq!(world.phase(), "Running", "not over while the sidecar runs");
    assert_eq!(world.actions(), ["kill s 30"]);
    world.mark_kill("s", 30, false);
    world.exited("s", 143);
    assert_eq!(world.phase(), "Succeeded");
    assert_eq!(world.actions(), ["remove"]);
}

#[test]
fn a_sandbox_that_fails_is_tried_again() {
    let mut world = World::new(json!({}));
    for pause in [1, 2, 4, 8, 10, 10] {
        world.apply(Outcome::SandboxFailed { attempt: 0 });
        assert_eq!((world.actions().len(), world.wake_in()), (0, Some(pause)));
        world.pass(pause as u64);
        assert_eq!(world.actions(), ["sandbox 0"]);
    }
    assert_eq!(world.shown("c"), "Waiting:ContainerCreating");
}

#[test]
fn missing_images_back_off() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.failed("c", "ErrImagePull", "not found");
    assert_eq!(
        (world.shown("c").as_str(), world.wake_in()),
        ("Waiting:ErrImagePull", Some(2))
    );
    assert_eq!(world.message("c"), "not found");
    world.pass(2);
    assert_eq!(
        (world.shown("c").as_str(), world.wake_in()),
        ("Waiting:ImagePullBackOff", Some(8))
    );
    assert_eq!(
        world.message("c"),
        "Back-off pulling image \"app:v1\": ErrImagePull: not found"
    );
    assert!(world.actions().is_empty());
    world.pass(8);
    assert_eq!(world.actions(), ["start c 0"]);
    world.failed("c", "ErrImagePull", "not found");
    world.pass(2);
    assert_eq!(world.wake_in(), Some(18));
    world.pass(18);
    world.started("c");
    assert_eq!(world.shown("c"), "Running");
}

#[test]
fn the_image_of_a_volume_is_named_where_it_is_missing() {
    let mut world = World::new(json!({}));
    world.sandbox();
    let failure = StartFailure {
        reason: "ErrImagePull".into(),
        message: "not found".into(),
        image: Some("model:v2".into()),
        hash: world.hash("c"),
        ..StartFailure::default()
    };
    world.apply(Outcome::StartFailed {
        container: "c".into(),
        failure,
    });
    world.pass(2);
    assert_eq!(
        world.message("c"),
        "Back-off pulling image \"model:v2\": ErrImagePull: not found"
    );
}

#[test]
fn other_reasons_are_shown_as_they_are() {
    for reason in [
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    ] {
        let mut world = World::new(json!({"restartPolicy": "Never"}));
        world.sandbox();
        world.failed("c", reason, "why");
        assert_eq!(world.shown("c"), format!("Waiting:{reason}"));
        assert_eq!(world.phase(), "Pending");
        world.pass(5);
        assert_eq!(world.shown("c"), format!("Waiting:{reason}"));
        assert_eq!(world.wake_in(), Some(5));
    }
}

#[test]
fn missing_configuration_is_tried_again_soon() {
    let mut world = World::new(json!({}));
    world.sandbox();
    let failure = StartFailure {
        reason: "CreateContainerConfigError".into(),
        message: "configmap \"x\" not found".into(),
        quick_retry: true,
        hash: world.hash("c"),
        ..StartFailure::default()
    };
    world.apply(Outcome::StartFailed {
        container: "c".into(),
        failure,
    });
    assert_eq!(world.wake_in(), Some(1));
    assert_eq!(world.message("c"), "configmap \"x\" not found");
}
