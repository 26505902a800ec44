//! Pods with sockets of their own: servers and clients in Wasm, made with kubectl.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::{Cluster, Kubectl, PATIENCE, PodSpec, eventually, repository};

const IMAGE: &str = "tcp-echo.wasm";

fn with_sample() -> Option<(Cluster, Kubectl)> {
    let cluster = Cluster::start();
    let kubectl = cluster.kubectl()?;
    cluster.push_file(&repository().join("samples/tcp-echo/tcp-echo.wasm"), IMAGE);
    Some((cluster, kubectl))
}

/// A pod that echoes, once it listens; returns its address.
fn echo(kubectl: &Kubectl, name: &str) -> String {
    kubectl.apply(&PodSpec::new(name, IMAGE).to_string());
    listening(kubectl, name, "0.0.0.0:7000");
    kubectl.field(&format!("pod/{name}"), ".status.podIP")
}

fn listening(kubectl: &Kubectl, pod: &str, address: &str) -> String {
    eventually("the pod listens", || {
        let ran = kubectl.run(&["logs", pod, "--all-containers"]);
        let line = ran.stdout.lines().find_map(|line| {
            let (_, told) = line.split_once("listening on ")?;
            told.starts_with(address).then(|| told.to_string())
        });
        line.filter(|_| ran.success)
    })
}

/// What comes back from an address, from the host.
fn ask(address: &str, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A pod that asks an address; returns what it printed.
fn ask_from_pod(kubectl: &Kubectl, name: &str, address: &str, text: &str) -> String {
    let pod = PodSpec::new(name, IMAGE).container("args", json!([address, text]));
    kubectl.apply(&pod.to_string());
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        &format!("pod/{name}"),
        "--timeout=60s",
    ]);
    kubectl.ok(&["logs", name])
}

#[test]
fn servers_in_pods_are_reached_from_the_host_and_from_pods() {
    let Some((cluster, kubectl)) = with_sample() else {
        return;
    };
    let manifest = repository().join("samples/tcp-echo/pod.yaml");
    kubectl.ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    listening(&kubectl, "tcp-echo", "0.0.0.0:7000");
    let first = kubectl.field("pod/tcp-echo", ".status.podIP");
    // Another pod with the same port.
    let second = echo(&kubectl, "second");
    assert_ne!(first, second);
    for ip in [&first, &second] {
        let address = format!("{ip}:7000");
        assert_eq!(ask(&address, "from the host").expect(ip), "from the host");
    }
    let said = ask_from_pod(&kubectl, "client", &format!("{second}:7000"), "from a pod");
    assert_eq!(said, "from a pod\n");
    let client = kubectl.field("pod/client", ".status.podIP");
    let log = kubectl.ok(&["logs", "second"]);
    let came = |log: &str, ip: &str| log.contains("a client came: ") && log.contains(ip);
    // The client's own address is seen, of which its socket prints the octets.
    assert!(
        came(&log, &client.replace('.', ", ")) || came(&log, &client),
        "{log}"
    );
    assert_eq!(kubectl.field("pod/second", ".status.phase"), "Running");

    // The address is free again once the pod is gone, and a new pod listens at once.
    kubectl.ok(&["delete", "pod", "second", "--now"]);
    assert!(ask(&format!("{second}:7000"), "x").is_err());
    let third = echo(&kubectl, "second");
    assert_eq!(ask(&format!("{third}:7000"), "x").expect("listens"), "x");
    cluster.stop();
}

#[test]
fn localhost_is_shared_by_the_containers_of_a_pod_and_hidden_from_others() {
    let Some((cluster, kubectl)) = with_sample() else {
        return;
    };
    let pod = PodSpec::new("pair", IMAGE)
        .with("/spec/restartPolicy", json!("OnFailure"))
        .with(
            "/spec/containers",
            json!([
                {"name": "server", "image": IMAGE, "env": [{"name": "LISTEN", "value": "127.0.0.1:7000"}]},
                {"name": "client", "image": IMAGE, "args": ["127.0.0.1:7000", "between us"]},
            ]),
        );
    kubectl.apply(&pod.to_string());
    eventually("the client was answered", || {
        let ended = kubectl.field(
            "pod/pair",
            ".status.containerStatuses[?(@.name==\"client\")].state.terminated.reason",
        );
        (ended == "Completed").then_some(())
    });
    assert_eq!(
        kubectl.ok(&["logs", "pair", "-c", "client"]),
        "between us\n"
    );
    // What listens on localhost answers nobody else.
    let ip = kubectl.field("pod/pair", ".status.podIP");
    assert_eq!(ask(&format!("{ip}:7000"), "x").unwrap_or_default(), "");
    cluster.stop();
}

#[test]
fn a_pod_on_the_hosts_network_has_the_hosts_sockets() {
    let Some((cluster, kubectl)) = with_sample() else {
        return;
    };
    let pod = PodSpec::new("node", IMAGE)
        .with("/spec/hostNetwork", json!(true))
        .container("env", json!([{"name": "LISTEN", "value": "127.0.0.1:0"}]));
    kubectl.apply(&pod.to_string());
    let address = listening(&kubectl, "node", "127.0.0.1:");
    assert_eq!(
        ask(&address, "to the host").expect("listens"),
        "to the host"
    );
    cluster.stop();
}

#[test]
fn names_are_the_pods_own_its_aliases_and_localhost() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let probe = repository().join("runtime/engine/tests/guests/socket-probe.wasm");
    cluster.push_file(&probe, "probe");
    let names = ["lookup named", "lookup db.example", "lookup localhost"];
    let pod = PodSpec::new("named", "probe")
        .with(
            "/spec/hostAliases",
            json!([{"ip": "10.1.2.3", "hostnames": ["db", "db.example"]}]),
        )
        .container("args", json!(names));
    kubectl.apply(&pod.to_string());
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/named",
        "--timeout=60s",
    ]);
    let ip = kubectl.field("pod/named", ".status.podIP");
    assert_eq!(
        kubectl.ok(&["logs", "named"]),
        format!("named is {ip}\ndb.example is 10.1.2.3\nlocalhost is 127.0.0.1\n")
    );
    cluster.stop();
}
