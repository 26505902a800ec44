//! Tables over the pure core: a pod, the outcomes so far, and what the plan then is.

mod capabilities;
mod ephemeral;
mod life;
mod probes;
mod resize;
mod resize_whole;
mod restart;
mod start_up;
mod status_fields;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Value, json};

use super::*;

/// A pod, its state and a clock.
struct World {
    pod: Pod,
    state: PodState,
    known: PodStatus,
    now: Timestamp,
    gone: bool,
}

/// A pod with these parts of a spec.
fn pod(spec: Value) -> Pod {
    let mut spec = spec;
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "c", "image": "app:v1"}]);
    }
    let metadata = json!({"name": "p", "namespace": "n", "uid": "u", "generation": 1});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

impl World {
    fn new(spec: Value) -> World {
        World::of(pod(spec))
    }

    fn of(pod: Pod) -> World {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let state = seed(&pod, Found::default(), now);
        let known = pod.status.clone().unwrap_or_default();
        World {
            pod,
            state,
            known,
            now,
            gone: false,
        }
    }

    fn plan(&self) -> Plan {
        plan(&Input {
            pod: &self.pod,
            state: &self.state,
            known: &self.known,
            intent: Intent::of(&self.pod, self.gone),
            now: self.now,
            host_ip: "10.0.0.1",
        })
    }

    /// The plan's actions in short.
    fn actions(&self) -> Vec<String> {
        let short = |action: &Action| match action {
            Action::CreateSandbox { attempt } => format!("sandbox {attempt}"),
            Action::Start { container, attempt } => format!("start {container} {attempt}"),
            Action::Kill {
                container,
                grace,
                replace,
                ..
            } => {
                format!(
                    "kill {container} {grace}{}",
                    if *replace { " replace" } else { "" }
                )
            }
            Action::Resize(change) => {
                let pod = change.pod.iter().map(|_| "pod");
                let containers = change.containers.iter().map(|one| one.name.as_str());
                let all: Vec<&str> = pod.chain(containers).collect();
                format!("resize {}", all.join(" "))
            }
            Action::CancelStart => "cancel".to_owned(),
            Action::RemoveSandbox { .. } => "remove".to_owned(),
            Action::Delete => "delete".to_owned(),
            Action::Finish => "finish".to_owned(),
        };
        self.plan().actions.iter().map(short).collect()
    }

    fn apply(&mut self, outcome: Outcome) {
        self.state.apply(&self.pod, outcome, self.now);
    }

    fn sandbox(&mut self) {
        let attempt = self.state.sandbox.attempt();
        self.apply(Outcome::SandboxReady {
            id: "s".into(),
            ips: vec!["1.1.1.1".into()],
            attempt,
            limits: crate::cri::pod_limits(&self.state.resize.as_given(&self.pod)),
        });
    }

    fn started(&mut self, name: &str) {
        let container = container_named(&self.pod, name).unwrap();
        let attempt = self
            .state
            .containers
            .get(name)
            .map_or(0, |track| track.next_attempt());
        let instance = Instance {
            id: format!("{name}{attempt}"),
            attempt,
            hash: container_hash(&container),
            image: container.image.clone().unwrap_or_default(),
            image_id: "sha256:1".into(),
            capabilities: None,
            sandbox: self.state.sandbox.attempt(),
            run: Run::Running {
                started_at: self.now,
            },
            kill: None,
            limits: None,
        };
        self.apply(Outcome::Started {
            container: name.into(),
            instance,
        });
    }

    fn exited(&mut self, name: &str, code: i32) {
        let instance = self.state.containers[name].instance.clone().unwrap();
        let Run::Running { started_at } = instance.run else {
            panic!("{name} does not run")
        };
        let exit = Exit {
            id: instance.id.clone(),
            code,
            reason: if code == 0 {
                "Completed".into()
            } else {
                "Error".into()
            },
            message: String::new(),
            started_at: Some(started_at),
            finished_at: Some(self.now),
        };
        self.apply(Outcome::Exited {
            container: name.into(),
            id: instance.id,
            exit,
        });
    }

    /// Hash of a container as it is in the pod now.
    fn hash(&self, name: &str) -> String {
        container_hash(&container_named(&self.pod, name).unwrap())
    }

    fn set_image(&mut self, image: &str) {
        self.pod.spec.as_mut().unwrap().containers[0].image = Some(image.into());
    }

    fn failed(&mut self, name: &str, reason: &str, message: &str) {
        let failure = StartFailure {
            reason: reason.into(),
            message: message.into(),
            hash: self.hash(name),
            ..StartFailure::default()
        };
        self.apply(Outcome::StartFailed {
            container: name.into(),
            failure,
        });
    }

    fn pass(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
    }

    fn phase(&self) -> String {
        self.plan().status.phase.unwrap()
    }

    /// State of a container in short: `Running`, `Waiting:REASON`, `Terminated:REASON:CODE`.
    fn shown(&self, name: &str) -> String {
        let status = self.plan().status;
        let all = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
            .chain(&status.ephemeral_container_statuses)
            .flatten();
        let state = all
            .clone()
            .find(|s| s.name == name)
            .unwrap()
            .state
            .clone()
            .unwrap();
        if state.running.is_some() {
            "Running".into()
        } else if let Some(waiting) = state.waiting {
            format!("Waiting:{}", waiting.reason.unwrap())
        } else {
            let terminated = state.terminated.unwrap();
            format!(
                "Terminated:{}:{}",
                terminated.reason.unwrap(),
                terminated.exit_code
            )
        }
    }

    fn message(&self, name: &str) -> String {
        let status = self.plan().status;
        let all = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
            .flatten();
        let state = all
            .clone()
            .find(|s| s.name == name)
            .unwrap()
            .state
            .clone()
            .unwrap();
        state.waiting.unwrap().message.unwrap_or_default()
    }

    /// Conditions in short: `Ready=False:ContainersNotReady`.
    fn condition(&self, kind: &str) -> String {
        let conditions = self.plan().status.conditions.unwrap();
        let found = conditions.iter().find(|c| c.type_ == kind).unwrap();
        match &found.reason {
            Some(reason) => format!("{}:{reason}", found.status),
            None => found.status.clone(),
        }
    }

    fn wake_in(&self) -> Option<i64> {
        self.plan()
            .wake_at
            .map(|at| at.duration_since(self.now).as_secs())
    }

    fn deleted(&mut self, grace: i64) {
        self.pod.metadata.deletion_timestamp = Some(
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now),
        );
        self.pod.metadata.deletion_grace_period_seconds = Some(grace);
    }

    fn mark_kill(&mut self, name: &str, grace: u64, replace: bool) {
        let deadline = after(self.now, Duration::from_secs(grace));
        let id = self.state.containers[name].instance.clone().unwrap().id;
        let kill = Kill { deadline, replace };
        self.state.killed(name, &id, kill, !replace);
    }
}
