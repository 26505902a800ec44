//! Guests that misbehave: their own pod shows it, everything else goes on.

use serde_json::json;

use crate::support::{Cluster, Guest, Kubectl, PodSpec, eventually};

struct Village {
    cluster: Cluster,
    kubectl: Kubectl,
}

impl Village {
    /// A cluster with a good neighbour in it.
    fn start() -> Option<Self> {
        let cluster = Cluster::start();
        let kubectl = cluster.kubectl()?;
        cluster.push(Guest::Sleep, "sleep");
        let neighbour =
            PodSpec::new("neighbour", "sleep").with("/spec/restartPolicy", json!("Always"));
        kubectl.apply(&neighbour.to_string());
        kubectl.ok(&[
            "wait",
            "--for=condition=Ready",
            "pod/neighbour",
            "--timeout=60s",
        ]);
        Some(Self { cluster, kubectl })
    }

    fn run(&self, name: &str, guest: Guest) -> PodSpec {
        self.cluster.push(guest, name);
        PodSpec::new(name, name)
    }

    /// The terminated state of the pod's container, once it has one.
    fn ended(&self, pod: &PodSpec, name: &str) -> serde_json::Value {
        self.kubectl.apply(&pod.to_string());
        eventually("the guest ends", || {
            let state = self.kubectl.field(
                &format!("pod/{name}"),
                ".status.containerStatuses[0].state.terminated",
            );
            serde_json::from_str(&state).ok()
        })
    }

    /// What the pod's container waits for, once that has the reason.
    fn waits(&self, pod: &PodSpec, name: &str, reason: &str) -> String {
        self.kubectl.apply(&pod.to_string());
        let message = eventually(reason, || {
            let state = self.kubectl.field(
                &format!("pod/{name}"),
                ".status.containerStatuses[0].state.waiting",
            );
            let state: serde_json::Value = serde_json::from_str(&state).ok()?;
            (state["reason"] == reason)
                .then(|| state["message"].as_str().unwrap_or_default().to_string())
        });
        eventually("an event", || {
            self.kubectl
                .ok(&["describe", "pod", name])
                .contains("Warning")
                .then_some(())
        });
        message
    }

    /// Nobody else has noticed anything.
    fn check_on_neighbour(self) {
        let restarts = self
            .kubectl
            .field("pod/neighbour", ".status.containerStatuses[0].restartCount");
        assert_eq!(restarts, "0");
        assert!(
            self.kubectl
                .ok(&["get", "pod", "neighbour"])
                .contains("1/1")
        );
        self.cluster.push(Guest::Hello, "hello");
        let after = self.ended(&PodSpec::new("after", "hello"), "after");
        assert_eq!(after["exitCode"], 0);
        self.cluster.stop();
    }
}

#[test]
fn traps_exit_codes_and_memory() {
    let Some(village) = Village::start() else {
        return;
    };
    let seven = village.ended(&village.run("seven", Guest::Exit(7)), "seven");
    assert_eq!(
        (&seven["exitCode"], &seven["reason"]),
        (&json!(7), &json!("Error"))
    );
    let high = village.ended(&village.run("high", Guest::Exit(200)), "high");
    assert_eq!(high["exitCode"], 200);
    let trap = village.ended(&village.run("trap", Guest::Trap), "trap");
    assert_eq!(trap["reason"], "Error");
    assert!(
        trap["message"]
            .as_str()
            .is_some_and(|text| text.contains("unreachable")),
        "{trap}"
    );
    let stack = trap["message"].as_str().unwrap_or_default();
    assert!(stack.contains("at broken_on_purpose"), "{trap}");
    assert_eq!(trap["exitCode"], 134);
    let hog = village
        .run("hog", Guest::Hog)
        .container("resources", json!({"limits": {"memory": "16Mi"}}));
    let hog = village.ended(&hog, "hog");
    assert_eq!(
        (&hog["exitCode"], &hog["reason"]),
        (&json!(137), &json!("OOMKilled"))
    );
    village.check_on_neighbour();
}

#[test]
fn deadlines_and_signals() {
    let Some(village) = Village::start() else {
        return;
    };
    // Told by its deadline to end: one guest sees it and ends by itself, another does not know how.
    // By SIGTERM, or by the signal its container names.
    for (name, guest, signal, code) in [
        ("graceful", Guest::Graceful, "", 15),
        ("deaf", Guest::Spin, "", 143),
        ("graceful-usr1", Guest::Graceful, "SIGUSR1", 10),
        ("deaf-rt", Guest::Spin, "SIGRTMIN+1", 163),
    ] {
        let mut pod = village.run(name, guest);
        if !signal.is_empty() {
            pod = pod
                .container("lifecycle", json!({"stopSignal": signal}))
                .with("/spec/os", json!({"name": "linux"}));
        }
        let pod = pod
            .with("/spec/activeDeadlineSeconds", json!(2))
            .with("/spec/terminationGracePeriodSeconds", json!(20));
        assert_eq!(village.ended(&pod, name)["exitCode"], code, "{name}");
        let pod = format!("pod/{name}");
        assert_eq!(village.kubectl.field(&pod, ".status.phase"), "Failed");
        let reason = village.kubectl.field(&pod, ".status.reason");
        assert_eq!(reason, "DeadlineExceeded");
        let told = ".status.containerStatuses[0].stopSignal";
        assert_eq!(village.kubectl.field(&pod, told), signal);
    }
    village.check_on_neighbour();
}

#[test]
fn loops_floods_and_open_files() {
    let Some(village) = Village::start() else {
        return;
    };
    for (name, guest) in [("spin", Guest::Spin), ("flood", Guest::Flood)] {
        village.kubectl.apply(&village.run(name, guest).to_string());
        village.kubectl.ok(&[
            "wait",
            "--for=condition=Ready",
            &format!("pod/{name}"),
            "--timeout=60s",
        ]);
    }
    let files = village
        .run("files", Guest::OpenFiles)
        .container(
            "volumeMounts",
            json!([{"name": "data", "mountPath": "/data"}]),
        )
        .with("/spec/volumes", json!([{"name": "data", "emptyDir": {}}]));
    assert_eq!(
        village.ended(&files, "files")["exitCode"],
        24,
        "it is told that it has too many files"
    );
    assert_eq!(
        village.kubectl.ok(&["logs", "flood", "--tail=1"]),
        "hello guest\n"
    );
    for name in ["spin", "flood"] {
        village.kubectl.ok(&["delete", "pod", name]);
    }
    village.check_on_neighbour();
}

/// Calls that cannot succeed are no way to fill the host's log.
#[test]
fn the_hosts_log_is_not_the_guests() {
    let Some(village) = Village::start() else {
        return;
    };
    let asking = village.run("asking", Guest::NoSockets);
    let not_a_socket = 57;
    assert_eq!(village.ended(&asking, "asking")["exitCode"], not_a_socket);
    let said = village.cluster.stop();
    assert!(!said.contains("sock_shutdown"), "{said}");
}

#[test]
fn images_that_cannot_run() {
    let Some(village) = Village::start() else {
        return;
    };
    let stranger = village.run("stranger", Guest::Stranger);
    let message = village.waits(&stranger, "stranger", "CreateContainerError");
    assert!(message.contains("nowhere"), "{message}");
    let broken = village.run("broken", Guest::Broken);
    village.waits(&broken, "broken", "CreateContainerError");
    let missing = PodSpec::new("missing", "127.0.0.1:1/none:v1");
    village.waits(&missing, "missing", "ImagePullBackOff");
    let never = PodSpec::new("never", "not-here").container("imagePullPolicy", json!("Never"));
    village.waits(&never, "never", "ErrImageNeverPull");
    let invalid = PodSpec::new("invalid", "NOT VALID!");
    let refused = village
        .kubectl
        .with_input(&["apply", "-f", "-"], &invalid.to_string());
    if refused.success {
        village.waits(&invalid, "invalid", "InvalidImageName");
    }
    village.check_on_neighbour();
}
