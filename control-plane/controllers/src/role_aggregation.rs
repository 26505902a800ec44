//! Aggregated ClusterRoles hold the rules of the roles their selectors find.

use futures::StreamExt;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use sampan_api::selector::LabelSelector;
use tokio_util::sync::CancellationToken;

use crate::driver::{self, Next, Reconcile};
use crate::metrics::WorkqueueMetrics;
use crate::source;

struct RoleAggregation {
    roles: Api<ClusterRole>,
}

pub(crate) async fn run(
    client: kube::Client,
    metrics: WorkqueueMetrics,
    shutdown: CancellationToken,
) {
    let roles = Api::<ClusterRole>::all(client);
    // Any role may be gathered by any other: there is one key, and a burst of changes is one look.
    let keys = source::touched(source::objects(roles.clone(), "")).map(|_| ());
    driver::run(RoleAggregation { roles }, keys, &metrics, shutdown).await;
}

impl Reconcile for RoleAggregation {
    type Key = ();
    type Error = kube::Error;
    const NAME: &'static str = "clusterrole-aggregation";

    async fn reconcile(&self, (): &()) -> Result<Next, kube::Error> {
        let all = self.roles.list(&ListParams::default()).await?.items;
        for role in &all {
            let Some(rules) = gathered(role, &all) else {
                continue;
            };
            if role.rules.as_deref().unwrap_or_default() == rules {
                continue;
            }
            let mut new = role.clone();
            new.rules = Some(rules);
            let name = role.name_any();
            match self
                .roles
                .replace(&name, &PostParams::default(), &new)
                .await
            {
                Ok(_) => {}
                // Somebody else wrote it: that comes as a change.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Next::OnChange)
    }
}

/// The rules an aggregated role is to have; `None` for other roles. `all` is sorted by name.
fn gathered(role: &ClusterRole, all: &[ClusterRole]) -> Option<Vec<PolicyRule>> {
    let selectors = role
        .aggregation_rule
        .as_ref()?
        .cluster_role_selectors
        .as_deref()?;
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in selectors {
        let selector = serde_json::to_value(selector).ok()?;
        let Ok(selector) = LabelSelector::from_match(&selector) else {
            continue;
        };
        let found = all.iter().filter(|other| {
            let labels = other.labels();
            other.name_any() != role.name_any()
                && selector.matches(|key| labels.get(key).map(String::as_str))
        });
        for rule in found.flat_map(|other| other.rules.as_deref().unwrap_or_default()) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_are_gathered_once() {
        let role = |name: &str, label: &str, verb: &str| -> ClusterRole {
            serde_json::from_value(json!({
                "metadata": {"name": name, "labels": {label: "true"}},
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}],
            }))
            .expect("a role")
        };
        let aggregated: ClusterRole = serde_json::from_value(json!({
            "metadata": {"name": "all", "labels": {"to-all": "true"}},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to-all": "true"}}]},
            "rules": [{"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]}],
        }))
        .expect("a role");
        let all = [
            role("a", "to-all", "get"),
            aggregated.clone(),
            role("b", "to-all", "get"),
            role("c", "to-all", "list"),
            role("d", "other", "watch"),
        ];
        let rules = gathered(&aggregated, &all).expect("rules change");
        let verbs: Vec<&str> = rules.iter().map(|rule| rule.verbs[0].as_str()).collect();
        assert_eq!(verbs, ["get", "list"]);
        assert_eq!(gathered(&all[0], &all), None);
    }
}
