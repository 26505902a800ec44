use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::*;
use crate::decide::decide;
use crate::testing::{cluster, pod};

/// What a pod comes to: the node and the victims, or why not.
fn outcome(snapshot: &Snapshot, incoming: &Value) -> Value {
    let incoming = pod(incoming);
    let candidate = Candidate::new(&incoming, snapshot).expect("it has no volumes");
    let error = match decide(&candidate, snapshot, 0) {
        Ok(node) => return json!({"fits": node}),
        Err(error) => error,
    };
    if let Err(why) = eligible(&incoming, snapshot, &error) {
        return json!(why);
    }
    match preempt(Some(&candidate), snapshot, &error, 0) {
        Preemption::Room { node, victims } => {
            let names: Vec<_> = victims.iter().map(|key| &key.name).collect();
            json!({node: names})
        }
        Preemption::Useless(why) | Preemption::Not(why) => json!(why),
    }
}

fn cpu(amount: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount}}}]})
}

/// Nodes have four CPUs.
fn running(on: &str, name: &str, priority: i32, amount: &str) -> Value {
    json!({"on": on, "name": name, "priority": priority, "spec": cpu(amount),
        "labels": {"app": name}})
}

fn incoming(priority: i32, amount: &str) -> Value {
    json!({"name": "new", "priority": priority, "spec": cpu(amount)})
}

#[test]
fn as_few_and_as_unimportant_as_can_be() {
    let pods = json!([
        running("a", "low", 1, "1"),
        running("a", "lower", 0, "1"),
        running("a", "middle", 5, "1"),
        running("a", "top", 10, "1"),
    ]);
    let snapshot = cluster(&json!({"a": {}}), &pods);
    for (priority, amount, expect) in [
        (7, "1", json!({"a": ["lower"]})),
        (7, "2", json!({"a": ["low", "lower"]})),
        (7, "3", json!({"a": ["middle", "low", "lower"]})),
        (
            7,
            "4",
            json!("0/1 nodes are available: 1 Insufficient cpu."),
        ),
        (
            7,
            "5",
            json!("0/1 nodes are available: 1 Preemption is not helpful for scheduling."),
        ),
        (
            0,
            "1",
            json!("0/1 nodes are available: 1 No preemption victims found for incoming pod."),
        ),
    ] {
        assert_eq!(
            outcome(&snapshot, &incoming(priority, amount)),
            expect,
            "{priority} {amount}"
        );
    }
    let mut never = incoming(7, "1");
    never["spec"]["preemptionPolicy"] = json!("Never");
    let why = "not eligible due to preemptionPolicy=Never.";
    assert_eq!(outcome(&snapshot, &never), json!(why));
}

#[test]
fn a_large_one_that_is_enough_goes_alone() {
    let pods = json!([running("a", "small", 0, "1"), running("a", "large", 0, "3")]);
    let mut snapshot = cluster(&json!({"a": {}}), &pods);
    // Of equals, the younger goes.
    assert_eq!(
        outcome(&snapshot, &incoming(1, "3")),
        json!({"a": ["large"]})
    );
    let old = json!({"startTime": "2026-01-01T00:00:00Z"});
    let mut large = running("a", "large", 0, "3");
    large["status"] = old;
    let large = pod(&large);
    snapshot.pod_bound(PodKey::of(&large), BoundPod::on("a".to_string(), &large));
    assert_eq!(
        outcome(&snapshot, &incoming(1, "1")),
        json!({"a": ["small"]})
    );
}

#[test]
fn the_node_that_loses_least() {
    let two = |a: Value, b: Value| {
        let mut pods = Vec::new();
        for (node, of_node) in [("a", a), ("b", b)] {
            for (at, (priority, amount, started)) in
                serde_json::from_value::<Vec<(i32, String, u32)>>(of_node)
                    .expect("pods")
                    .into_iter()
                    .enumerate()
            {
                let mut one = running(node, &format!("{node}{at}"), priority, &amount);
                one["status"] = json!({"startTime": format!("2026-01-01T00:00:{started:02}Z")});
                pods.push(one);
            }
        }
        let snapshot = cluster(&json!({"a": {}, "b": {}}), &json!(pods));
        outcome(&snapshot, &incoming(100, "4"))
    };
    // The most important victim decides, however many there are.
    let many = json!([[1, "1", 1], [1, "1", 1], [1, "1", 1]]);
    assert_eq!(
        two(json!([[2, "4", 1]]), many.clone()),
        json!({"b": ["b0", "b1", "b2"]})
    );
    // Then the sum of priorities.
    let most = json!([[2, "2", 1], [1, "2", 1]]);
    let least = json!([[2, "2", 1], [0, "2", 1]]);
    assert_eq!(two(most, least), json!({"b": ["b0", "b1"]}));
    // A few pods are better than many, also below zero.
    let few = json!([[-5, "4", 1]]);
    assert_eq!(
        two(json!([[-5, "2", 1], [-5, "2", 1]]), few),
        json!({"b": ["b0"]})
    );
    // Then the younger ones go.
    assert_eq!(
        two(json!([[1, "4", 1]]), json!([[1, "4", 2]])),
        json!({"b": ["b0"]})
    );
    assert_eq!(
        two(json!([[1, "4", 2]]), json!([[1, "4", 1]])),
        json!({"a": ["a0"]})
    );
}

#[test]
fn budgets_are_kept_where_they_can_be() {
    let budget = |app: &str, allowed: i32| {
        let budget = json!({"metadata": {"name": app, "namespace": "n"},
            "spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}});
        Event::Apply(serde_json::from_value(budget).expect("a budget"))
    };
    let pods = json!([
        running("a", "guarded", 0, "4"),
        running("b", "other", 5, "4")
    ]);
    let mut snapshot = cluster(&json!({"a": {}, "b": {}}), &pods);
    let new = incoming(10, "4");
    assert_eq!(outcome(&snapshot, &new), json!({"a": ["guarded"]}));
    snapshot.budgets.event(budget("guarded", 1));
    assert_eq!(outcome(&snapshot, &new), json!({"a": ["guarded"]}));
    snapshot.budgets.event(budget("guarded", 0));
    assert_eq!(outcome(&snapshot, &new), json!({"b": ["other"]}));
    snapshot.budgets.event(budget("other", 0));
    assert_eq!(outcome(&snapshot, &new), json!({"a": ["guarded"]}));
    // On one node, those with a budget are spared before more important ones.
    let pods = json!([
        running("a", "guarded", 0, "2"),
        running("a", "other", 5, "2")
    ]);
    let mut snapshot = cluster(&json!({"a": {}}), &pods);
    snapshot.budgets.event(budget("guarded", 0));
    assert_eq!(
        outcome(&snapshot, &incoming(10, "2")),
        json!({"a": ["other"]})
    );
}

#[test]
fn who_stands_in_the_way_by_where_it_runs() {
    let nodes = json!({"a": {"host": "a"}});
    let term = json!({"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "x"}}});
    let rule = |field: &str| {
        let rules = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]});
        json!({"affinity": {field: rules}})
    };
    let plain = |name: &str, app: &str, priority: i32| json!({"on": "a", "name": name, "priority": priority, "labels": {"app": app}});
    // It wants to be away from them.
    let pods = json!([plain("one", "x", 0), plain("other", "y", 0)]);
    let snapshot = cluster(&nodes, &pods);
    let new = json!({"name": "new", "priority": 1, "spec": rule("podAntiAffinity")});
    assert_eq!(outcome(&snapshot, &new), json!({"a": ["one"]}));
    // They want to be away from it.
    let mut shy = plain("shy", "y", 0);
    shy["spec"] = rule("podAntiAffinity");
    let snapshot = cluster(&nodes, &json!([shy, plain("other", "y", 0)]));
    let new = json!({"name": "new", "priority": 1, "labels": {"app": "x"}});
    assert_eq!(outcome(&snapshot, &new), json!({"a": ["shy"]}));
    // Nobody who goes brings it nearer to others.
    let snapshot = cluster(&nodes, &json!([plain("other", "y", 0)]));
    let new = json!({"name": "new", "priority": 1, "spec": rule("podAffinity")});
    let why = "0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(outcome(&snapshot, &new), json!(why));
    // And it does not take away whom it wants to be near to.
    let mut large = running("a", "x", 0, "3");
    large["labels"] = json!({"app": "x"});
    let snapshot = cluster(&nodes, &json!([large]));
    let mut new = incoming(1, "3");
    new["spec"]["affinity"] = rule("podAffinity")["affinity"].clone();
    let why = "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.";
    assert_eq!(outcome(&snapshot, &new), json!(why));
}

#[test]
fn who_makes_a_domain_too_full() {
    let nodes = json!({"a": {"zone": "a"}, "b": {"zone": "b", "taint": "full"}});
    let spread = json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "s"}}}]});
    let one = |name: &str, app: &str| json!({"on": "a", "name": name, "labels": {"app": app}});
    let snapshot = cluster(&nodes, &json!([one("s1", "s"), one("o", "o")]));
    let new = json!({"name": "new", "priority": 1, "labels": {"app": "s"}, "spec": spread});
    assert_eq!(outcome(&snapshot, &new), json!({"a": ["s1"]}));
}

#[test]
fn who_holds_the_port() {
    let port =
        json!({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}]});
    let pods = json!([
        {"on": "a", "name": "holder", "spec": port}, {"on": "a", "name": "other"},
    ]);
    let snapshot = cluster(&json!({"a": {}}), &pods);
    let new = json!({"name": "new", "priority": 1, "spec": port});
    assert_eq!(outcome(&snapshot, &new), json!({"a": ["holder"]}));
}

#[test]
fn room_that_was_made_is_left_to_whom_it_was_made_for() {
    let mut snapshot = cluster(&json!({"a": {}}), &json!([running("a", "low", 0, "1")]));
    let waiting = pod(&json!({"name": "waiting", "priority": 10, "spec": cpu("3")}));
    let key = PodKey::of(&waiting);
    snapshot
        .nominated
        .put(key, BoundPod::on("a".to_string(), &waiting));
    // Less important ones and equals have to leave it the room, but may take that of others beside it.
    let why = "0/1 nodes are available: 1 Insufficient cpu.";
    assert_eq!(outcome(&snapshot, &incoming(10, "2")), json!(why));
    assert_eq!(
        outcome(&snapshot, &incoming(10, "1")),
        json!({"a": ["low"]})
    );
    assert_eq!(outcome(&snapshot, &incoming(11, "2")), json!({"fits": "a"}));
    let itself = json!({"name": "waiting", "priority": 10, "spec": cpu("3")});
    assert_eq!(outcome(&snapshot, &itself), json!({"fits": "a"}));
}

#[test]
fn it_waits_for_those_that_go_already() {
    let condition =
        json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"});
    let mut going = running("a", "low", 0, "4");
    going["ending"] = json!(true);
    going["status"] = json!({"conditions": [condition]});
    let mut snapshot = cluster(&json!({"a": {}}), &json!([going]));
    let new = pod(&incoming(1, "4"));
    assert_eq!(outcome(&snapshot, &incoming(1, "4")), json!({"a": ["low"]}));
    snapshot
        .nominated
        .put(PodKey::of(&new), BoundPod::on("a".to_string(), &new));
    let why = "not eligible due to a terminating pod on the nominated node.";
    assert_eq!(outcome(&snapshot, &incoming(1, "4")), json!(why));
}

/// The loop that places pods does nothing else meanwhile.
#[test]
fn many_small_pods_on_many_nodes() {
    let name = |at: usize| format!("n{at}");
    let nodes: serde_json::Map<_, _> = (0..120).map(|at| (name(at), json!({}))).collect();
    let pods: Vec<Value> = (0..120 * 10)
        .map(|at| running(&name(at % 120), &format!("p{at}"), 0, "100m"))
        .collect();
    let snapshot = cluster(&json!(nodes), &json!(pods));
    // All of them are full: ten pods each.
    let chosen = outcome(&snapshot, &incoming(1, "100m"));
    let victims = chosen
        .as_object()
        .and_then(|by_node| by_node.values().next());
    assert_eq!(
        victims.and_then(Value::as_array).map(Vec::len),
        Some(1),
        "{chosen}"
    );
}

#[test]
fn who_has_a_claim_for_itself_may_have_to_go() {
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "mine"}}]);
    let spec = json!({ "volumes": volumes });
    let user =
        |priority: i32| json!({"on": "a", "name": "user", "priority": priority, "spec": spec});
    let others = [running("a", "other", 0, "1"), running("b", "far", 0, "1")];
    // Mounted twice, it is one claim.
    let again = json!({"name": "w", "persistentVolumeClaim": {"claimName": "mine"}});
    let new = json!({"name": "new", "priority": 5, "spec": {"volumes": [volumes[0], again]}});
    let used = "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.";
    for (priority, expect) in [(1, json!({"a": ["user"]})), (7, json!(used))] {
        let pods = json!([user(priority), others[0], others[1]]);
        let mut snapshot = cluster(&json!({"a": {}, "b": {}}), &pods);
        let claim = json!({"metadata": {"name": "mine", "namespace": "n",
                "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
            "spec": {"volumeName": "v", "accessModes": ["ReadWriteOncePod"]}});
        let claim = serde_json::from_value(claim).expect("a claim");
        snapshot.volumes.claim_event(Event::Apply(claim));
        let volume = serde_json::from_value(json!({"metadata": {"name": "v"}}));
        let volume = volume.expect("a volume");
        snapshot.volumes.volume_event(Event::Apply(volume));
        assert_eq!(outcome(&snapshot, &new), expect, "{priority}");
    }
}
