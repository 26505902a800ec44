//! Important pods take the room of others.

use super::*;

fn important(mut pod: Pod, priority: i32) -> Pod {
    let spec = pod.spec.as_mut().expect("a spec");
    spec.priority = Some(priority);
    spec.scheduler_name = Some("default-scheduler".to_string());
    pod
}

async fn settled(state: &mut State, writer: impl Future<Output = ()>) {
    while state.notes.join_next().await.is_some() {}
    while let Some(ended) = state.evictions.join_next().await {
        state.evicted(ended);
    }
    let written = tokio::time::timeout(std::time::Duration::from_secs(1), writer);
    written.await.expect_err("the writer waits for more");
}

#[tokio::test(start_paused = true)]
async fn an_important_pod_gets_the_room_of_another() {
    let (client, got) = server();
    let (events, writer) = Events::new(client.clone());
    let mut state = state(client, events);
    state.take(on_node(pod("low", "1", "2")));
    state.take(important(pod("high", "2", "2"), 10));
    state.try_all();
    assert_eq!(state.snapshot.nominated.node_of(&key("high")), Some("n"));
    settled(&mut state, writer).await;
    let requests = got.lock().expect("nobody panicked").clone();
    let find = |method: &str, end: &str| {
        let mut found = requests
            .iter()
            .filter(|(m, path, _)| m == method && path.ends_with(end));
        let one = found
            .next()
            .unwrap_or_else(|| panic!("{method} {end}: {requests:?}"));
        assert!(found.next().is_none(), "{method} {end} twice");
        &one.2
    };
    let told = find("PATCH", "/pods/low/status");
    assert_eq!(told["metadata"]["uid"], "1");
    let condition = &told["status"]["conditions"][0];
    assert_eq!(
        (
            &condition["type"],
            &condition["reason"],
            &condition["message"]
        ),
        (
            &json!("DisruptionTarget"),
            &json!("PreemptionByScheduler"),
            &json!("default-scheduler: preempting to accommodate a higher priority pod")
        )
    );
    let deleted = find("DELETE", "/pods/low");
    assert_eq!(deleted["preconditions"]["uid"], "1");
    let noted = find("PATCH", "/pods/high/status");
    assert_eq!(noted["status"]["nominatedNodeName"], "n");
    let why = "0/1 nodes are available: 1 Insufficient cpu.";
    assert_eq!(noted["status"]["conditions"][0]["message"], why);
    let events = requests
        .iter()
        .filter(|(_, path, _)| path.ends_with("/events"));
    let event = events
        .map(|(_, _, body)| body)
        .find(|body| body["reason"] == "Preempted");
    let event = event.expect("an event");
    assert_eq!(event["note"], "Preempted by pod 2 on node n");
    assert_eq!(
        (&event["type"], &event["action"]),
        (&json!("Normal"), &json!("Preempting"))
    );
    assert_eq!(
        (&event["regarding"]["name"], &event["related"]["name"]),
        (&json!("low"), &json!("high"))
    );
    // The room is kept for it, and nobody else has it in the meantime.
    state.pod_event(Ok(Event::Delete(on_node(pod("low", "1", "2")))));
    state.take(important(pod("quick", "3", "1"), 5));
    state.try_all();
    assert!(state.assumed.is_empty());
    state
        .queue
        .wake(Instant::now() + std::time::Duration::from_secs(10));
    state.try_all();
    assert!(state.assumed.contains_key(&key("high")));
    assert_eq!(state.snapshot.nominated.node_of(&key("high")), None);
    // What it says of itself until the watch shows it bound changes nothing.
    let mut known = important(pod("high", "2", "2"), 10);
    known.status.get_or_insert_default().nominated_node_name = Some("n".to_string());
    state.take(known);
    assert_eq!(state.snapshot.nominated.node_of(&key("high")), None);
}

#[tokio::test(start_paused = true)]
async fn who_is_on_its_way_is_turned_back() {
    let (client, got) = server();
    let (events, writer) = Events::new(client.clone());
    let mut state = state(client, events);
    let claim = claim("c", "Pending");
    state.snapshot.volumes.claim_event(Event::Apply(claim));
    state.take(with_claim(pod("low", "1", "2"), "c"));
    state.try_all();
    assert!(state.assumed.contains_key(&key("low")));
    state.take(important(pod("high", "2", "2"), 10));
    state.try_all();
    assert!(state.assumed.is_empty());
    state.next_bound().await;
    settled(&mut state, writer).await;
    {
        let requests = got.lock().expect("nobody panicked");
        assert!(
            requests.iter().all(|(method, _, _)| method != "DELETE"),
            "{requests:?}"
        );
        let note = "Preempted by pod 2 on node n (in kube-scheduler memory).";
        assert!(
            requests.iter().any(|(_, _, body)| body["note"] == note),
            "{requests:?}"
        );
    }
    state
        .queue
        .wake(Instant::now() + std::time::Duration::from_secs(10));
    state.try_all();
    assert!(state.assumed.contains_key(&key("high")));
    assert!(!state.assumed.contains_key(&key("low")));
}

#[tokio::test(start_paused = true)]
async fn who_may_be_bound_already_is_deleted() {
    let (client, got) = server();
    let (events, writer) = Events::new(client.clone());
    let mut state = state(client, events);
    state.take(pod("low", "1", "2"));
    state.try_all();
    let has = |method: &str, end: &str| {
        let requests = got.lock().expect("nobody panicked");
        requests
            .iter()
            .any(|(m, path, _)| m == method && path.ends_with(end))
    };
    while !has("POST", "/pods/low/binding") {
        tokio::task::yield_now().await;
    }
    state.take(important(pod("high", "2", "2"), 10));
    state.try_all();
    // Until it is gone, the room is its own.
    assert!(state.assumed.contains_key(&key("low")));
    assert_eq!(state.cpu_taken(), 2000);
    state.next_bound().await;
    settled(&mut state, writer).await;
    assert!(has("DELETE", "/pods/low"));
    let requests = got.lock().expect("nobody panicked");
    let note = "Preempted by pod 2 on node n";
    assert!(
        requests.iter().any(|(_, _, body)| body["note"] == note),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_nomination_ends_with_its_pod_or_its_hope() {
    let (client, _got) = server();
    let (events, _writer) = Events::new(client.clone());
    let mut state = state(client, events);
    let nominated = |pod: Pod, node: &str| {
        let mut pod = important(pod, 10);
        let status = pod.status.get_or_insert_default();
        status.nominated_node_name = Some(node.to_string());
        pod
    };
    let of = |state: &State, name: &str| {
        let node = state.snapshot.nominated.node_of(&key(name));
        node.map(str::to_string)
    };
    let gone = nominated(pod("gone", "1", "2"), "n");
    state.take(gone.clone());
    assert_eq!(of(&state, "gone").as_deref(), Some("n"));
    state.pod_event(Ok(Event::Delete(gone)));
    assert_eq!(of(&state, "gone"), None);
    // Somebody else took the word back.
    state.take(nominated(pod("told", "2", "2"), "n"));
    state.take(important(pod("told", "2", "2"), 10));
    assert_eq!(of(&state, "told"), None);
    state.pod_event(Ok(Event::Delete(pod("told", "2", "2"))));
    // It will never fit.
    state.take(nominated(pod("large", "3", "200"), "n"));
    state.try_all();
    assert_eq!(of(&state, "large"), None);
}
