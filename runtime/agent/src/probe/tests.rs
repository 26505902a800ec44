//! Tables: answers at moments, and what is true after them.

use super::*;
use crate::plan::Instance as Made;
use serde_json::json;

fn at(seconds: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
}

fn pod(probes: serde_json::Value) -> Pod {
    let mut container = json!({"name": "c", "image": "app:v1"});
    for (name, probe) in probes.as_object().unwrap() {
        container[name] = probe.clone();
    }
    serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [container]}})).unwrap()
}

fn running(id: &str, since: u64) -> BTreeMap<String, Track> {
    let instance = Made {
        id: id.into(),
        attempt: 0,
        hash: String::new(),
        image: String::new(),
        image_id: String::new(),
        capabilities: None,
        sandbox: 0,
        run: Run::Running {
            started_at: at(since),
        },
        kill: None,
        limits: None,
    };
    let track = Track {
        instance: Some(instance),
        ..Track::default()
    };
    [("c".to_owned(), track)].into()
}

struct World {
    pod: Pod,
    probes: Probes,
    ending: bool,
}

impl World {
    /// One container with these probes, running since second 100.
    fn new(probes: serde_json::Value) -> World {
        let mut world = World {
            pod: pod(probes),
            probes: Probes::default(),
            ending: false,
        };
        world.runs("i", 100);
        world
    }

    fn runs(&mut self, id: &str, since: u64) {
        self.probes.sync(&self.pod, &running(id, since));
    }

    fn due(&mut self, second: u64) -> Vec<Kind> {
        let ending = self.ending;
        let due = self.probes.due(at(second), |_| ending);
        due.into_iter().map(|due| due.kind).collect()
    }

    fn next(&self) -> Option<u64> {
        let next = self.probes.next(|_| self.ending)?;
        u64::try_from(next.as_second()).ok()
    }

    fn answer_of(&mut self, instance: &str, second: u64, kind: Kind, answer: &Answer) -> bool {
        let due = Due {
            container: "c".into(),
            instance: instance.into(),
            kind,
        };
        self.probes.answered(&due, answer, at(second))
    }

    fn good(&mut self, second: u64, kind: Kind) -> bool {
        assert!(
            self.due(second).contains(&kind),
            "{kind:?} is due at {second}"
        );
        self.answer_of("i", second, kind, &Answer::Success)
    }

    fn bad(&mut self, second: u64, kind: Kind) -> bool {
        assert!(
            self.due(second).contains(&kind),
            "{kind:?} is due at {second}"
        );
        self.answer_of("i", second, kind, &Answer::Failure("no".into()))
    }

    /// Started, ready, failed.
    fn shown(&self) -> (bool, bool, Option<Kind>) {
        let probes = &self.probes;
        (probes.started("c"), probes.ready("c"), probes.failed("c"))
    }
}

#[test]
fn a_container_without_probes_is_ready_and_costs_nothing() {
    let mut world = World::new(json!({}));
    assert_eq!(world.shown(), (true, true, None));
    assert_eq!((world.next(), world.due(1_000)), (None, vec![]));
    assert!(world.probes.0.is_empty());
}

#[test]
fn readiness_comes_and_goes_by_thresholds() {
    let probe = json!({"periodSeconds": 5, "successThreshold": 2, "failureThreshold": 2});
    let mut world = World::new(json!({"readinessProbe": probe}));
    assert_eq!(world.shown(), (true, false, None));
    assert_eq!(world.next(), Some(100));
    assert!(!world.good(100, Kind::Readiness));
    assert_eq!(world.next(), Some(105));
    assert!(world.good(105, Kind::Readiness));
    assert_eq!(world.shown(), (true, true, None));
    assert!(!world.bad(110, Kind::Readiness));
    // One good answer between two bad ones begins the count anew.
    assert!(!world.good(115, Kind::Readiness));
    assert!(!world.bad(120, Kind::Readiness));
    assert_eq!(world.shown(), (true, true, None));
    assert!(world.bad(125, Kind::Readiness));
    assert_eq!(
        world.shown(),
        (true, false, None),
        "unready, but not failed"
    );
}

#[test]
fn one_question_at_a_time_and_missed_moments_are_left_out() {
    let mut world = World::new(json!({"readinessProbe": {"initialDelaySeconds": 7}}));
    assert_eq!((world.next(), world.due(106)), (Some(107), vec![]));
    assert_eq!(world.due(107), [Kind::Readiness]);
    assert_eq!(
        (world.next(), world.due(200)),
        (None, vec![]),
        "asked already"
    );
    world.answer_of("i", 200, Kind::Readiness, &Answer::Success);
    assert_eq!(world.next(), Some(207));
}

#[test]
fn a_clock_that_is_set_neither_stops_the_probes_nor_floods_them() {
    let mut world = World::new(json!({"readinessProbe": {"initialDelaySeconds": 30}}));
    assert_eq!((world.due(50), world.next()), (vec![], Some(80)));
    world.good(80, Kind::Readiness);
    assert_eq!(world.next(), Some(90));
    assert_eq!((world.due(60), world.next()), (vec![], Some(70)));
    assert_eq!(world.due(70), [Kind::Readiness]);
    // Answered when the clock has been set to another century.
    world.answer_of("i", 5_000_000_003, Kind::Readiness, &Answer::Success);
    assert_eq!(world.next(), Some(5_000_000_010));
}

#[test]
fn a_startup_probe_holds_the_others_back() {
    let mut world = World::new(json!({
        "startupProbe": {"failureThreshold": 2}, "readinessProbe": {}, "livenessProbe": {}}));
    assert_eq!(world.shown(), (false, false, None));
    assert_eq!(world.due(100), [Kind::Startup]);
    world.answer_of("i", 100, Kind::Startup, &Answer::Failure("not yet".into()));
    assert!(world.good(110, Kind::Startup));
    assert_eq!(world.shown(), (true, false, None));
    assert_eq!(world.due(110), [Kind::Readiness, Kind::Liveness], "at once");
    assert_eq!(world.due(200), [], "a startup probe succeeds once");

    let mut world = World::new(json!({"startupProbe": {"failureThreshold": 2}}));
    world.bad(100, Kind::Startup);
    assert!(world.bad(110, Kind::Startup));
    assert_eq!(world.shown(), (false, false, Some(Kind::Startup)));
    assert_eq!(world.due(1_000), [], "it is to be stopped, not asked");
}

#[test]
fn liveness_fails_the_instance_and_the_next_one_begins_alive() {
    let mut world = World::new(json!({"livenessProbe": {}, "readinessProbe": {}}));
    assert_eq!(world.shown(), (true, false, None));
    for second in [100, 110] {
        assert!(!world.bad(second, Kind::Liveness));
    }
    assert!(world.bad(120, Kind::Liveness));
    assert_eq!(world.shown(), (true, false, Some(Kind::Liveness)));
    world.runs("j", 130);
    assert_eq!(world.shown(), (true, false, None));
    // An answer about the instance before says nothing.
    let late = Answer::Failure("old".into());
    for _ in 0..5 {
        assert!(!world.answer_of("i", 131, Kind::Liveness, &late));
    }
    assert_eq!(world.shown(), (true, false, None));
    world.probes.sync(&world.pod, &BTreeMap::new());
    assert!(world.probes.0.is_empty(), "what has ended is forgotten");
}

#[test]
fn what_cannot_be_asked_says_nothing() {
    let probe = json!({"failureThreshold": 1});
    let mut world = World::new(json!({"livenessProbe": probe}));
    let error = Answer::Error("no such port".into());
    assert_eq!(world.due(100), [Kind::Liveness]);
    assert!(!world.answer_of("i", 100, Kind::Liveness, &error));
    assert_eq!(world.shown(), (true, true, None));
    assert!(world.bad(110, Kind::Liveness));
}

#[test]
fn a_container_that_ends_is_asked_only_whether_it_is_ready() {
    let mut world = World::new(json!({"livenessProbe": {}, "readinessProbe": {}}));
    world.ending = true;
    assert_eq!(world.due(100), [Kind::Readiness]);
    let mut world = World::new(json!({"startupProbe": {}, "readinessProbe": {}}));
    world.ending = true;
    assert_eq!((world.due(100), world.next()), (vec![], None));
}
