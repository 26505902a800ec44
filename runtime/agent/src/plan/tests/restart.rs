//! Ends of containers, restart policies and back-off.

use super::*;

#[test]
fn restart_policies() {
    let check = |policy: &str, code: i32, phase: &str, actions: &[&str]| {
        let mut world = World::new(json!({"restartPolicy": policy}));
        world.sandbox();
        world.started("c");
        world.exited("c", code);
        assert_eq!(world.phase(), phase, "{policy} {code}");
        assert_eq!(world.actions(), actions, "{policy} {code}");
    };
    check("Always", 0, "Running", &["start c 1"]);
    check("Always", 1, "Running", &["start c 1"]);
    check("OnFailure", 0, "Succeeded", &["remove"]);
    check("OnFailure", 1, "Running", &["start c 1"]);
    check("Never", 0, "Succeeded", &["remove"]);
    check("Never", 1, "Failed", &["remove"]);
}

#[test]
fn restart_rules_of_one_container() {
    // The policy of the pod, what the container says itself, and which of some exit codes start it again.
    let check = |policy: &str, own: Value, again: &[i32]| {
        for code in [0, 1, 42] {
            let mut container = own.clone();
            container["name"] = json!("c");
            let spec = json!({"restartPolicy": policy, "containers": [container.clone()]});
            let mut world = World::new(spec);
            world.sandbox();
            world.started("c");
            world.exited("c", code);
            let restarts = again.contains(&code);
            let phase = match (restarts, code) {
                (true, _) => "Running",
                (false, 0) => "Succeeded",
                (false, _) => "Failed",
            };
            assert_eq!(world.phase(), phase, "{policy} {own} {code}");
            // The same as an init container: one that ended well is done.
            let mut world = World::new(
                json!({"restartPolicy": policy, "initContainers": [container],
                "containers": [{"name": "main"}]}),
            );
            world.sandbox();
            world.started("c");
            world.exited("c", code);
            let fails = code != 0 && !restarts && own["restartPolicy"] != "Always";
            let phase = if fails { "Failed" } else { "Pending" };
            assert_eq!(world.phase(), phase, "init: {policy} {own} {code}");
        }
    };
    check("Never", json!({}), &[]);
    check("Never", json!({"restartPolicy": "Always"}), &[0, 1, 42]);
    check("Never", json!({"restartPolicy": "OnFailure"}), &[1, 42]);
    check("Always", json!({"restartPolicy": "Never"}), &[]);
    let rules = |operator: &str| {
        let codes = json!({"operator": operator, "values": [42]});
        let rules = json!([{"action": "Restart", "exitCodes": codes}]);
        json!({"restartPolicy": "Never", "restartPolicyRules": rules})
    };
    check("Never", rules("In"), &[42]);
    check("Always", rules("In"), &[42]);
    check("OnFailure", rules("NotIn"), &[0, 1]);
}

#[test]
fn phases_of_two_containers() {
    // What each of two containers did (none: runs) -> the phase.
    let check = |policy: &str, a: Option<i32>, b: Option<i32>, phase: &str| {
        let spec = json!({"restartPolicy": policy, "containers": [{"name": "a"}, {"name": "b"}]});
        let mut world = World::new(spec);
        world.sandbox();
        for (name, end) in [("a", a), ("b", b)] {
            world.started(name);
            if let Some(code) = end {
                world.exited(name, code);
            }
        }
        assert_eq!(world.phase(), phase, "{policy} {a:?} {b:?}");
    };
    check("Never", None, None, "Running");
    check("Never", Some(0), None, "Running");
    check("Never", Some(1), None, "Running");
    check("Never", Some(0), Some(0), "Succeeded");
    check("Never", Some(0), Some(1), "Failed");
    check("OnFailure", Some(0), Some(0), "Succeeded");
    check("OnFailure", Some(0), Some(1), "Running");
    check("Always", Some(0), Some(0), "Running");
}

#[test]
fn crashes_back_off() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.started("c");
    world.exited("c", 1);
    assert_eq!(
        world.shown("c"),
        "Terminated:Error:1",
        "the first restart is immediate"
    );
    for delay in [10, 20, 40, 80, 160, 300, 300] {
        world.started("c");
        world.exited("c", 1);
        assert!(world.actions().is_empty());
        assert_eq!(world.wake_in(), Some(delay));
        assert_eq!(world.shown("c"), "Waiting:CrashLoopBackOff");
        assert_eq!(world.phase(), "Running");
        let before = world.plan().status.container_statuses.unwrap().remove(0);
        let last = before.last_state.unwrap().terminated.unwrap();
        assert_eq!((last.exit_code, last.reason.as_deref()), (1, Some("Error")));
        world.pass(delay as u64);
    }
    assert_eq!(world.actions(), ["start c 8"]);
    world.started("c");
    world.exited("c", 1);
    assert_eq!(
        world.message("c"),
        "back-off 5m0s restarting failed container=c pod=p_n(u)"
    );
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_wait_longer() {
    let hour = Duration::from_secs(3600);
    let mut world = World::new(json!({}));
    world.apply(Outcome::SandboxFailed { attempt: 0 });
    world.now -= hour;
    assert_eq!(world.wake_in(), Some(3601));
    world.state.follow(world.now);
    assert_eq!(world.wake_in(), Some(1));
    world.sandbox();
    for _ in 0..2 {
        world.started("c");
        world.exited("c", 1);
    }
    world.now -= hour;
    world.state.follow(world.now);
    assert_eq!(world.wake_in(), Some(10), "it crashed");
    world.failed("c", "ErrImagePull", "not found");
    world.now -= hour;
    world.state.follow(world.now);
    assert_eq!(world.wake_in(), Some(2), "then it says so in other words");
    world.pass(2);
    assert_eq!(world.wake_in(), Some(8));
    world.pass(8);
    assert_eq!(world.actions(), ["start c 2"]);
}

#[test]
fn a_long_run_starts_the_back_off_over() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.started("c");
    for _ in 0..3 {
        world.exited("c", 1);
        world.started("c");
    }
    world.pass(601);
    world.exited("c", 1);
    assert_eq!(world.actions(), ["start c 4"]);
    world.started("c");
    world.exited("c", 1);
    assert_eq!(world.wake_in(), Some(10));
}

#[test]
fn restart_counts_and_last_states() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.started("c");
    world.exited("c", 3);
    world.pass(10);
    world.started("c");
    let status = world.plan().status.container_statuses.unwrap().remove(0);
    assert_eq!(status.restart_count, 1);
    assert_eq!(status.container_id.as_deref(), Some("sampan://c1"));
    let last = status.last_state.unwrap().terminated.unwrap();
    assert_eq!(
        (last.exit_code, last.container_id.as_deref()),
        (3, Some("sampan://c0"))
    );
    assert_eq!((status.ready, status.started), (true, Some(true)));
}

#[test]
fn a_changed_image_replaces_the_container() {
    let mut world = World::new(json!({"restartPolicy": "Never"}));
    world.sandbox();
    world.started("c");
    world.pod.spec.as_mut().unwrap().containers[0].image = Some("app:v2".into());
    assert_eq!(world.actions(), ["kill c 30 replace"]);
    world.mark_kill("c", 30, true);
    assert!(world.actions().is_empty());
    world.exited("c", 143);
    assert_eq!(
        world.actions(),
        ["start c 1"],
        "at once, whatever the policy"
    );
    let status = world.plan().status.container_statuses.unwrap().remove(0);
    assert_eq!(world.shown("c"), "Waiting:ContainerCreating");
    let last = status.last_state.unwrap().terminated.unwrap();
    assert_eq!(
        last.exit_code, 143,
        "an end that was reported could not be left"
    );
    world.started("c");
    assert_eq!(world.phase(), "Running");
    world.exited("c", 0);
    assert_eq!(world.phase(), "Succeeded");
}

#[test]
fn a_lost_sandbox_starts_over() {
    let mut world = World::new(json!({"initContainers": [{"name": "i"}]}));
    world.sandbox();
    world.started("i");
    world.exited("i", 0);
    world.started("c");
    world.apply(Outcome::SandboxGone);
    assert_eq!(world.shown("c"), "Terminated:ContainerStatusUnknown:137");
    assert_eq!(world.actions(), ["sandbox 1"]);
    world.sandbox();
    assert_eq!(
        world.actions(),
        ["start i 1"],
        "init containers run again in a new sandbox"
    );
    world.started("i");
    world.exited("i", 0);
    assert_eq!(world.actions(), ["start c 1"]);
}

#[test]
fn an_end_that_the_api_keeps_is_reported_until_the_next() {
    let mut world =
        World::new(json!({"restartPolicy": "OnFailure", "initContainers": [{"name": "i"}]}));
    world.sandbox();
    world.started("i");
    world.exited("i", 0);
    world.started("c");
    world.known = world.plan().status;
    world.pod.status = Some(world.known.clone());
    // Another process of the agent, on a runtime that forgot everything.
    world.state = seed(&world.pod, Found::default(), world.now);
    world.sandbox();
    assert_eq!(world.actions(), ["start i 1"]);
    world.started("i");
    assert_eq!(world.shown("i"), "Terminated:Completed:0");
    assert_eq!(world.phase(), "Pending");
    world.exited("i", 1);
    assert_eq!(
        world.shown("i"),
        "Terminated:Error:1",
        "its own end, as soon as there is one"
    );
    world.known = world.plan().status;
    world.started("i");
    assert_eq!(
        world.shown("i"),
        "Running",
        "a failure may be left: it is tried again"
    );
}

#[test]
fn another_image_does_not_wait_for_the_failures_of_the_last() {
    let mut world = World::new(json!({}));
    world.sandbox();
    world.failed("c", "ErrImagePull", "not found");
    assert!(world.actions().is_empty());
    world.set_image("app:v2");
    assert_eq!(world.actions(), ["start c 0"]);
    world.failed("c", "ErrImagePull", "not found");
    assert_eq!(world.wake_in(), Some(2), "a first failure of its own");
    world.set_image("app:v3");
    for _ in 0..3 {
        world.started("c");
        world.exited("c", 1);
    }
    assert_eq!(world.shown("c"), "Waiting:CrashLoopBackOff");
    assert!(world.actions().is_empty());
    world.set_image("app:v4");
    assert_eq!(world.actions(), ["start c 3"]);
    world.started("c");
    world.exited("c", 1);
    assert_eq!(
        world.actions(),
        ["start c 4"],
        "its first restart is immediate"
    );
}
