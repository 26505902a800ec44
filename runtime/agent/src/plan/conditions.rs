//! The conditions of a pod that the node answers for. Conditions of others are passed on.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::state::Sandbox;
use super::{Input, Intent, init_containers, is_sidecar};

/// The kinds of condition this module owns.
const OWNED: [&str; 7] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    PENDING,
    IN_PROGRESS,
];
/// Those of them that a pod has only while it is so.
pub(super) const PASSING: [&str; 2] = [PENDING, IN_PROGRESS];
const PENDING: &str = "PodResizePending";
const IN_PROGRESS: &str = "PodResizeInProgress";

struct Verdict {
    kind: &'static str,
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

/// All conditions of the pod, in upstream's order.
pub(super) fn conditions(
    input: &Input<'_>,
    phase: &str,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> Vec<PodCondition> {
    let known = input.known.conditions.as_deref().unwrap_or_default();
    let containers = containers_ready(phase, init, main, input);
    let verdicts = [
        Verdict {
            kind: "PodReadyToStartContainers",
            status: matches!(input.state.sandbox, Sandbox::Ready { .. }) && !over(phase),
            reason: None,
            message: None,
        },
        initialized(input, phase, init),
        ready(input, &containers, known),
        containers,
        // Whoever bound it said so without a generation, or nobody did: upstream's kubelet says it again.
        Verdict {
            kind: "PodScheduled",
            status: true,
            reason: None,
            message: None,
        },
    ];
    let generation = input.pod.metadata.generation;
    let mut all: Vec<PodCondition> = verdicts
        .into_iter()
        .map(|verdict| condition(verdict, known, generation, input.now))
        .collect();
    all.extend(
        known
            .iter()
            .filter(|c| !OWNED.contains(&c.type_.as_str()))
            .cloned(),
    );
    if !over(phase) {
        all.extend(resize(input, known));
    }
    all
}

/// What is to be told of a resize.
fn resize(input: &Input<'_>, known: &[PodCondition]) -> Vec<PodCondition> {
    let resize = &input.state.resize;
    let pending = resize.pending.as_ref().map(|pending| {
        let verdict = Verdict {
            kind: PENDING,
            status: true,
            reason: Some(pending.refusal.reason()),
            message: Some(pending.refusal.message()),
        };
        condition(verdict, known, pending.generation, input.now)
    });
    let progress = resize.progress.as_ref().map(|progress| {
        let verdict = Verdict {
            kind: IN_PROGRESS,
            status: true,
            reason: progress.error.as_ref().map(|_| "Error"),
            message: progress.error.clone(),
        };
        condition(verdict, known, progress.generation, input.now)
    });
    pending.into_iter().chain(progress).collect()
}

fn condition(
    verdict: Verdict,
    known: &[PodCondition],
    generation: Option<i64>,
    now: Timestamp,
) -> PodCondition {
    let status = if verdict.status { "True" } else { "False" };
    let before = known
        .iter()
        .find(|c| c.type_ == verdict.kind && c.status == status);
    PodCondition {
        type_: verdict.kind.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
        observed_generation: generation,
        last_probe_time: None,
        last_transition_time: before
            .and_then(|condition| condition.last_transition_time.clone())
            .or(Some(Time(now))),
    }
}

fn over(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

fn initialized(input: &Input<'_>, phase: &str, init: &[ContainerStatus]) -> Verdict {
    let kind = "Initialized";
    if phase == "Succeeded" {
        return Verdict {
            kind,
            status: true,
            reason: Some("PodCompleted"),
            message: None,
        };
    }
    if input.state.initialized {
        return Verdict {
            kind,
            status: true,
            reason: None,
            message: None,
        };
    }
    let incomplete: Vec<&str> = init
        .iter()
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if incomplete.is_empty() {
        return Verdict {
            kind,
            status: true,
            reason: None,
            message: None,
        };
    }
    Verdict {
        kind,
        status: false,
        reason: Some("ContainersNotInitialized"),
        message: Some(format!(
            "containers with incomplete status: [{}]",
            incomplete.join(" ")
        )),
    }
}

fn containers_ready(
    phase: &str,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    input: &Input<'_>,
) -> Verdict {
    let kind = "ContainersReady";
    if phase == "Succeeded" {
        return Verdict {
            kind,
            status: false,
            reason: Some("PodCompleted"),
            message: None,
        };
    }
    if phase == "Failed" {
        return Verdict {
            kind,
            status: false,
            reason: Some("PodFailed"),
            message: None,
        };
    }
    let sidecars = init_containers(input.pod).iter().filter(|c| is_sidecar(c));
    let sidecars: HashSet<&str> = sidecars.map(|c| c.name.as_str()).collect();
    let is_sidecar_status = |status: &&ContainerStatus| sidecars.contains(status.name.as_str());
    let unready: Vec<&str> = init
        .iter()
        .filter(is_sidecar_status)
        .chain(main)
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if unready.is_empty() {
        return Verdict {
            kind,
            status: true,
            reason: None,
            message: None,
        };
    }
    Verdict {
        kind,
        status: false,
        reason: Some("ContainersNotReady"),
        message: Some(format!(
            "containers with unready status: [{}]",
            unready.join(" ")
        )),
    }
}

fn ready(input: &Input<'_>, containers: &Verdict, known: &[PodCondition]) -> Verdict {
    let kind = "Ready";
    if !containers.status {
        return Verdict {
            kind,
            status: false,
            reason: containers.reason,
            message: containers.message.clone(),
        };
    }
    let gates = input
        .pod
        .spec
        .as_ref()
        .and_then(|spec| spec.readiness_gates.as_deref());
    let missing: Vec<String> = gates
        .unwrap_or_default()
        .iter()
        .filter(|gate| {
            !known
                .iter()
                .any(|c| c.type_ == gate.condition_type && c.status == "True")
        })
        .map(|gate| {
            let word = if known.iter().any(|c| c.type_ == gate.condition_type) {
                "the status of pod readiness gate"
            } else {
                "corresponding condition of pod readiness gate"
            };
            let end = if word.starts_with("the") {
                "is not \"True\""
            } else {
                "does not exist."
            };
            format!("{word} \"{}\" {end}", gate.condition_type)
        })
        .collect();
    if missing.is_empty() || matches!(input.intent, Intent::Forget { .. }) {
        return Verdict {
            kind,
            status: true,
            reason: None,
            message: None,
        };
    }
    Verdict {
        kind,
        status: false,
        reason: Some("ReadinessGatesNotReady"),
        message: Some(missing.join(", ")),
    }
}
