use super::*;

fn amounts(list: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    let list = list.iter();
    list.map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())))
        .collect()
}

fn asks(list: &[(&str, &str)]) -> Requests {
    Requests::read(Some(&amounts(list)))
}

fn requests(cpu: &str, memory: &str) -> Requests {
    asks(&[("cpu", cpu), ("memory", memory)])
}

fn room() -> Room {
    let gpu = ("example.com/gpu", "1");
    Room::new(&amounts(&[
        ("cpu", "4"),
        ("memory", "100"),
        ("pods", "3"),
        gpu,
    ]))
}

/// Whether anybody was told that there is more.
fn told(inbox: &Inbox) -> bool {
    use futures::FutureExt as _;
    inbox.next().now_or_never().is_some_and(|news| news.room)
}

#[test]
fn a_pod_gets_what_the_others_leave() {
    let room = room();
    let inbox = Arc::new(Inbox::default());
    room.hold("a", requests("3", "10"));
    room.hold("b", requests("500m", "10"));
    let refused = |wanted: Requests| {
        let refusal = room.ask("b", wanted, &inbox).unwrap_err();
        (refusal.reason(), refusal.message())
    };
    let message = "Node didn't have enough capacity: memory, requested: 101, capacity: 100";
    assert_eq!(
        refused(requests("5", "101")),
        ("Infeasible", message.to_owned())
    );
    let message =
        "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000";
    assert_eq!(
        refused(requests("2", "20")),
        ("Deferred", message.to_owned())
    );
    room.release("a");
    assert!(told(&inbox), "it is told that there is more");
    assert_eq!(room.ask("b", requests("2", "20"), &inbox), Ok(()));
}

#[test]
fn those_who_wait_are_told_when_there_is_enough() {
    let room = room();
    let (inbox, other) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    room.hold("a", requests("2", "10"));
    room.hold("b", requests("1", "10"));
    room.hold("c", requests("1", "10"));
    room.ask("c", requests("3", "10"), &inbox).unwrap_err();
    room.ask("a", requests("2", "20"), &other).unwrap();
    assert!(!told(&inbox), "one that took more gives nothing");
    room.ask("a", requests("1500m", "20"), &other).unwrap();
    assert!(!told(&inbox), "it is not enough");
    room.release("b");
    assert!(!told(&inbox), "nor now");
    room.ask("a", requests("1", "20"), &other).unwrap();
    assert!(told(&inbox));
    room.ask("c", requests("3", "10"), &inbox).unwrap();
    room.release("a");
    assert!(!told(&inbox), "it waits no more");
}

#[test]
fn new_pods_are_let_in_while_there_is_room() {
    let room = room();
    let refused = |wanted: Requests| {
        let shortage = room.admit("x", wanted).unwrap_err();
        (shortage.reason(), shortage.message())
    };
    let message = |text: &str| format!("Node didn't have enough resource: {text}");
    room.admit("a", requests("3", "60")).unwrap();
    let cpu = message("cpu, requested: 1001, used: 3000, capacity: 4000");
    assert_eq!(refused(requests("1001m", "50")), ("OutOfcpu".into(), cpu));
    let memory = message("memory, requested: 50, used: 60, capacity: 100");
    assert_eq!(refused(requests("1", "50")), ("OutOfmemory".into(), memory));
    let gpu = message("example.com/gpu, requested: 2, used: 0, capacity: 1");
    let two = asks(&[
        ("example.com/gpu", "2"),
        ("example.com/of-the-cluster", "9"),
    ]);
    assert_eq!(refused(two), ("OutOfexample.com/gpu".into(), gpu));
    let pages = message("hugepages-2Mi, requested: 1, used: 0, capacity: 0");
    let one = asks(&[("hugepages-2Mi", "1")]);
    assert_eq!(refused(one), ("OutOfhugepages-2Mi".into(), pages));
    // What was refused takes nothing.
    room.admit(
        "b",
        asks(&[("cpu", "1"), ("example.com/of-the-cluster", "9")]),
    )
    .unwrap();
    // One that asks for nothing fits into a node that is full, as long as it takes pods.
    room.admit("c", Requests::default()).unwrap();
    let pods = message("pods, requested: 1, used: 3, capacity: 3");
    assert_eq!(refused(Requests::default()), ("OutOfpods".into(), pods));
    room.release("c");
    room.admit("d", Requests::default()).unwrap();
}

#[test]
fn pods_that_a_list_does_not_show_have_gone() {
    let room = room();
    let inbox = Arc::new(Inbox::default());
    room.hold("a", requests("3", "10"));
    room.hold("b", requests("1", "10"));
    room.ask("b", requests("2", "10"), &inbox).unwrap_err();
    room.keep(&["b".to_owned(), "new".to_owned()].into());
    assert_eq!(
        ["a", "b", "new"].map(|uid| room.holds(uid)),
        [false, true, false]
    );
    assert!(told(&inbox));
}

#[test]
fn the_whole_follows_what_the_node_says() {
    let room = room();
    let (inbox, other) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    room.admit("a", requests("3", "10")).unwrap();
    room.ask("a", requests("5", "10"), &inbox).unwrap_err();
    let node =
        |cpu: &str, memory: &str| amounts(&[("cpu", cpu), ("memory", memory), ("pods", "3")]);
    // What is less is so only when it was told.
    room.raise_whole(&node("6", "10"));
    assert!(told(&inbox), "what could never be can be now");
    room.ask("a", requests("5", "10"), &inbox).unwrap();
    room.admit("b", requests("1", "50")).unwrap();
    room.ask("b", requests("2", "50"), &other).unwrap_err();
    room.set_whole(&node("4", "10"));
    assert!(told(&other));
    assert!(room.holds("a") && room.holds("b"), "nobody goes for it");
    assert_eq!(
        room.admit("c", requests("1m", "0")).unwrap_err().resource,
        "cpu"
    );
    room.set_whole(&node("4", "10"));
    assert!(!told(&other), "it is as before");
    room.admit("c", Requests::default()).unwrap();
    room.release("a");
    room.ask("b", requests("2", "5"), &other).unwrap();
}
