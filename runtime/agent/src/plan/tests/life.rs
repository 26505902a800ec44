//! Deletion, deadlines, and restarts of the process.

use super::*;

#[test]
fn a_deleted_pod_stops_then_reports_then_goes() {
    let mut world = World::new(json!({"containers": [{"name": "a"}, {"name": "b"}]}));
    world.sandbox();
    world.started("a");
    world.started("b");
    world.deleted(5);
    assert_eq!(world.actions(), ["kill a 5", "kill b 5"]);
    world.mark_kill("a", 5, false);
    world.mark_kill("b", 5, false);
    assert!(world.actions().is_empty());
    world.exited("a", 143);
    assert_eq!(world.phase(), "Running");
    world.exited("b", 0);
    assert_eq!(world.phase(), "Failed");
    assert_eq!(world.actions(), ["remove"]);
    world.apply(Outcome::SandboxGone);
    assert_eq!(world.actions(), ["delete"]);
    assert_eq!(world.shown("a"), "Terminated:Error:143");
    world.gone = true;
    assert_eq!(world.actions(), ["finish"]);
}

#[test]
fn a_shorter_grace_is_passed_on_a_longer_is_not() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.started("c");
    world.deleted(30);
    world.mark_kill("c", 30, false);
    world.pass(1);
    world.deleted(60);
    assert!(world.actions().is_empty());
    world.deleted(2);
    assert_eq!(world.actions(), ["kill c 2"]);
    world.deleted(0);
    assert_eq!(world.actions(), ["kill c 1"], "a second at least");
}

#[test]
fn deletion_before_anything_started() {
    let mut world = World::new(json!({}));
    world.deleted(30);
    assert_eq!(world.actions(), ["delete"]);
    assert_eq!(world.phase(), "Failed");
    let mut world = World::new(json!({}));
    world.sandbox();
    world.state.starting = Some("c".into());
    world.deleted(30);
    assert_eq!(world.actions(), ["cancel"]);
    let failure = StartFailure {
        cancelled: true,
        ..StartFailure::default()
    };
    world.apply(Outcome::StartFailed {
        container: "c".into(),
        failure,
    });
    assert_eq!(world.actions(), ["remove"]);
}

#[test]
fn sidecars_stop_last_in_reverse_order() {
    let mut world = World::new(json!({"initContainers": [
        {"name": "s", "restartPolicy": "Always"}, {"name": "t", "restartPolicy": "Always"}]}));
    world.sandbox();
    for name in ["s", "t", "c"] {
        world.started(name);
    }
    world.deleted(9);
    for (kill, name) in [("kill c 9", "c"), ("kill t 9", "t"), ("kill s 9", "s")] {
        assert_eq!(world.actions(), [kill]);
        world.mark_kill(name, 9, false);
        world.exited(name, 143);
    }
    assert_eq!(world.actions(), ["remove"]);
}

#[test]
fn the_grace_period_is_one_for_the_whole_pod() {
    let mut world = World::new(json!({"initContainers": [
        {"name": "s", "restartPolicy": "Always"}, {"name": "t", "restartPolicy": "Always"}]}));
    world.sandbox();
    for name in ["s", "t", "c"] {
        world.started(name);
    }
    world.deleted(30);
    assert_eq!(world.actions(), ["kill c 30"]);
    world.mark_kill("c", 30, false);
    world.pass(20);
    world.exited("c", 143);
    assert_eq!(world.actions(), ["kill t 10"], "what c has left");
    world.mark_kill("t", 10, false);
    assert!(world.actions().is_empty());
    world.pass(10);
    world.exited("t", 137);
    assert_eq!(world.actions(), ["kill s 2"], "two seconds at least");
    world.mark_kill("s", 2, false);
    world.pass(1);
    assert!(world.actions().is_empty());
}

#[test]
fn an_object_that_vanished_is_stopped_without_a_word() {
    let mut world = World::new(json!({"terminationGracePeriodSeconds": 7}));
    world.sandbox();
    world.started("c");
    world.gone = true;
    assert_eq!(world.actions(), ["kill c 7"]);
    world.mark_kill("c", 7, false);
    world.exited("c", 137);
    assert_eq!(world.actions(), ["remove"]);
    world.apply(Outcome::SandboxGone);
    assert_eq!(world.actions(), ["finish"]);
}

#[test]
fn the_active_deadline_fails_the_pod() {
    let mut world = World::new(json!({"activeDeadlineSeconds": 60}));
    world.sandbox();
    world.started("c");
    world.known = world.plan().status;
    assert_eq!(world.wake_in(), Some(60));
    world.pass(60);
    assert_eq!(world.actions(), ["kill c 30"]);
    assert_eq!(world.phase(), "Running");
    let told = notes(&world.pod, &world.known, &world.plan().status);
    let told: Vec<(&str, bool)> = told.iter().map(|n| (n.reason, n.warning)).collect();
    assert_eq!(told, [("DeadlineExceeded", false)]);
    world.mark_kill("c", 30, false);
    world.exited("c", 143);
    let status = world.plan().status;
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"));
    assert_eq!(world.actions(), ["remove"]);
}

/// How the only container ends, when, and whether the deadline is why the pod failed.
#[test]
fn a_pod_that_ended_before_its_deadline_is_left_alone() {
    for (code, at, phase, reason) in [
        (1, 5, "Failed", None),
        (0, 5, "Succeeded", None),
        (0, 60, "Failed", Some("DeadlineExceeded")),
        (143, 61, "Failed", Some("DeadlineExceeded")),
    ] {
        let mut world = World::new(json!({"activeDeadlineSeconds": 60, "restartPolicy": "Never"}));
        world.sandbox();
        world.started("c");
        world.pass(at);
        world.exited("c", code);
        for _ in 0..2 {
            let status = world.plan().status;
            let shown = (status.phase.as_deref(), status.reason.as_deref());
            assert_eq!(shown, (Some(phase), reason), "{code} at {at}");
            world.pass(60);
        }
    }
    let spec = json!({"activeDeadlineSeconds": 60, "restartPolicy": "Never", "initContainers": [{"name": "i"}]});
    let mut world = World::new(spec);
    world.sandbox();
    world.started("i");
    world.exited("i", 1);
    world.pass(60);
    assert_eq!(
        world.plan().status.reason,
        None,
        "its init container failed"
    );
    let mut world = World::new(json!({"activeDeadlineSeconds": 60}));
    world.sandbox();
    world.started("c");
    world.deleted(30);
    world.exited("c", 143);
    world.pass(60);
    assert_eq!(world.plan().status.reason, None, "it was deleted");
}

#[test]
fn a_pod_that_failed_at_its_deadline_has_failed_for_good() {
    for code in [0, 1] {
        let mut world = World::new(json!({"activeDeadlineSeconds": 60}));
        world.sandbox();
        world.started("c");
        world.pass(55);
        world.exited("c", code);
        assert_eq!(world.phase(), "Running", "it is to be restarted");
        world.pass(5);
        world.known = world.plan().status;
        // Now, when the clock is set back, and once it is deleted.
        for step in 0..3 {
            if step == 1 {
                world.now -= jiff::SignedDuration::from_secs(30);
            }
            let status = world.plan().status;
            assert_eq!(status.phase.as_deref(), Some("Failed"), "{code}");
            assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"), "{code}");
            assert!(status.message.is_some(), "{code}");
            if step == 1 {
                world.deleted(30);
            }
        }
    }
}

/// The pod as a process before this one reported it.
fn reported(policy: &str, phase: &str, state: Value, count: i32) -> World {
    let mut pod = pod(json!({"restartPolicy": policy}));
    pod.status = serde_json::from_value(json!({
        "phase": phase,
        "startTime": "2025-12-31T23:00:00Z",
        "podIPs": [{"ip": "1.1.1.1"}],
        "containerStatuses": [{"name": "c", "image": "app:v1", "imageID": "x", "ready": true,
            "restartCount": count, "containerID": "sampan://old", "state": state}]
    }))
    .unwrap();
    World::of(pod)
}

#[test]
fn after_a_restart_of_the_process() {
    let running = json!({"running": {"startedAt": "2025-12-31T23:00:00Z"}});
    let mut world = reported("Always", "Running", running.clone(), 2);
    assert_eq!(world.actions(), ["sandbox 1"]);
    world.sandbox();
    assert_eq!(world.actions(), ["start c 3"]);
    world.started("c");
    let status = world.plan().status.container_statuses.unwrap().remove(0);
    let last = status.last_state.unwrap().terminated.unwrap();
    assert_eq!(
        (last.exit_code, last.reason.as_deref()),
        (137, Some("ContainerStatusUnknown"))
    );
    assert_eq!(status.restart_count, 3);

    let world = reported("Never", "Running", running, 0);
    assert_eq!(world.phase(), "Failed");
    assert_eq!(world.shown("c"), "Terminated:ContainerStatusUnknown:137");
    assert!(world.actions().is_empty());

    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let world = reported("Never", "Pending", waiting, 0);
    assert_eq!(world.actions(), ["sandbox 0"], "it had not run yet");

    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    let mut world = reported("Never", "Succeeded", done, 0);
    let before = world.pod.status.clone().unwrap();
    assert!(world.actions().is_empty());
    assert_eq!(world.plan().status, before, "an ended pod stays as it is");
    world.deleted(30);
    assert_eq!(world.actions(), ["delete"]);
    assert_eq!(world.plan().status, before);
}

#[test]
fn a_runtime_that_lived_on_is_adopted() {
    let pod = pod(json!({}));
    let mut world = World::of(pod.clone());
    world.sandbox();
    world.started("c");
    let instance = world.state.containers["c"].instance.clone().unwrap();
    let found = Found {
        sandbox: Some(("s".into(), 0, vec!["1.1.1.1".into()])),
        containers: vec![("c".into(), instance)],
        ..Found::default()
    };
    world.state = seed(&pod, found, world.now);
    assert_eq!(
        (world.phase().as_str(), world.shown("c").as_str()),
        ("Running", "Running")
    );
    assert!(world.actions().is_empty());
}

#[test]
fn what_was_noted_at_an_orderly_stop_is_how_it_ended() {
    let mut world = World::new(json!({"restartPolicy": "OnFailure"}));
    world.sandbox();
    world.started("c");
    world.pod.status = Some(world.plan().status);
    let end = json!({"exitCode": 0, "reason": "Completed", "containerID": "sampan://c0",
        "finishedAt": "2026-01-01T00:00:05Z"});
    let found = Found {
        ends: [("c0".to_owned(), serde_json::from_value(end).unwrap())].into(),
        ..Found::default()
    };
    let mut after = World::of(world.pod.clone());
    assert_eq!(
        after.phase(),
        "Running",
        "nobody knows, and it is tried again"
    );
    after.state = seed(&world.pod, found, world.now);
    assert_eq!(after.shown("c"), "Terminated:Completed:0");
    assert_eq!(after.phase(), "Succeeded");
}
