mod room;

use std::sync::Mutex;

use kube::client::Body;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::*;

/// Requests a server got: method, path and body.
type Got = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A server that does whatever it is asked.
fn server() -> (kube::Client, Got) {
    let got = Got::default();
    let log = Arc::clone(&got);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let log = Arc::clone(&log);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let path = parts.uri.path().to_string();
            let entry = (parts.method.to_string(), path, body);
            log.lock().expect("nobody panicked").push(entry);
            let answer = Body::from(br#"{"metadata": {"resourceVersion": "5"}}"#.to_vec());
            Ok::<_, tower::BoxError>(http::Response::new(answer))
        }
    });
    (kube::Client::new(service, "default"), got)
}

/// A scheduler that knows one node with two CPUs and room for a thousand pods.
fn state(client: kube::Client, events: Events) -> State {
    let mut state = State::new(client, SchedulerConfig::default(), events);
    state.synced = (true, true);
    state.listed_beside = [true; KINDS_BESIDE];
    let node = json!({
        "metadata": {"name": "n"},
        "status": {"allocatable": {"cpu": "2", "pods": "1000"},
                   "conditions": [{"type": "Ready", "status": "True"}]},
    });
    state.node_event(Ok(Event::Apply(
        serde_json::from_value(node).expect("a node"),
    )));
    let class = json!({"metadata": {"name": "late"}, "provisioner": "nobody",
        "volumeBindingMode": "WaitForFirstConsumer"});
    let class = serde_json::from_value(class).expect("a class");
    state.snapshot.volumes.class_event(Event::Apply(class));
    state
}

fn claim(name: &str, phase: &str) -> k8s_openapi::api::core::v1::PersistentVolumeClaim {
    let claim = json!({"metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"storageClassName": "late", "accessModes": ["ReadWriteMany"]},
        "status": {"phase": phase}});
    serde_json::from_value(claim).expect("a claim")
}

fn pod(name: &str, uid: &str, cpu: &str) -> Pod {
    let container = json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
    let pod = json!({"metadata": {"name": name, "namespace": "default", "uid": uid},
        "spec": {"containers": [container]}});
    serde_json::from_value(pod).expect("a pod")
}

fn with_claim(mut pod: Pod, name: &str) -> Pod {
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": name}}]);
    let volumes = serde_json::from_value(volumes).expect("volumes");
    pod.spec.as_mut().expect("a spec").volumes = Some(volumes);
    pod
}

fn on_node(mut pod: Pod) -> Pod {
    pod.spec.as_mut().expect("a spec").node_name = Some("n".to_string());
    pod
}

fn key(name: &str) -> PodKey {
    PodKey {
        namespace: "default".to_string(),
        name: name.to_string(),
    }
}

impl State {
    fn take(&mut self, pod: Pod) {
        self.pod_event(Ok(Event::Apply(pod)));
    }

    async fn next_bound(&mut self) {
        let ended = self.bindings.join_next().await;
        self.bound(ended.expect("a binding is under way"));
    }

    fn cpu_taken(&self) -> i128 {
        let nodes = self.snapshot.nodes();
        nodes.map(|node| node.requested.get("cpu")).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn claims_that_get_no_volume_keep_nobody_else_waiting() {
    let (client, got) = server();
    let (events, _writer) = Events::new(client.clone());
    let mut state = state(client, events);
    for at in 0..3 * MAX_BINDINGS {
        let name = format!("claim-{at}");
        let (claim, pod) = (claim(&name, "Pending"), pod(&name, &name, "1m"));
        state.snapshot.volumes.claim_event(Event::Apply(claim));
        state.take(with_claim(pod, &name));
    }
    state.take(pod("plain", "plain", "1m"));
    let start = tokio::time::Instant::now();
    while !state.assumed.contains_key(&key("plain")) {
        state.try_all();
        let place = Arc::clone(&state.places).acquire_owned().await;
        state.place = place.ok();
    }
    state.place = None;
    state.next_bound().await;
    assert_eq!(start.elapsed().as_secs(), 0, "no time-out was waited for");
    let bindings = || {
        let got = got.lock().expect("nobody panicked");
        let paths = got.iter().map(|(_, path, _)| path);
        let paths = paths.filter(|path| path.ends_with("/binding")).cloned();
        paths.collect::<Vec<_>>()
    };
    let path = |name: &str| format!("/api/v1/namespaces/default/pods/{name}/binding");
    assert_eq!(bindings(), [path("plain")]);
    // One that gets its volume after all is bound.
    let volumes = &mut state.snapshot.volumes;
    volumes.claim_event(Event::Apply(claim("claim-7", "Bound")));
    state.next_bound().await;
    assert_eq!(bindings(), [path("plain"), path("claim-7")]);
    // Without its claim, another waits no longer.
    let volumes = &mut state.snapshot.volumes;
    volumes.claim_event(Event::Delete(claim("claim-8", "Pending")));
    state.next_bound().await;
    assert!(!state.assumed.contains_key(&key("claim-8")));
    assert_eq!(start.elapsed().as_secs(), 0, "no time-out was waited for");
}

#[tokio::test(start_paused = true)]
async fn a_failed_binding_is_told_and_gives_its_room_back() {
    let (client, got) = server();
    let (events, writer) = Events::new(client.clone());
    let mut state = state(client, events);
    let claim = claim("c", "Pending");
    state.snapshot.volumes.claim_event(Event::Apply(claim));
    state.take(with_claim(pod("p", "1", "2"), "c"));
    state.take(pod("waits", "2", "2"));
    state.try_all();
    state.queue.wake(Instant::now());
    assert_eq!(state.queue.pending().unschedulable, 1);
    // What changes meanwhile counts for the next try.
    let mut changed = with_claim(pod("p", "1", "2"), "c");
    changed.metadata.labels = Some([("a".to_string(), "b".to_string())].into());
    state.take(changed);
    state.next_bound().await;
    assert_eq!(state.cpu_taken(), 0);
    state.queue.wake(Instant::now());
    assert_eq!(state.queue.pending().unschedulable, 0);
    let newest = state.queue.get(&key("p")).expect("it waits");
    assert!(newest.metadata.labels.is_some());
    while state.notes.join_next().await.is_some() {}
    let written = tokio::time::timeout(std::time::Duration::from_secs(1), writer);
    written.await.expect_err("the writer waits for more");
    let got = got.lock().expect("nobody panicked");
    let why =
        "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
    let noted = got.iter().any(|(_, path, body)| {
        let condition = &body["status"]["conditions"][0];
        path.ends_with("/pods/p/status")
            && condition["reason"] == "SchedulerError"
            && condition["message"] == why
    });
    assert!(noted, "{got:?}");
    let told = |(_, _, body): &&(String, String, Value)| {
        body["reason"] == "FailedScheduling" && body["regarding"]["name"] == "p"
    };
    let event = &got.iter().find(told).expect("an event").2;
    assert_eq!(event["note"], why);
    assert_eq!(event["action"], "Scheduling");
}

#[tokio::test(start_paused = true)]
async fn a_refused_claim_is_told_at_once() {
    let (client, got) = server();
    let (events, _writer) = Events::new(client.clone());
    let mut state = state(client, events);
    let news = |state: &mut State, name: &str, version: &str| {
        let mut claim = claim(name, "Pending");
        claim.metadata.resource_version = Some(version.to_string());
        state.snapshot.volumes.claim_event(Event::Apply(claim));
    };
    for name in ["waits", "refused"] {
        news(&mut state, name, "3");
        state.take(with_claim(pod(name, name, "1m"), name));
    }
    state.try_all();
    assert_eq!(state.assumed.len(), 2);
    // The node is named by version 5: what was before says nothing, and that it is named no more says all.
    news(&mut state, "waits", "4");
    news(&mut state, "refused", "6");
    let start = tokio::time::Instant::now();
    state.next_bound().await;
    assert_eq!(start.elapsed().as_secs(), 0, "no time-out was waited for");
    assert!(!state.assumed.contains_key(&key("refused")));
    assert!(state.assumed.contains_key(&key("waits")));
    while state.notes.join_next().await.is_some() {}
    let got = got.lock().expect("nobody panicked");
    let why = "running PreBind plugin \"VolumeBinding\": binding volumes: provisioning failed for PVC \"refused\"";
    let noted = got.iter().any(|(_, path, body)| {
        path.ends_with("/pods/refused/status") && body["status"]["conditions"][0]["message"] == why
    });
    assert!(noted, "{got:?}");
}

#[tokio::test(start_paused = true)]
async fn pods_that_share_a_claim_go_where_its_volume_is_made() {
    let (client, _got) = server();
    let (events, _writer) = Events::new(client.clone());
    let mut state = state(client, events);
    let node = json!({"metadata": {"name": "other"},
        "status": {"allocatable": {"cpu": "2", "pods": "1000"},
                   "conditions": [{"type": "Ready", "status": "True"}]}});
    let node = serde_json::from_value(node).expect("a node");
    state.node_event(Ok(Event::Apply(node)));
    let claim = claim("c", "Pending");
    state.snapshot.volumes.claim_event(Event::Apply(claim));
    for name in ["1", "2", "3"] {
        state.take(with_claim(pod(name, name, "500m"), "c"));
    }
    state.try_all();
    assert_eq!(state.assumed.len(), 3);
    let nodes = state.snapshot.nodes();
    let mut taken: Vec<i128> = nodes.map(|node| node.requested.get("cpu")).collect();
    taken.sort_unstable();
    assert_eq!(taken, [0, 1500]);
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_ends_late_is_not_about_another_pod_of_that_name() {
    let (client, _got) = server();
    let (events, _writer) = Events::new(client.clone());
    let mut state = state(client, events);
    let claim = claim("c", "Pending");
    state.snapshot.volumes.claim_event(Event::Apply(claim));
    let first = with_claim(pod("p", "1", "2"), "c");
    state.take(first.clone());
    state.try_all();
    state.pod_event(Ok(Event::Delete(first)));
    assert_eq!(state.cpu_taken(), 0);
    state.take(pod("p", "2", "1"));
    state.try_all();
    state.next_bound().await;
    state.take(on_node(pod("p", "2", "1")));
    // The first binding has run out of time.
    state.next_bound().await;
    assert!(state.bindings.is_empty());
    assert_eq!(state.cpu_taken(), 1000, "the second pod runs");
    assert!(state.notes.is_empty(), "nothing is said about it");
}

#[tokio::test]
async fn a_pod_that_takes_less_lets_others_in() {
    let (client, _got) = server();
    let (events, _writer) = Events::new(client.clone());
    let mut state = state(client, events);
    state.take(on_node(pod("large", "1", "2")));
    state.take(pod("waits", "2", "1"));
    // More than the node has, and another node than there is: no pod that goes helps these.
    state.take(pod("huge", "3", "9"));
    let mut choosy = pod("choosy", "4", "1");
    let selector = [("zone".to_string(), "none".to_string())];
    choosy.spec.as_mut().expect("a spec").node_selector = Some(selector.into());
    state.take(choosy);
    state.try_all();
    let waiting = |state: &mut State| {
        state.queue.wake(Instant::now());
        state.queue.pending().unschedulable
    };
    assert_eq!(waiting(&mut state), 3);
    state.take(on_node(pod("large", "1", "1")));
    assert_eq!(waiting(&mut state), 2);
    let claim = claim("c", "Pending");
    state.beside(News {
        kind: 0,
        listed: false,
        take: Box::new(|all| Some(all.volumes.claim_event(Event::Apply(claim)))),
    });
    assert_eq!(waiting(&mut state), 2, "they have no claims");
}

#[tokio::test]
async fn a_pod_waits_for_its_claim_and_not_for_a_back_off() {
    let (client, _got) = server();
    let (events, _writer) = Events::new(client.clone());
    let mut state = state(client, events);
    let mut with_volume = pod("p", "u", "1m");
    let volumes = json!([{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]);
    let volumes = serde_json::from_value(volumes).expect("volumes");
    with_volume.spec.as_mut().expect("a spec").volumes = Some(volumes);
    state.take(with_volume);
    let mut own = claim("p-v", "Pending");
    let owner =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": true}]);
    own.metadata.owner_references = serde_json::from_value(owner).expect("owners");
    // A claim whose volume is made without a node, as it is made and when it is bound, and its volume at the very last.
    let spec = own.spec.as_mut().expect("a spec");
    spec.storage_class_name = Some("now".to_string());
    let mut bound = own.clone();
    let done = (
        "pv.kubernetes.io/bind-completed".to_string(),
        "yes".to_string(),
    );
    bound.metadata.annotations = Some([done].into());
    bound.spec.as_mut().expect("a spec").volume_name = Some("pv".to_string());
    let volume = json!({"metadata": {"name": "pv"}, "spec": {"claimRef": {"namespace": "default", "name": "p-v"}}});
    let volume = serde_json::from_value(volume).expect("a volume");
    // No time passes in between: who is tried again has waited for no clock.
    for claim in [claim("other", "Pending"), own, bound] {
        state.try_all();
        let change = state.snapshot.volumes.claim_event(Event::Apply(claim));
        state.queue.changed(&change);
        state.try_all();
        assert!(state.assumed.is_empty());
    }
    let change = state.snapshot.volumes.volume_event(Event::Apply(volume));
    state.queue.changed(&change);
    state.try_all();
    assert!(state.assumed.contains_key(&key("p")));
}
