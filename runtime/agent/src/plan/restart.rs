//! Whether a container that ended runs again: its own rules first, then its own policy, then its pod's.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, Pod};

/// What a container ends with that is killed, or that was lost with its process.
pub(crate) const KILLED: i32 = 137;

/// Upstream's `ContainerShouldRestart`: whether a container that ended with `code` is started again.
pub(crate) fn should_restart(pod: &Pod, container: &Container, code: i32) -> bool {
    let own = container.restart_policy.as_deref();
    // Rules count only beside a policy, as the API demands.
    if own.is_some() && restart_rule(container, code) {
        return true;
    }
    let of_pod = || pod.spec.as_ref()?.restart_policy.as_deref();
    match own.or_else(of_pod) {
        Some("Never") => false,
        Some("OnFailure") => code != 0,
        _ => true,
    }
}

/// Whether the first rule that speaks of this exit code asks for a restart. All of a pod's containers are restarted
/// (`RestartAllContainers`) by a feature upstream has off by default; here the container alone is.
fn restart_rule(container: &Container, code: i32) -> bool {
    let rules = container.restart_policy_rules.as_deref();
    let found = rules
        .unwrap_or_default()
        .iter()
        .find(|rule| speaks_of(rule, code));
    found.is_some_and(|rule| matches!(rule.action.as_str(), "Restart" | "RestartAllContainers"))
}

fn speaks_of(rule: &ContainerRestartRule, code: i32) -> bool {
    let Some(codes) = &rule.exit_codes else {
        return false;
    };
    let listed = codes.values.iter().flatten().any(|one| *one == code);
    match codes.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}
