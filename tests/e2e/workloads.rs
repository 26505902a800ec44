//! Every kind of workload as a pod: exported functions, commands and handlers of WASI 0.3, handlers that stay warm. The
//! guests are those of the engine's tests.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Cluster, Kubectl, PATIENCE, PodSpec, eventually};

fn start(guests: &[&str]) -> Option<(Cluster, Kubectl)> {
    let cluster = Cluster::start();
    let kubectl = cluster.kubectl()?;
    for guest in guests {
        cluster.push_engine_guest(guest);
    }
    Some((cluster, kubectl))
}

fn annotated(pod: PodSpec, annotations: Value) -> PodSpec {
    pod.with("/metadata/annotations", annotations)
}

fn name_of(pod: &PodSpec) -> &str {
    pod.json()["metadata"]["name"].as_str().expect("a name")
}

/// Runs a pod to its end; gives its exit code, its log and the message of its status.
fn run(kubectl: &Kubectl, pod: &PodSpec) -> (i64, String, String) {
    let name = name_of(pod);
    kubectl.apply(&pod.to_string());
    let ended: Value = eventually("it ends", || {
        let path = ".status.containerStatuses[0].state.terminated";
        serde_json::from_str(&kubectl.field(&format!("pod/{name}"), path)).ok()
    });
    let message = ended["message"].as_str().unwrap_or_default().to_string();
    let code = ended["exitCode"].as_i64().expect("a code");
    (code, kubectl.ok(&["logs", name]), message)
}

/// What a pod's container waits for, once that is what is expected.
fn refusal(kubectl: &Kubectl, pod: &PodSpec, expected: &str) {
    kubectl.apply(&pod.to_string());
    eventually(expected, || {
        let described = kubectl.ok(&["describe", "pod", name_of(pod)]);
        described.contains(expected).then_some(())
    });
}

#[test]
fn an_exported_function_is_a_pod_and_its_result_the_log() {
    let Some((cluster, kubectl)) = start(&["functions", "component-functions"]) else {
        return;
    };
    let function = |name: &str, image: &str, command: &str, args: &[&str]| {
        PodSpec::new(name, image)
            .container("command", json!([command]))
            .container("args", json!(args))
    };
    let asked = json!({"sampan.dev/workload": "function"});

    let sum = run(
        &kubectl,
        &function("sum", "functions", "#add", &["2", "40"]),
    );
    assert_eq!(sum, (0, "42\n".to_string(), String::new()));
    let named = function("named", "functions", "add", &["2", "3"]);
    let named = run(&kubectl, &annotated(named, asked.clone()));
    assert_eq!(named, (0, "5\n".to_string(), String::new()));
    let text = function(
        "text",
        "component-functions",
        "#test:functions/strings@1.2.0#same",
        &["\"two words\""],
    );
    assert_eq!(run(&kubectl, &text).1, "\"two words\"\n");

    // What goes wrong is told by the code, the log and the status.
    let code = function("code", "functions", "#exit", &["7"]);
    assert_eq!(run(&kubectl, &code).0, 7);
    let wrong = function("wrong", "functions", "#add", &["2", "x"]);
    let (code, log, _) = run(&kubectl, &wrong);
    assert_eq!(code, 2);
    assert!(
        log.contains("argument 2 is \"x\", which is no i32"),
        "{log}"
    );
    let zero = function("zero", "functions", "#divide", &["1", "0"]);
    let (code, log, message) = run(&kubectl, &zero);
    assert_eq!(code, 134);
    assert!(log.contains("integer divide by zero"), "{log}");
    assert!(message.contains("integer divide by zero"), "{message}");

    let absent = function("absent", "functions", "#subtract", &[]);
    let why = "the module exports none of a function subtract; its exports: ";
    refusal(&kubectl, &absent, why);
    let mistaken = function("mistaken", "functions", "add", &[]);
    let mistaken = annotated(mistaken, json!({"sampan.dev/workload": "lambda"}));
    let why = "annotation sampan.dev/workload is \"lambda\"; it must be command, http or function";
    refusal(&kubectl, &mistaken, why);
    cluster.stop();
}

#[test]
fn a_function_of_a_file_in_a_root_filesystem() {
    let Some((cluster, kubectl)) = start(&[]) else {
        return;
    };
    let root = cluster.folder.path().join("root");
    std::fs::create_dir_all(root.join("lib")).expect("a folder");
    let module = cluster.engine_guest("functions");
    std::fs::copy(module, root.join("lib/math.wasm")).expect("copy");
    cluster.push_file(&root, "math:v1");
    for (name, command, annotations) in [
        ("plain", "/lib/math.wasm#add", json!({})),
        (
            "asked",
            "/lib/math.wasm#add",
            json!({"sampan.dev/workload": "function"}),
        ),
    ] {
        let pod = PodSpec::new(name, "math:v1").container("command", json!([command, "20", "22"]));
        let ran = run(&kubectl, &annotated(pod, annotations));
        assert_eq!(ran, (0, "42\n".to_string(), String::new()), "{name}");
    }
    cluster.stop();
}

#[test]
fn a_command_of_wasi_0_3() {
    let Some((cluster, kubectl)) = start(&["p3-command"]) else {
        return;
    };
    // By the number of its arguments it ends well, with an error, with a code, or traps.
    for (args, code) in [(0, 0), (1, 1), (2, 42), (3, 134)] {
        let name = format!("with-{args}");
        let pod = PodSpec::new(&name, "p3-command").container("args", json!(vec!["x"; args]));
        let (ended, log, message) = run(&kubectl, &pod);
        assert_eq!(ended, code, "{log}");
        assert!(log.starts_with("hello from p3\n"), "{log}");
        assert_eq!(message.contains("unreachable"), code == 134, "{message}");
    }
    let told = kubectl.ok(&["describe", "pod", "with-0"]);
    assert!(told.contains("sampan.dev/capabilities: main="), "{told}");
    cluster.stop();
}

/// The status and the body of a GET.
fn get(address: &str, path: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok((status.to_string(), body.to_string()))
}

/// Makes a pod that answers, and gives its address.
fn serve(kubectl: &Kubectl, pod: &PodSpec) -> String {
    let name = format!("pod/{}", name_of(pod));
    kubectl.apply(&pod.to_string());
    kubectl.ok(&["wait", "--for=condition=Ready", &name, "--timeout=60s"]);
    format!("{}:8080", kubectl.field(&name, ".status.podIP"))
}

#[test]
fn a_service_of_wasi_0_3_answers_and_tells_of_traps() {
    let Some((cluster, kubectl)) = start(&["p3-http-handler"]) else {
        return;
    };
    let address = serve(&kubectl, &PodSpec::new("service", "p3-http-handler"));
    let (status, body) = get(&address, "/").expect("an answer");
    assert_eq!(status, "200");
    assert!(body.contains("hello\n"), "{body}");
    let (status, _) = get(&address, "/t").expect("an answer");
    assert_eq!(status, "500");
    eventually("the trap is in the log", || {
        let log = kubectl.ok(&["logs", "service"]);
        log.contains("a request failed: wasm trap: ").then_some(())
    });
    // One request's trap is no other's.
    assert_eq!(get(&address, "/").expect("an answer").0, "200");
    let restarts = ".status.containerStatuses[0].restartCount";
    assert_eq!(kubectl.field("pod/service", restarts), "0");
    cluster.stop();
}

/// How many requests the instance that answers was given, this one included.
fn count(address: &str) -> u32 {
    let (status, body) = get(address, "/n").expect("an answer");
    assert_eq!(status, "200");
    let (before, _) = body.split_once(" req").expect("a count");
    let digit = before.chars().last().and_then(|digit| digit.to_digit(10));
    digit.expect("a digit")
}

#[test]
fn a_handler_stays_warm_if_its_pod_asks_for_it() {
    let guests = ["http-handler", "p3-http-handler"];
    let Some((cluster, kubectl)) = start(&guests) else {
        return;
    };
    for guest in guests {
        let fresh = serve(&kubectl, &PodSpec::new(&format!("{guest}-fresh"), guest));
        let counts: Vec<u32> = (0..5).map(|_| count(&fresh)).collect();
        assert_eq!(counts, [1; 5], "{guest}");

        let warm = PodSpec::new(&format!("{guest}-warm"), guest);
        let asked = json!({
            "sampan.dev/requests-per-instance": "3",
            "sampan.dev/idle-instance-timeout": "10m",
        });
        let warm = serve(&kubectl, &annotated(warm, asked));
        // A response is there a moment before its instance is free again, so a request may find a fresh one.
        let mut counts = Vec::new();
        eventually("an instance answers as often as it may", || {
            counts.push(count(&warm));
            counts.contains(&3).then_some(())
        });
        counts.extend((0..5).map(|_| count(&warm)));
        assert!(counts.iter().all(|&count| count <= 3), "{counts:?}");
    }
    cluster.stop();
}
