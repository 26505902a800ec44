//! What probes find, in status and actions.

use super::*;
use crate::probe::{Answer, Due};

impl World {
    /// An answer to a probe of the newest instance.
    fn answer(&mut self, container: &str, kind: Kind, answer: &Answer) {
        let instance = self.state.containers[container].instance.as_ref().unwrap();
        let due = Due {
            container: container.into(),
            instance: instance.id.clone(),
            kind,
        };
        self.state.probes.answered(&due, answer, self.now);
        let pod = self.pod.clone();
        self.state.initialized =
            self.state.initialized || super::super::start::init_done(&pod, &self.state);
    }

    /// `started ready` of a container.
    fn health(&self, name: &str) -> (bool, bool) {
        let status = self.plan().status;
        let init = status.init_container_statuses.into_iter().flatten();
        let mut all = init.chain(status.container_statuses.into_iter().flatten());
        let found = all.find(|status| status.name == name).unwrap();
        (found.started.unwrap(), found.ready)
    }
}

fn probed(policy: &str, probes: Value) -> World {
    let mut container = json!({"name": "c", "image": "app:v1"});
    for (name, probe) in probes.as_object().unwrap() {
        container[name] = probe.clone();
    }
    let mut world = World::new(json!({"restartPolicy": policy, "containers": [container]}));
    world.sandbox();
    world.started("c");
    world
}

fn bad() -> Answer {
    Answer::Failure("no".into())
}

#[test]
fn readiness_shows_in_status_and_conditions() {
    let mut world = probed("Always", json!({"readinessProbe": {"failureThreshold": 1}}));
    assert_eq!(
        (world.phase().as_str(), world.health("c")),
        ("Running", (true, false))
    );
    assert_eq!(world.condition("Ready"), "False:ContainersNotReady");
    world.answer("c", Kind::Readiness, &Answer::Success);
    assert_eq!(world.health("c"), (true, true));
    assert_eq!(world.condition("ContainersReady"), "True");
    world.answer("c", Kind::Readiness, &bad());
    assert_eq!(world.health("c"), (true, false));
    assert!(world.actions().is_empty(), "unready is no reason to stop");
}

#[test]
fn a_failed_liveness_probe_restarts_by_policy() {
    let probe =
        json!({"livenessProbe": {"failureThreshold": 1, "terminationGracePeriodSeconds": 3}});
    let mut world = probed("Always", probe.clone());
    world.answer("c", Kind::Liveness, &bad());
    assert_eq!(world.actions(), ["kill c 3"]);
    world.mark_kill("c", 3, false);
    assert!(world.actions().is_empty());
    world.exited("c", 137);
    assert_eq!(world.actions(), ["start c 1"]);
    world.started("c");
    assert!(world.actions().is_empty(), "the next one begins alive");

    let mut world = probed("Never", probe);
    world.answer("c", Kind::Liveness, &bad());
    world.mark_kill("c", 3, false);
    world.exited("c", 137);
    assert_eq!(world.phase(), "Failed");
}

#[test]
fn a_startup_probe_comes_first() {
    let mut world = probed("Always", json!({"startupProbe": {"failureThreshold": 1}}));
    assert_eq!(world.health("c"), (false, false));
    world.answer("c", Kind::Startup, &Answer::Success);
    assert_eq!(world.health("c"), (true, true));
    let mut world = probed("Always", json!({"startupProbe": {"failureThreshold": 1}}));
    world.answer("c", Kind::Startup, &bad());
    assert_eq!(world.actions(), ["kill c 30"]);
}

#[test]
fn a_sidecar_holds_the_others_back_until_it_has_started_up() {
    let mut world = World::new(json!({"initContainers": [
        {"name": "s", "restartPolicy": "Always", "startupProbe": {}}]}));
    world.sandbox();
    world.started("s");
    assert!(world.actions().is_empty());
    assert_eq!(world.phase(), "Pending");
    world.answer("s", Kind::Startup, &Answer::Success);
    assert_eq!(world.actions(), ["start c 0"]);
}
