//! What the agent of a node writes again and again is checked in one pass, however long its lists are.

use super::*;

const MANY: usize = 50_000;

#[test]
fn many_drivers_on_a_node() {
    let drivers = |id: &str| {
        let driver =
            |at| json!({"name": format!("d{at}.example.com"), "nodeID": id, "topologyKeys": null});
        global(json!({"spec": {"drivers": (0..MANY).map(driver).collect::<Vec<_>>()}}))
    };
    let resource = of("storage.k8s.io/v1", "CSINode");
    assert_eq!(update(resource, &drivers("n"), &drivers("n")), []);
    let found = update(resource, &drivers("m"), &drivers("n"));
    assert_eq!(found.len(), MAX_ERRORS);
}

#[test]
fn many_containers_that_ended() {
    let pod = |state: &Value| {
        let names = || (0..MANY).map(|at| format!("c{at}"));
        let status = |name| json!({"name": name, "state": state});
        let container = |name| json!({"name": name});
        object(json!({
            "spec": {"restartPolicy": "Always", "containers": names().map(container).collect::<Vec<_>>()},
            "status": {"containerStatuses": names().map(status).collect::<Vec<_>>()},
        }))
    };
    let ended = pod(&json!({"terminated": {"exitCode": 0}}));
    let running = pod(&json!({"running": {}}));
    assert_eq!(status_update(core("Pod"), &running, &ended), []);
    let mut never = ended.clone();
    never["spec"]["restartPolicy"] = json!("Never");
    let found = status_update(core("Pod"), &running, &never);
    assert_eq!(found.len(), MAX_ERRORS);
}
