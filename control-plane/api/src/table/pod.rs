//! The table of pods. Its STATUS column is what people debug by: it digs out the one container
//! state that says most.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object::{self, flag, get, int, items, text};
use crate::time;

use super::{AGE, Column, NAME, NONE, PLAIN, Printer, age, column, name, or, wide};

pub(super) const POD: Printer = Printer {
    columns: COLUMNS,
    cells,
    conditions: row_conditions,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "How many of the pod's containers are ready."),
    column(
        "Status",
        "What the pod is doing, or what keeps it from doing it.",
    ),
    column(
        "Restarts",
        "How often containers were restarted, and when last.",
    ),
    AGE,
    wide("IP", "Address of the pod."),
    wide("Node", "Node the pod runs on."),
    wide("Nominated Node", "Node that is being cleared for the pod."),
    wide(
        "Readiness Gates",
        "How many of the pod's own readiness conditions are met.",
    ),
];

fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    let ip = match items(pod, "status.podIPs").first() {
        Some(first) => text(first, "ip"),
        None => text(pod, "status.podIP"),
    };
    vec![
        name(pod),
        json!(format!("{}/{}", summary.ready, summary.total)),
        json!(summary.reason),
        json!(summary.restarts.shown(now)),
        age(pod, now),
        or(ip, NONE),
        or(text(pod, "spec.nodeName"), NONE),
        or(text(pod, "status.nominatedNodeName"), NONE),
        or(&readiness_gates(pod), NONE),
    ]
}

/// Pods that ended, one way or the other.
fn row_conditions(pod: &Value) -> Vec<Value> {
    let (reason, message) = match text(pod, "status.phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return Vec::new(),
    };
    vec![json!({"type": "Completed", "status": "True", "reason": reason, "message": message})]
}

/// What the containers say together.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

/// How often containers were restarted, and when the last one had ended.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += int(status, "restartCount").unwrap_or(0);
        let ended = time::parse(text(status, "lastState.terminated.finishedAt"));
        self.last = self.last.max(ended);
    }

    fn shown(&self, now: Timestamp) -> String {
        match self.last {
            Some(last) if self.count != 0 => {
                format!(
                    "{} ({} ago)",
                    self.count,
                    time::human(now.duration_since(last))
                )
            }
            _ => self.count.to_string(),
        }
    }
}

impl Summary {
    fn of(pod: &Value) -> Summary {
        let mut summary = Summary {
            ready: 0,
            total: items(pod, "spec.containers").len(),
            reason: phase_reason(pod),
            restarts: Restarts::default(),
        };
        let sidecars = items(pod, "spec.initContainers")
            .iter()
            .filter(|one| is_sidecar(one))
            .count();
        summary.total += sidecars;
        let (initializing, sidecar_restarts) = summary.add_init_containers(pod);
        if !initializing || condition(pod, "Initialized") {
            summary.restarts = sidecar_restarts;
            summary.add_containers(pod);
        }
        let phase = text(pod, "status.phase");
        if object::deletion_timestamp(pod).is_some() {
            if text(pod, "status.reason") == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !matches!(phase, "Succeeded" | "Failed") {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    /// Looks at init containers up to the first that is not done. Returns whether there is one, and
    /// the restarts of sidecars alone.
    fn add_init_containers(&mut self, pod: &Value) -> (bool, Restarts) {
        let specs = items(pod, "spec.initContainers");
        let mut by_name = HashMap::new();
        for spec in specs {
            by_name.entry(text(spec, "name")).or_insert(spec);
        }
        let mut sidecars = Restarts::default();
        for (at, status) in items(pod, "status.initContainerStatuses")
            .iter()
            .enumerate()
        {
            let spec = by_name.get(text(status, "name"));
            let sidecar = spec.is_some_and(|spec| is_sidecar(spec));
            self.restarts.add(status);
            if sidecar {
                sidecars.add(status);
            }
            let ended = get(status, "state.terminated");
            if ended.is_some_and(|ended| int(ended, "exitCode").unwrap_or(0) == 0) {
                continue;
            }
            if sidecar && flag(status, "started") {
                self.ready += usize::from(flag(status, "ready"));
                continue;
            }
            let waiting = text(status, "state.waiting.reason");
            self.reason = match ended {
                Some(ended) => format!("Init:{}", ending(ended)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => {
                    format!("Init:{waiting}")
                }
                None => format!("Init:{at}/{}", specs.len()),
            };
            return (true, sidecars);
        }
        (false, sidecars)
    }

    fn add_containers(&mut self, pod: &Value) {
        let mut running = false;
        let mut failure = None;
        for status in items(pod, "status.containerStatuses").iter().rev() {
            self.restarts.add(status);
            let waiting = text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(ended) = get(status, "state.terminated") {
                self.reason = ending(ended);
                if int(ended, "exitCode").unwrap_or(0) != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if flag(status, "ready") && get(status, "state.running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        // One container that completed does not mean that the pod did.
        if self.reason == "Completed" {
            if running && condition(pod, "Ready") {
                self.reason = "Running".to_owned();
            } else if let Some(failure) = failure {
                self.reason = failure;
            } else if running {
                self.reason = "NotReady".to_owned();
            }
        }
    }
}

/// The pod's own word on its state, before its containers are asked.
fn phase_reason(pod: &Value) -> String {
    let gated = items(pod, "status.conditions").iter().any(|condition| {
        text(condition, "type") == "PodScheduled" && text(condition, "reason") == "SchedulingGated"
    });
    if gated {
        return "SchedulingGated".to_owned();
    }
    match text(pod, "status.reason") {
        "" => text(pod, "status.phase").to_owned(),
        reason => reason.to_owned(),
    }
}

/// Why a container ended.
fn ending(ended: &Value) -> String {
    match (text(ended, "reason"), int(ended, "signal").unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", int(ended, "exitCode").unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn condition(pod: &Value, kind: &str) -> bool {
    items(pod, "status.conditions")
        .iter()
        .any(|one| text(one, "type") == kind && text(one, "status") == "True")
}

fn readiness_gates(pod: &Value) -> String {
    let gates = items(pod, "spec.readinessGates");
    if gates.is_empty() {
        return String::new();
    }
    let conditions = items(pod, "status.conditions").iter();
    let holding: HashSet<&str> = conditions
        .filter(|one| text(one, "status") == "True")
        .map(|one| text(one, "type"))
        .collect();
    let met = gates
        .iter()
        .filter(|gate| holding.contains(text(gate, "conditionType")))
        .count();
    format!("{met}/{}", gates.len())
}
