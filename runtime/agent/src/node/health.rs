//! The node's conditions, from the runtime's word and the host's state.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NodeCondition, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sampan_proto::{RuntimeService, v1};

use super::host::Host;
use crate::limits::{DISK_PRESSURE_PERCENT, MEMORY_PRESSURE_BYTES};

/// One condition's verdict: type, whether it holds, reason, message.
type Verdict = (&'static str, bool, String, String);

/// The conditions as they are now.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    verdicts: Vec<Verdict>,
}

/// Asks the runtime, and judges the host.
pub(crate) async fn health(runtime: &dyn RuntimeService, host: &Host) -> Health {
    let problem = match runtime.status(v1::StatusRequest { verbose: false }).await {
        Ok(response) => response
            .status
            .unwrap_or_default()
            .conditions
            .into_iter()
            .find(|condition| !condition.status)
            .map(|condition| format!("{}: {}", condition.r#type, condition.message)),
        Err(error) => Some(format!("container runtime is down: {error}")),
    };
    judge(host, problem)
}

pub(super) fn judge(host: &Host, runtime_problem: Option<String>) -> Health {
    let low_memory = host.memory_bytes > 0 && host.memory_available_bytes < MEMORY_PRESSURE_BYTES;
    let low_disk =
        host.disk_bytes > 0 && host.disk_free_bytes < host.disk_bytes / 100 * DISK_PRESSURE_PERCENT;
    let pressure = |kind, holds: bool, word: &str, lack: &str, fine: &str| -> Verdict {
        let (reason, text) = if holds {
            (format!("KubeletHas{word}"), format!("kubelet has {lack}"))
        } else {
            (
                format!("KubeletHas{fine}"),
                format!("kubelet has {}", spaced(fine)),
            )
        };
        (kind, holds, reason, text)
    };
    let ready: Verdict = match runtime_problem {
        Some(problem) => ("Ready", false, "KubeletNotReady".into(), problem),
        None => (
            "Ready",
            true,
            "KubeletReady".into(),
            "kubelet is posting ready status".into(),
        ),
    };
    Health {
        verdicts: vec![
            pressure(
                "MemoryPressure",
                low_memory,
                "InsufficientMemory",
                "insufficient memory available",
                "SufficientMemory",
            ),
            pressure(
                "DiskPressure",
                low_disk,
                "DiskPressure",
                "disk pressure",
                "NoDiskPressure",
            ),
            // Guests are no processes: they cannot use up process ids.
            pressure("PIDPressure", false, "", "", "SufficientPID"),
            ready,
        ],
    }
}

/// The end of upstream's messages for conditions that do not hold.
fn spaced(word: &str) -> &'static str {
    match word {
        "SufficientMemory" => "sufficient memory available",
        "NoDiskPressure" => "no disk pressure",
        _ => "sufficient PID available",
    }
}

/// The conditions to report. Transition times are kept where nothing changed.
pub(super) fn conditions(
    health: &Health,
    known: &NodeStatus,
    now: Timestamp,
) -> Vec<NodeCondition> {
    let before = known.conditions.as_deref().unwrap_or_default();
    let own = health
        .verdicts
        .iter()
        .map(|(kind, holds, reason, message)| {
            let status = if *holds { "True" } else { "False" };
            let same = before
                .iter()
                .find(|c| c.type_ == *kind && c.status == status);
            NodeCondition {
                type_: (*kind).to_owned(),
                status: status.to_owned(),
                reason: Some(reason.clone()),
                message: Some(message.clone()),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: same
                    .and_then(|condition| condition.last_transition_time.clone())
                    .or(Some(Time(now))),
            }
        });
    own.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            memory_bytes: 8 << 30,
            memory_available_bytes: 4 << 30,
            disk_bytes: 100 << 30,
            disk_free_bytes: 50 << 30,
            ..Host::default()
        }
    }

    #[test]
    fn conditions_follow_the_host() {
        let check = |host: &Host, problem: Option<&str>, expect: [&str; 4]| {
            let health = judge(host, problem.map(str::to_owned));
            let got: Vec<&str> = health.verdicts.iter().map(|v| v.2.as_str()).collect();
            assert_eq!(got, expect);
        };
        let fine = [
            "KubeletHasSufficientMemory",
            "KubeletHasNoDiskPressure",
            "KubeletHasSufficientPID",
        ];
        check(&host(), None, [fine[0], fine[1], fine[2], "KubeletReady"]);
        check(
            &host(),
            Some("x"),
            [fine[0], fine[1], fine[2], "KubeletNotReady"],
        );
        let full = Host {
            disk_free_bytes: 1,
            memory_available_bytes: 1,
            ..host()
        };
        let low = ["KubeletHasInsufficientMemory", "KubeletHasDiskPressure"];
        check(&full, None, [low[0], low[1], fine[2], "KubeletReady"]);
    }
}
